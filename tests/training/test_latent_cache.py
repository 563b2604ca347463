import logging
import os

import pytest
import torch

from modelscope_i2v.errors import ConfigurationError, InputError, OutputError
from modelscope_i2v.training.data.cached_clips import CachedClips
from modelscope_i2v.training.data.datasets import ClipDataset, ClipSettings
from modelscope_i2v.training.data.latent_cache import EncodedClip, LatentCache
from modelscope_i2v.training.data.mixture import Mixture, MixtureSettings
from modelscope_i2v.training.data.sources import Example
from tests.training.clips import STEP, write_numbered


class Encoder:
    """Encodes the mean brightness of 8 x 8 pixels as the number of the frame, and counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, clip):
        self.calls += 1
        pixels = torch.from_numpy(clip.frames.copy()).float().mean(dim=-1)
        latent = torch.nn.functional.avg_pool2d(pixels, 8).div(STEP).round()
        mean = latent.expand(4, *latent.shape)
        return EncodedClip.of(mean, mean - 30, torch.full((1, 5), clip.fps), clip.fps)


@pytest.fixture
def encoder():
    return Encoder()


@pytest.fixture
def examples(tmp_path):
    names = ('a.mp4', 'b.mp4', 'c.mp4')
    return [Example(write_numbered(tmp_path / name, 20 + 2 * i, fps=8), 'video') for i, name in enumerate(names)]


def batches(examples, folder, encoder, fingerprint='one', variants=1, fps=8.0, **mixture):
    clips = ClipDataset(examples, ClipSettings(num_frames=4, height=16, width=24, fps=fps))
    order = Mixture(clips.of_kind('video'), clips.of_kind('image'), MixtureSettings(**mixture))
    return CachedClips(clips, order, LatentCache(folder, fingerprint), encoder, variants=variants)


def files(folder):
    return sorted(folder.rglob('*.safetensors'))


def encoded(value=1.0):
    shape = (4, 2, 3, 5)
    generator = torch.Generator().manual_seed(1)
    mean, logvar = (value * torch.randn(shape, generator=generator) for _ in range(2))
    return EncodedClip.of(mean, logvar, torch.randn(1, 7, generator=generator), 29.97)


def test_what_is_put_is_got(tmp_path):
    cache, source = LatentCache(tmp_path / 'cache', 'one'), tmp_path / 'v.mp4'
    source.write_bytes(b'x')
    key, clip = cache.key(source, 'video', 3), encoded()
    assert cache.get(key) is None
    cache.put(key, clip)
    found = LatentCache(tmp_path / 'cache', 'one').get(key)
    assert found.fps == 29.97
    for name in ('mean', 'logvar', 'condition'):
        assert torch.equal(getattr(found, name), getattr(clip, name))
        assert getattr(found, name).dtype == torch.float16


def test_a_key_tells_apart_all_that_matters(tmp_path):
    source, other = tmp_path / 'v.mp4', tmp_path / 'w.mp4'
    source.write_bytes(b'x')
    other.write_bytes(b'x')
    os.utime(other, ns=(source.stat().st_mtime_ns,) * 2)
    cache = LatentCache(tmp_path / 'cache', 'one')
    keys = [
        cache.key(source, 1),
        cache.key(source, 2),
        cache.key(other, 1),
        LatentCache(tmp_path / 'cache', 'two').key(source, 1),
    ]
    stamp = source.stat().st_mtime_ns
    os.utime(source, ns=(stamp, stamp + 1))
    keys.append(cache.key(source, 1))
    source.write_bytes(b'xx')
    os.utime(source, ns=(stamp, stamp + 1))
    keys.append(cache.key(source, 1))
    assert len(set(keys)) == len(keys)
    assert cache.key(source, 1) == LatentCache(tmp_path / 'elsewhere', 'one').key(source, 1) == keys[-1]
    source.unlink()
    with pytest.raises(InputError, match=r'v\.mp4'):
        cache.key(source, 1)


@pytest.mark.parametrize('damage', ['cut', 'empty', 'noise', 'other'])
def test_a_damaged_file_is_made_again(tmp_path, examples, encoder, caplog, damage):
    folder = tmp_path / 'cache'
    data = batches(examples[:1], folder, encoder)
    whole = data[0]
    (path,) = files(folder)
    content = path.read_bytes()
    if damage == 'other':
        from safetensors.torch import save

        path.write_bytes(save({'mean': torch.zeros(3)}))
    else:
        path.write_bytes({'cut': content[:-10], 'empty': b'', 'noise': b'\xff' * 500}[damage])
    with caplog.at_level(logging.WARNING):
        mended = data[0]
    assert path.name in caplog.text
    assert 'damaged' in caplog.text
    assert encoder.calls == 2
    assert path.read_bytes() == content
    assert all(torch.equal(mended[name], whole[name]) for name in whole)
    assert data[0]['fps'].tolist() == [8.0]
    assert encoder.calls == 2


def test_a_batch_is_what_the_encoder_made(tmp_path, examples, encoder):
    data = batches(examples, tmp_path / 'cache', encoder, batch_size=2, fps=[4, 8], variants=100)
    for _ in range(2):
        for number in range(8):
            frames = 1 if number == 7 else 4
            batch = data[number]
            assert batch['mean'].shape == batch['logvar'].shape == (2, 4, frames, 2, 3)
            assert batch['condition'].shape == (2, 1, 5)
            assert batch['mean'].dtype == batch['logvar'].dtype == batch['condition'].dtype == torch.float16
            assert torch.equal(batch['logvar'], batch['mean'] - 30)
            assert batch['fps'].dtype == torch.float32
            assert torch.equal(batch['condition'][:, 0, 0].float(), batch['fps'])
            # The latents are the numbers of the frames.
            steps = batch['mean'][:, 0, :, 0, 0].diff(dim=1).float()
            assert torch.equal(steps, (8 / batch['fps'])[:, None].expand_as(steps))
    assert encoder.calls == 16


def test_a_hit_does_not_encode_and_variants_bound_what_is_kept(tmp_path, examples, encoder):
    folder = tmp_path / 'cache'
    only_video = {'video_to_image': (1, 0), 'seed': 5}
    data = batches(examples, folder, encoder, variants=2, **only_video)
    first = [data[number]['mean'] for number in range(12)]
    # Four epochs of three examples, of which the first two fill the cache.
    assert encoder.calls == len(files(folder)) == 6
    again = batches(examples, folder, encoder, variants=2, **only_video)
    assert all(torch.equal(again[number]['mean'], first[number]) for number in reversed(range(12)))
    assert encoder.calls == 6
    starts = {tuple(mean[0, 0, :, 0, 0].tolist()) for mean in first}
    assert len(starts) > 3


def test_other_encoders_settings_files_or_texts_miss(tmp_path, examples, encoder):
    folder = tmp_path / 'cache'
    one = examples[:1]
    batches(one, folder, encoder)[0]
    batches(one, folder, encoder)[0]
    assert encoder.calls == 1
    batches(one, folder, encoder, fingerprint='two')[0]
    assert encoder.calls == 2
    batches(one, folder, encoder, fps=4.0)[0]
    assert encoder.calls == 3
    batches([Example(one[0].path, 'video', 'a fox')], folder, encoder)[0]
    assert encoder.calls == 4
    stamp = one[0].path.stat().st_mtime_ns
    os.utime(one[0].path, ns=(stamp, stamp + 1000))
    batches(one, folder, encoder)[0]
    assert encoder.calls == 5


def test_a_loader_with_processes_of_its_own_gives_the_same_batches(tmp_path, examples, encoder):
    data = batches(examples, tmp_path / 'cache', encoder)
    loader = torch.utils.data.DataLoader(data, batch_size=None, sampler=range(3, 9), num_workers=1)
    for number, batch in zip(range(3, 9), loader, strict=True):
        assert torch.equal(batch['mean'], data[number]['mean'])


def test_unusable_tensors_are_refused():
    good = encoded()
    with pytest.raises(InputError, match="'mean' must be float16.*float32"):
        EncodedClip(good.mean.float(), good.logvar, good.condition, 8.0)
    with pytest.raises(InputError, match="'condition' must be float16 with 2 dimensions"):
        EncodedClip(good.mean, good.logvar, good.condition[0], 8.0)
    with pytest.raises(InputError, match="'mean' and 'logvar' must have the same shape"):
        EncodedClip(good.mean, good.logvar[:, :1], good.condition, 8.0)
    with pytest.raises(InputError, match="'mean' must be detached and finite"):
        encoded(1e6)
    with pytest.raises(InputError, match="'fps'"):
        EncodedClip(good.mean, good.logvar, good.condition, 0.0)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path, examples, encoder):
    (tmp_path / 'file').write_text('x')
    with pytest.raises((InputError, OutputError), match=r'file.cache'):
        batches(examples, tmp_path / 'file' / 'cache', encoder)[0]
    with pytest.raises(ConfigurationError, match="'variants'.*at least 1, found 0"):
        batches(examples, tmp_path, encoder, variants=0)

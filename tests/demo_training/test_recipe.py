"""The whole recipe of the embedded models, up to the two folders, with a thousandth of its steps."""

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from demo_training import pools
from demo_training.architecture import AUTOENCODER, CLIP, IMAGE_TO_VIDEO_UNET
from demo_training.autoencoder import DECODER_2, train_decoder_2
from demo_training.clip import BATCH, CaptionedPictures, Trainee
from demo_training.image_to_video import new_unet
from demo_training.latents import STRIDE, PoolBatches
from demo_training.photographs import COUNT, Adaptation, Photographs, adaptation_loss
from demo_training.pools import kept_pool
from demo_training.recipe import Recipe
from demo_training.temporal import zero_temporal_outputs
from demo_training.video_to_video import degrade
from modelscope_i2v import load
from modelscope_i2v.errors import ConfigurationError, OutputError
from modelscope_i2v.networks import AutoencoderKL, ClipImageEncoder
from modelscope_i2v.training.loop.seeding import seeded
from tests.calls import VIDEO

FRAMES = 10


def pool():
    """Latents and embeddings that encode their clip and frame."""
    clips, frames = torch.arange(100.0), torch.arange(float(FRAMES))
    labels = (clips[:, None] + frames / 100).half()
    return {
        'mean': labels[:, None, :, None, None].expand(100, 4, FRAMES, 2, 2),
        'embedding': labels[:, ::STRIDE, None].expand(100, FRAMES // STRIDE, 3),
        'fps': clips,
    }


def test_pieces_are_conditioned_on_their_own_first_frame_and_one_batch_in_eight_is_of_pictures():
    batches = PoolBatches(pool(), videos=3, num_frames=6, images=20)
    shapes = []
    for number in range(16):
        batch = batches[number]
        shapes.append(tuple(batch['mean'].shape[:3]))
        assert torch.equal(batch['mean'][:, 0, 0, 0, 0], batch['condition'][:, 0, 0])
        assert torch.equal(batch['mean'][:, 0, 0, 0, 0].floor(), batch['fps'])
        assert torch.equal(batches[number]['mean'], batch['mean'])
    assert shapes == ([(3, 4, 6)] * 7 + [(20, 4, 1)]) * 2


def test_silhouettes_and_places_are_mirrored_with_their_pictures():
    def likeness(one, other):
        one, other = (picture - picture.mean(dim=(1, 2), keepdim=True) for picture in (one, other))
        return (one * other).sum(dim=(1, 2))

    pictures, parts = CaptionedPictures(0, BATCH), []
    for number in range(4):
        batch = pictures[number]
        order = np.random.default_rng((3, number)).permutation(BATCH)
        before, after = pictures._pixels[order].float().mean(dim=1), batch['pixels'].mean(dim=1)
        sprites = batch['shapes'] >= 0
        mirrored = likeness(before.flip(-1), after) > likeness(before, after)
        assert not mirrored[: BATCH // 4].any()
        parts.append(mirrored[sprites].float().mean())
        outlines, places = pictures._outlines[order].float() / 255, pictures._places[order]
        flipped = torch.where(mirrored[:, None, None], outlines.flip(-1), outlines)
        assert torch.equal(batch['outlines'][sprites], flipped[sprites])
        turned = torch.where(mirrored[:, None], places * torch.tensor([-1.0, 1.0]), places)
        assert torch.equal(batch['places'][sprites], turned[sprites])
    assert 0.2 < torch.stack(parts).mean() < 0.6


def test_a_new_unet_is_a_network_for_pictures_until_its_temporal_layers_learn():
    torch.manual_seed(0)
    unet = new_unet(Trainee()).eval()
    zero_temporal_outputs(unet)
    x, t, fps = torch.randn(1, 4, 3, 16, 16), torch.tensor([500]), torch.tensor([8.0])
    embedding = torch.randn(1, 1, IMAGE_TO_VIDEO_UNET['image_embed_dim'])
    with torch.no_grad():
        together = unet(x, t, embedding, fps)
        apart = torch.cat([unet(x[:, :, n : n + 1], t, embedding, fps) for n in range(3)], dim=2)
    assert torch.allclose(together, apart, atol=1e-5)
    assert together.abs().max() > 0.01


def test_degraded_frames_have_lost_their_detail_and_kept_their_colours():
    rng = np.random.default_rng(0)
    board = torch.ones(1, 3, 32, 32)
    board[..., ::2, ::2] = board[..., 1::2, 1::2] = -1
    flat = torch.full((1, 3, 32, 32), 0.3)
    for _ in range(8):
        assert degrade(board, rng).std() < 0.2
        assert abs(float(degrade(flat, rng).mean()) - 0.3) < 0.02


def test_the_tower_learns_that_sharp_pictures_are_blurred_ones_and_that_the_world_is_as_it_was():
    batch = Photographs(COUNT)[0]
    known, sharp, blurred = (batch[name] for name in ('known', 'sharp', 'blurred'))
    assert torch.allclose(sharp.mean(dim=(2, 3)), blurred.mean(dim=(2, 3)), atol=0.02)
    detail = [pictures.diff(dim=-1).abs().mean() for pictures in (sharp, blurred)]
    assert detail[0] > 2 * detail[1]
    assert torch.equal(known[:, :, 0, 0].sort(dim=0)[0], Photographs(COUNT)[1]['known'][:, :, 0, 0].sort(dim=0)[0])
    torch.manual_seed(0)
    model = Adaptation(ClipImageEncoder(CLIP)).train()
    same = adaptation_loss(model, {**batch, 'blurred': sharp}, torch.Generator())
    assert float(same['loss']) == 0
    found = adaptation_loss(model, batch, torch.Generator())
    assert found['known'] == 0
    assert found['loss'] == found['sharp'] > 0
    found['loss'].backward()
    assert all(parameter.grad is None for parameter in model.before.parameters())
    assert any(parameter.grad is not None for parameter in model.tower.parameters())


def run(folder, output, fails=False):
    command = [sys.executable, '-m', 'demo_training', '--scale', '0.001']
    done = subprocess.run(
        [*command, '--folder', str(folder), '--output', str(output)], capture_output=True, text=True, check=False
    )
    assert done.returncode == int(fails), done.stderr
    return done.stderr


def test_a_pool_of_other_seeds_or_encoders_is_not_taken(tmp_path):
    encoder, encode = torch.nn.Linear(2, 2), lambda seed: {'x': torch.tensor(seed)}
    made = kept_pool(tmp_path, range(3), encode, encoder)
    assert torch.equal(kept_pool(tmp_path, range(3), encode, encoder)['x'], made['x'])
    with pytest.raises(ConfigurationError, match='other weights, seeds or settings.*Remove it'):
        kept_pool(tmp_path, range(4), encode, encoder)
    torch.nn.init.ones_(encoder.bias)
    with pytest.raises(ConfigurationError, match='other weights, seeds or settings'):
        kept_pool(tmp_path, range(3), encode, encoder)


def test_a_pool_that_was_interrupted_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(pools, 'SEEDS_A_FILE', 4)
    encoded = []

    def encode(seed):
        if seed == 19 and 19 not in encoded:
            encoded.append(seed)
            raise KeyboardInterrupt
        encoded.append(seed)
        return {'x': torch.tensor([seed, 2 * seed])}

    seeds = range(10, 21)
    with pytest.raises(KeyboardInterrupt):
        kept_pool(tmp_path, seeds, encode)
    encoded[:] = [19]
    pool = kept_pool(tmp_path, seeds, encode)
    assert encoded == [19, 18, 19, 20]
    assert pool['x'].tolist() == [[seed, 2 * seed] for seed in seeds]


def test_a_pool_of_another_world_is_not_taken(tmp_path, monkeypatch):
    def encode(seed):
        return {'x': torch.tensor(seed)}

    kept_pool(tmp_path, range(3), encode)
    monkeypatch.setattr(pools, 'world_fingerprint', lambda: 'another')
    with pytest.raises(ConfigurationError, match='other weights, seeds or settings'):
        kept_pool(tmp_path, range(3), encode)


def test_a_place_that_cannot_be_written_is_found_out_first(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OutputError):
        Recipe(tmp_path / 'training', tmp_path / 'file' / 'models').run()
    assert not (tmp_path / 'training').exists()


def test_the_decoder_of_stage_2_learns_and_its_latents_stay(tmp_path):
    made = seeded(lambda: AutoencoderKL(**AUTOENCODER), 0)
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    settings = dataclasses.replace(DECODER_2, steps=2)
    after = train_decoder_2(made, tmp_path, settings, pool=16).state_dict()
    changed = {name.partition('.')[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {'decoder', 'post_quant_conv'}


def test_a_trial_is_not_taken_for_the_training(tmp_path):
    (tmp_path / 'scale.txt').write_text('0.001\n')
    with pytest.raises(ConfigurationError, match='--scale 0.001, not 1.0'):
        Recipe(tmp_path, tmp_path / 'models').run()


@pytest.mark.slow
def test_one_command_makes_both_folders_and_goes_on_where_it_stopped(tmp_path):
    folder, output = tmp_path / 'training', tmp_path / 'models'
    assert 'training stage-2' in run(folder, output)
    weights = {path: path.read_bytes() for path in output.rglob('*.safetensors')}
    assert len(weights) == 6
    assert sum(map(len, weights.values())) < 24_000_000
    video = load(output / 'Image-to-Video', device='cpu', show_progress=False)(
        np.zeros((8, 8, 3), np.uint8), output_type='np', steps=1, num_frames=3
    )[VIDEO]
    assert video.shape == (3, 64, 64, 3)
    sharper = load(output / 'Video-to-Video', device='cpu', show_progress=False)(video, output_type='np', steps=1)
    assert sharper[VIDEO].shape == (3, 128, 128, 3)
    # If the last network and the folders are missing, only that network is trained again, from its checkpoint.
    (folder / 'stage-2.safetensors').unlink()
    shutil.rmtree(output)
    log = run(folder, output)
    assert 'training stage-2' in log
    assert 'training stage-1' not in log
    assert {path: path.read_bytes() for path in output.rglob('*.safetensors')} == weights
    assert json.loads((output / 'Image-to-Video' / 'configuration.json').read_text())['task'] == 'image-to-video'
    # Another autoencoder invalidates everything that was made from it.
    path = folder / 'autoencoder.safetensors'
    with safe_open(path, 'pt') as file:
        metadata = file.metadata()
    save_file({name: tensor * 1.01 for name, tensor in load_file(path).items()}, path, metadata)
    last = run(folder, output, fails=True).splitlines()[-1]
    assert 'stage-1.safetensors' in last
    assert 'was made from other weights' in last

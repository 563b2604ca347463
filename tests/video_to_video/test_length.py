"""Videos of any length: temporal windows through the whole pipeline, their seams and their memory."""

import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensorMode

from benchmarks.video_to_video_memory import peak_activations
from modelscope_i2v.diffusion import sample_heun, temporal_windows
from modelscope_i2v.diffusion.denoiser import denoiser_on
from modelscope_i2v.diffusion.windows import window_starts
from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.info import probe_video
from tests.calls import VIDEO, build_2, latents_of, unet_calls
from tests.folders import variant


def moving(count, size=32):
    """Smooth waves that move at a steady pace."""
    y, x = np.mgrid[0:size, 0:size]
    waves = [(np.sin((x + i) / 9), np.cos((y - i) / 11), np.sin((x + y + 2 * i) / 13)) for i in range(count)]
    return np.stack([np.stack(wave, axis=-1) * 60 + 128 for wave in waves]).astype(np.uint8)


def with_max_frames(folder, place, max_frames, **options):
    return build_2(variant(folder, place, {'model.model_cfg.max_frames': max_frames}), steps=2, **options)


@pytest.mark.parametrize('num_frames', [1, 5, 6])
@pytest.mark.parametrize('solver', ['heun', 'dpmpp_2m_sde'])
def test_up_to_max_frames_there_is_one_window(stage_2_folder, tmp_path, num_frames, solver):
    pipelines = [with_max_frames(stage_2_folder, tmp_path / str(size), size, solver=solver) for size in (6, 1000)]
    clip = moving(num_frames)
    with unet_calls(pipelines[0]) as calls:
        found = latents_of(pipelines[0], clip, seed=1)
    assert {x.shape[2] for x, *_ in calls} == {num_frames}
    assert len(calls) == (6 if solver == 'heun' else 4)
    assert torch.equal(found, latents_of(pipelines[1], clip, seed=1))
    assert torch.equal(found, latents_of(pipelines[0], clip, seed=1, window_overlap=3))


@pytest.mark.parametrize(('overlap', 'windows'), [(None, 5), (8, 5), (0, 3), (12, 9)])
def test_the_network_never_sees_more_than_max_frames(stage_2, overlap, windows):
    """max_frames is 16; None means an overlap of 8."""
    with unet_calls(stage_2) as calls:
        found = latents_of(stage_2, moving(48), window_overlap=overlap, guidance_scale=1.0, solver='dpmpp_2m')
    assert found.shape[2] == 48
    assert {x.shape[2] for x, *_ in calls} == {16}
    assert len(calls) == 2 * windows
    assert len(window_starts(48, 16, 8 if overlap is None else overlap)) == windows


def test_windows_see_each_others_results(stage_2):
    """The last frames depend on the first ones, although no window contains both."""
    clip = moving(40)
    other = clip.copy()
    other[0] = 255 - other[0]
    call = {'seed': 1, 'steps': 3, 'solver': 'dpmpp_2m', 'guidance_scale': 1.0}
    first, second = (latents_of(stage_2, source, **call) for source in (clip, other))
    changed = (first - second).abs().amax(dim=(0, 1, 3, 4))
    assert changed[0] > 0.01
    assert changed[24:].max() > 0


def test_only_a_window_is_on_the_device():
    """Fake tensors have devices that this machine lacks. What the sampler keeps of a long video is in main memory."""
    seen = []

    def predict(x, sigma):
        seen.append((x.device.type, x.shape[2]))
        return 0.5 * x

    with FakeTensorMode():
        denoiser = temporal_windows(denoiser_on(torch.device('cuda'), predict), 40, 16, 8)
        found = sample_heun(denoiser, torch.zeros(1, 4, 40, 4, 4), [4.0, 2.0, 0.0])
    assert found.device.type == 'cpu'
    assert set(seen) == {('cuda', 16)}


@pytest.mark.parametrize('overlap', [-1, 16, 40, 'x', 1.5])
def test_impossible_overlaps(stage_2, overlap):
    with pytest.raises(InputError, match="'window_overlap'"):
        latents_of(stage_2, moving(17), window_overlap=overlap)


def seams(frames, window, overlap):
    """Mean difference of neighbouring frames where a window begins or ends, relative to the mean elsewhere."""
    differences = np.abs(np.diff(frames.astype(float), axis=0)).mean(axis=(1, 2, 3))
    starts = window_starts(len(frames), window, overlap)
    borders = sorted({b - 1 for start in starts for b in (start, start + window) if 0 < b < len(frames)})
    return differences[borders].mean() / np.delete(differences, borders).mean()


@pytest.fixture(scope='module')
def pipeline_32(stage_2_folder, tmp_path_factory):
    return with_max_frames(stage_2_folder, tmp_path_factory.mktemp('models') / 'model', 32, solver='heun')


def test_no_seams_on_a_smooth_video(pipeline_32):
    frames = pipeline_32(moving(104), output_type='np', seed=1)[VIDEO]
    assert abs(seams(frames, 32, 8) - 1) < 0.1


@torch.no_grad()
def test_seams_without_the_noise_that_could_hide_them(pipeline_32):
    """With the same noise in every frame, frames differ as little as in the input; without overlap, seams show."""
    model, clip = pipeline_32.model, moving(104)
    frames = torch.stack(list(pipeline_32.preprocessor(clip)['video'].frames()))
    clean = 0.18215 * model.autoencoder.encode(frames)[0].transpose(0, 1)[None]
    noise = torch.randn(1, 4, 1, 4, 4, generator=torch.Generator().manual_seed(5))
    latents = model.schedule.alphas[599] * clean + model.schedule.sigmas_vp[599] * noise
    found = {
        overlap: pipeline_32(clip, output_type='np', latents=latents, window_overlap=overlap)[VIDEO]
        for overlap in (None, 0)
    }
    assert abs(seams(found[None], 32, 8) - 1) < 0.1
    assert seams(found[0], 32, 0) > 3


def test_memory_does_not_grow_with_the_length(pipeline_32):
    """Tests the sampling only. benchmarks/video_to_video_memory.py measures the whole pipeline, at larger sizes."""
    peaks = [peak_activations(pipeline_32.model, num_frames, 64, 64, encode=False) for num_frames in (32, 100)]
    assert peaks[1] <= 1.2 * peaks[0], peaks
    assert peaks[0] > 2**20


def test_the_autoencoder_takes_a_few_frames_at_a_time(stage_2):
    sizes = {'encode': [], 'decode': []}
    autoencoder = stage_2.model.autoencoder
    handles = [
        module.register_forward_pre_hook(lambda _, inputs, name=name: sizes[name].append(inputs[0].shape))
        for name, module in (('encode', autoencoder.encoder), ('decode', autoencoder.decoder))
    ]
    try:
        clip = np.zeros((5, 24, 32, 3), np.uint8) + 99
        stage_2(clip, height=256, width=448, output_type='np', steps=1, guidance_scale=1.0, solver='dpmpp_2m')
    finally:
        for handle in handles:
            handle.remove()
    assert [shape[0] for shape in sizes['encode']] == [4, 1]
    assert [shape[0] for shape in sizes['decode']] == [4, 1]


@pytest.mark.slow
def test_ten_thousand_frames(stage_2, tmp_path):
    """An SDE solver, whose noise could pile up, and many windows; only the frames are tiny."""
    frames = np.random.default_rng(0).integers(0, 256, (10_000, 1, 1, 3), dtype=np.uint8)
    call = {'height': 16, 'width': 16, 'steps': 2, 'solver': 'dpmpp_2m_sde', 'guidance_scale': 1.0, 'output_fps': 100}
    out = stage_2(frames, output_video=tmp_path / 'long.mp4', **call)[VIDEO]
    info = probe_video(out)
    assert (info.frames, info.fps, info.width, info.height) == (10_000, 100, 16, 16)

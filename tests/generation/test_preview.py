"""Cheap previews of latents, held against the real decoder."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import modelscope_i2v
from modelscope_i2v.generation.preview import Preview, preview_callback
from tests.pages.blocks import ROOT

CAT = ROOT / 'examples' / 'cat.jpg'
FAST = {'num_frames': 4, 'steps': 4, 'seed': 1}


@pytest.fixture(scope='module', params=['image-to-video', 'video-to-video'])
def pipeline(request):
    folder = modelscope_i2v.embedded_model(request.param)
    return modelscope_i2v.load(folder, device='cpu', show_progress=False)


@pytest.fixture(scope='module')
def video():
    stage_1 = modelscope_i2v.load(modelscope_i2v.embedded_model(), device='cpu', show_progress=False)
    return stage_1(str(CAT), output_type='np', **FAST)['output_video']


def test_a_preview_is_close_to_the_decoded_video(pipeline, video):
    before = torch.random.get_rng_state()
    preview = Preview.fit(pipeline.model)
    assert torch.equal(torch.random.get_rng_state(), before)
    source = str(CAT) if pipeline.stage.task == 'image-to-video' else video
    # The steps that each model is made for.
    call = {**FAST, 'steps': pipeline.model.call_defaults()['steps']}
    latents = pipeline(source, output_type='latent', **call)['output_video']
    shown = preview(latents)
    assert (shown.shape, shown.dtype) == ((4, *latents.shape[-2:], 3), torch.uint8)
    decoded = torch.cat(list(pipeline.model.decode(latents)))
    factor = pipeline.model.configuration.autoencoder.downsampling_factor
    small = F.avg_pool2d(decoded, factor).permute(0, 2, 3, 1)
    assert np.corrcoef(shown.flatten(), small.flatten())[0, 1] > 0.9
    assert (shown.float() / 127.5 - 1 - small).abs().mean() < 0.2


def test_a_preview_of_photographs_is_close_to_the_decoder(pipeline):
    model, preview = pipeline.model, Preview.fit(pipeline.model)
    with Image.open(CAT) as opened:
        pixels = np.array(opened.convert('RGB').resize((96, 64)))
    frame = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0) / 127.5 - 1
    autoencoder = model.configuration.autoencoder
    latents = (model.encode(frame)[0] * autoencoder.scale_factor).transpose(0, 1).unsqueeze(0)
    decoded = F.avg_pool2d(torch.cat(list(model.decode(latents))), autoencoder.downsampling_factor)
    assert np.corrcoef(preview(latents).flatten(), decoded.permute(0, 2, 3, 1).flatten())[0, 1] > 0.9


@pytest.mark.slow
def test_previews_come_after_every_step_and_get_closer_to_the_video(pipeline, video):
    preview, seen = Preview.fit(pipeline.model), []
    source = str(CAT) if pipeline.stage.task == 'image-to-video' else video
    call = preview_callback(preview, lambda step, frames: seen.append((step, frames)))
    latents = pipeline(source, output_type='latent', callback_on_step_end=call, **FAST)['output_video']
    assert [step for step, _ in seen] == [0, 1, 2, 3]
    last = preview(latents).float()
    distances = [float((frames.float() - last).abs().mean()) for _, frames in seen]
    assert distances[0] > distances[2] > distances[3]
    assert distances[3] < 1

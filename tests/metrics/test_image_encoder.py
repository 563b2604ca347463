import numpy as np
import pytest
import torch
from PIL import Image

import modelscope_i2v
from benchmarks.first_generation import FIRST_GENERATION
from modelscope_i2v.embedded import embedded_model
from modelscope_i2v.errors import CheckpointError, ConfigurationError, DeviceError, InputError
from modelscope_i2v.image_to_video.preprocessor import ImageToVideoPreprocessor
from modelscope_i2v.metrics import as_frames, image_encoder, image_video_similarity, load_image_encoder
from tests.folders import variant
from tests.metrics.clips import moving_texture


@pytest.mark.parametrize('fit', ['crop', 'contain'])
def test_embeds_as_stage_1_embeds_its_picture(fit):
    frames = moving_texture(5, count=2, height=50, width=81)
    model = modelscope_i2v.load(FIRST_GENERATION, device='cpu', dtype='fp32', show_progress=False).model
    prepare = ImageToVideoPreprocessor(FIRST_GENERATION)
    squares = [prepare(Image.fromarray(frame), fit=fit)['pixel_values'] for frame in frames]
    expected = torch.cat([model.encode_image(square)[:, 0] for square in squares])
    found = load_image_encoder(FIRST_GENERATION, fit=fit, device='cpu')(as_frames(frames))
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found[0], found[1], atol=1e-3), 'the encoder must tell frames apart'


def test_the_picture_itself_has_similarity_1():
    picture = np.repeat(moving_texture(0, count=1), 3, axis=0)
    found = image_video_similarity(picture[:1], picture, load_image_encoder(device='cpu'))
    assert [found.mean, found.min, found.first] == pytest.approx([1, 1, 1], abs=1e-5)


def test_only_the_tower_is_read(golden_model, tmp_path):
    folder = variant(golden_model, tmp_path / 'model')
    for name in ('unet.pth', 'v2-1_512-ema-pruned.ckpt'):
        (folder / name).unlink()
    assert load_image_encoder(folder, device='cpu')(torch.rand(2, 3, 9, 12)).shape[0] == 2
    (folder / 'open_clip_pytorch_model.bin').unlink()
    with pytest.raises(CheckpointError, match=r'open_clip_pytorch_model\.bin'):
        load_image_encoder(folder, device='cpu')


def test_a_model_with_both_towers_embeds_with_its_image_tower(i2vgen_folder):
    frames = moving_texture(5, count=2, height=50, width=81)
    model = modelscope_i2v.load(i2vgen_folder, device='cpu', dtype='fp32', show_progress=False).model
    side = model.configuration.clip['vision_cfg']['image_size']
    expected = image_encoder(model.clip.image, side)(as_frames(frames))
    assert torch.allclose(load_image_encoder(i2vgen_folder, device='cpu')(as_frames(frames)), expected, atol=1e-6)


def test_what_cannot_be_used_is_named():
    with pytest.raises(ConfigurationError, match='image-to-video'):
        load_image_encoder(embedded_model('video-to-video'), device='cpu')
    with pytest.raises(ConfigurationError, match='no/such/folder'):
        load_image_encoder('no/such/folder')
    with pytest.raises(DeviceError, match='cuda:77'):
        load_image_encoder(device='cuda:77')
    with pytest.raises(InputError, match="'contain'"):
        image_encoder(torch.nn.Identity(), 8, 'cover')

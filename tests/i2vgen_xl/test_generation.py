"""What the second generation makes of pictures and texts; its networks are small and have learnt nothing."""

import logging

import pytest
import torch
from PIL import Image

import modelscope_i2v
from modelscope_i2v.i2vgen_xl.configuration import I2VGenXLConfiguration
from modelscope_i2v.media.reading.info import probe_video, read_recipe
from tests.calls import latents_of
from tests.folders import IMAGE, picture

SOLVERS = ('ddim', 'dpmpp_2m', 'unipc', 'euler')


def latents(pipeline, source=IMAGE, **call):
    return pipeline(source, output_type='latent', **{'seed': 1, **call})['output_video']


def test_the_configuration_says_which_generation_it_is(i2vgen_folder, stage_1_folder, stage_2_folder):
    folders = {
        i2vgen_folder: modelscope_i2v.I2VGenXLPipeline,
        stage_1_folder: modelscope_i2v.ImageToVideoPipeline,
        stage_2_folder: modelscope_i2v.VideoToVideoPipeline,
    }
    for folder, kind in folders.items():
        assert type(modelscope_i2v.load(folder, device='cpu', show_progress=False)) is kind
    both = modelscope_i2v.I2VGenXLModel, modelscope_i2v.I2VGenXLPreprocessor
    loaded = modelscope_i2v.load(i2vgen_folder, task='image-to-video', device='cpu', show_progress=False)
    assert (type(loaded.model), type(loaded.preprocessor)) == both


def test_text_negative_prompt_and_picture_matter(i2vgen):
    plain = latents(i2vgen)
    assert torch.equal(latents(i2vgen), plain)
    assert torch.equal(latents(i2vgen, text=''), plain)
    for change in ({'text': 'a fox'}, {'negative_prompt': 'a fox'}, {'fps': 4}, {'noise_strength': 0.5}, {'seed': 2}):
        assert not torch.equal(latents(i2vgen, **change), plain), change
    mirrored = Image.open(IMAGE).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert not torch.equal(latents(i2vgen, mirrored), plain)


def test_a_text_may_be_called_a_caption(i2vgen, i2vgen_folder, stage_1):
    expected = latents(i2vgen, text='a fox')
    assert torch.equal(latents(i2vgen, caption='a fox'), expected)
    for key in ('text', 'caption'):
        assert torch.equal(latents(i2vgen, {'image': IMAGE, key: 'a fox'}), expected)
    assert torch.equal(latents(i2vgen, {'image': IMAGE, 'text': 'a dog'}, caption='a fox'), expected)
    built = modelscope_i2v.load(
        i2vgen_folder, device='cpu', show_progress=False, steps=2, num_frames=3, caption='a fox'
    )
    assert torch.equal(latents(built), expected)
    assert torch.equal(latents(built, text=''), latents(i2vgen))
    with pytest.raises(TypeError, match="'caption' is another name of 'text', and both are given"):
        i2vgen(IMAGE, text='a fox', caption='a dog')
    with pytest.raises(modelscope_i2v.InputError, match="a text under 'text' and 'caption'. Give one"):
        i2vgen({'image': IMAGE, 'text': 'a fox', 'caption': 'a dog'})
    with pytest.raises(modelscope_i2v.InputError, match="'text' must be a string, found 5"):
        i2vgen(IMAGE, caption=5)


@pytest.mark.parametrize('name', ['text', 'caption', 'negative_prompt'])
def test_the_first_generation_says_which_model_takes_a_text(name, stage_1):
    with pytest.raises(TypeError, match="takes no text. Models of type .*'i2vgen-xl-model' take one"):
        stage_1(str(IMAGE), **{name: 'a fox'})
    if name != 'negative_prompt':
        with pytest.raises(modelscope_i2v.InputError, match="takes no text, .*'i2vgen-xl-model' take one"):
            stage_1({'image': str(IMAGE), name: 'a fox'})


def test_a_long_text_is_cut_with_a_warning(i2vgen, caplog):
    with caplog.at_level(logging.WARNING):
        latents(i2vgen, text=' '.join(['fox'] * 100))
    assert 'The text has 100 tokens but only 75 fit' in caplog.text


@pytest.mark.parametrize('solver', SOLVERS)
@pytest.mark.parametrize('spacing', ['leading', 'trailing'])
def test_every_solver_and_spacing_gives_finite_latents(solver, spacing, i2vgen):
    seen = []

    def see(pipeline, step, timestep, values):
        assert values['latents'].isfinite().all()
        seen.append((step, timestep))

    made = latents(i2vgen, solver=solver, timestep_spacing=spacing, steps=3, callback_on_step_end=see)
    assert made.isfinite().all()
    assert made.std() < 100
    assert [step for step, _ in seen] == [0, 1, 2]
    assert seen[0][1] == {'leading': 667, 'trailing': 999}[spacing]


def test_one_step_from_pure_noise_is_the_networks_estimate(i2vgen):
    """At timestep 999 there is no signal: v is minus the estimate."""
    arguments = {'solver': 'ddim', 'timestep_spacing': 'trailing', 'steps': 1, 'guidance_scale': 1.0}
    model, estimates = i2vgen.model, []

    def keep(module, given, out):
        estimates.append(-out)

    handle = model.unet.register_forward_hook(keep)
    try:
        made = latents(i2vgen, **arguments)
    finally:
        handle.remove()
    assert torch.equal(made, estimates[0])


def test_eta_starts_from_pure_noise_too(i2vgen):
    made = [latents(i2vgen, timestep_spacing='trailing', steps=3, eta=eta) for eta in (0.0, 1.0)]
    assert all(each.isfinite().all() for each in made)
    assert not torch.equal(*made)


def test_one_frame(i2vgen, tmp_path):
    assert latents(i2vgen, num_frames=1).shape == (1, 4, 1, 8, 8)
    i2vgen(IMAGE, num_frames=1, output_video=tmp_path / 'one.mp4')
    assert probe_video(tmp_path / 'one.mp4').frames == 1


def test_draws_are_the_picture_then_the_noise(i2vgen):
    """Posterior noise [1, 4, h, w], then [1, 4, F, h, w], and no more."""
    inputs = i2vgen.preprocessor(IMAGE)
    arguments = i2vgen.resolve_arguments({'seed': 5})
    generator = torch.Generator().manual_seed(5)
    torch.randn(1, 4, 8, 8, generator=generator)
    noise = torch.randn(1, 4, 3, 8, 8, generator=generator)
    state = torch.get_rng_state()
    given = i2vgen.model(
        inputs['pixel_values'], inputs['frame'], i2vgen.resolve_arguments({'seed': 5, 'latents': noise})
    )
    assert torch.equal(i2vgen.model(inputs['pixel_values'], inputs['frame'], arguments)['latents'], given['latents'])
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(modelscope_i2v.InputError, match=r"'latents' must have the shape \[1, 4, 3, 8, 8\]"):
        i2vgen(IMAGE, latents=noise[:, :, :2])


@pytest.mark.parametrize(
    ('size', 'call', 'expected'),
    [
        ((160, 90), {}, (48, 80)),
        ((160, 90), {'height': 32, 'width': 32, 'fit': 'contain'}, (32, 32)),
        ((2, 1), {'fit': 'contain'}, (48, 96)),
        ((20000, 10), {'height': 32, 'width': 64}, (32, 64)),
        ((10, 20000), {'height': 32, 'width': 64, 'fit': 'contain'}, (32, 64)),
    ],
)
def test_the_video_has_the_aspect_of_its_picture_by_default(size, call, expected, i2vgen):
    frames = i2vgen(picture(*size), output_type='np', seed=1, steps=1, **call)['output_video']
    assert frames.shape == (3, *expected, 3)


def test_the_real_models_sizes_follow_the_picture():
    configuration = I2VGenXLConfiguration()
    sizes = {(1280, 704), (1920, 1080), (1080, 1920), (1024, 1024), (4000, 3000)}
    found = {size: configuration.size_for(size[0] / size[1], None, None) for size in sizes}
    assert found == {
        (1280, 704): (704, 1280),
        (1920, 1080): (704, 1280),
        (1080, 1920): (1280, 704),
        (1024, 1024): (960, 960),
        (4000, 3000): (832, 1088),
    }


def test_impossible_sizes_are_refused(i2vgen):
    with pytest.raises(modelscope_i2v.InputError, match='80000x1.*pixels on a side; at most 16384 .*Give'):
        i2vgen(picture(80000, 1))
    with pytest.raises(modelscope_i2v.InputError, match="'height' must be a multiple of 16, found 40"):
        i2vgen(IMAGE, height=40)


def test_the_file_says_how_it_was_made(i2vgen, tmp_path):
    result = i2vgen(picture(160, 90), text='a fox', output_video=tmp_path / 'fox.mp4', seed=3)
    info, (entry,) = probe_video(result['output_video']), read_recipe(result['output_video'])
    assert (info.fps, info.width, info.height, info.frames) == (8, 80, 48, 3)
    named = {name: entry[name] for name in ('stage', 'model', 'text', 'height', 'width', 'fps', 'output_fps', 'seed')}
    assert named == {
        'stage': 'image-to-video',
        'model': 'I2VGen-XL',
        'text': 'a fox',
        'height': 48,
        'width': 80,
        'fps': 8,
        'output_fps': 8,
        'seed': 3,
    }
    assert 'caption' not in entry


def test_lists_and_pt(i2vgen):
    one, two = i2vgen([IMAGE, IMAGE], text='a fox', seed=[1, 2], output_type='pt')
    assert one['output_video'].shape == (3, 3, 64, 64)
    assert not torch.equal(one['output_video'], two['output_video'])
    assert latents_of(i2vgen, seed=1).shape == (1, 4, 3, 8, 8)


@pytest.mark.parametrize('dtype', ['bf16', 'fp16'])
def test_half_precision_stays_close(i2vgen_folder, i2vgen, dtype):
    half = modelscope_i2v.load(i2vgen_folder, device='cpu', dtype=dtype, show_progress=False, steps=2, num_frames=3)
    exact, rounded = latents(i2vgen, text='a fox'), latents(half, text='a fox')
    assert 0 < (exact - rounded).abs().mean() < 0.1 * exact.abs().mean()

"""Fine-tuning of the second generation: text and picture are given."""

import pytest
import torch
from modelscope.trainers import build_trainer

import modelscope_i2v
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.i2vgen_xl.training import I2VGenXLTraining
from modelscope_i2v.training.data.clips import Clip
from modelscope_i2v.training.trainer import evaluate, train
from tests.folders import IMAGE
from tests.training.tiny import SIZE, configuration, content, losses, write_data, write_model

CALL = {'steps': 1, 'num_frames': 2, 'seed': 1, 'output_type': 'latent', 'text': 'a red square'}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_model(I2VGEN_XL, tmp_path_factory.mktemp('models') / 'I2VGen-XL')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp('videos') / 'data')


@pytest.fixture(scope='module')
def loaded(folder):
    return modelscope_i2v.load(folder, device='cpu', show_progress=False)


@pytest.fixture(scope='module')
def trained(loaded):
    return I2VGenXLTraining(loaded.model)


def clip(seed=0, text='a red square'):
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (3, SIZE, SIZE, 3), dtype=torch.uint8, generator=generator)
    return Clip(frames.numpy(), fps=8.0, text=text)


def latents(folder, **options):
    return modelscope_i2v.load(folder, device='cpu', show_progress=False, **options)(str(IMAGE), **CALL)['output_video']


@torch.no_grad()
def test_conditions_are_those_of_generation(trained):
    """A condition is cached as one tensor, and taken apart again for the UNet."""
    example = clip()
    encoded = trained.encode(example)
    batch = torch.stack([encoded.condition] * 2).float()
    clean = torch.randn(2, 4, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    text, embedding, image_latents = trained.conditions(batch, clean)
    assert torch.allclose(text[1:], trained.model.encode_text(example.text), atol=2e-3)
    assert embedding.shape == (2, 1, 64)
    seen = trained._pixel_values(example)
    assert torch.allclose(embedding[:1], trained.model.encode_image(seen), atol=2e-3)
    assert torch.equal(image_latents, clean[:, :, 0])
    nothing, zeros, _ = trained.conditions(trained.unconditional()[None], clean[:1])
    assert torch.equal(nothing, trained.model.encode_text(''))
    assert torch.equal(zeros, torch.zeros(1, 1, 64))


def test_the_loss_depends_on_every_condition(trained):
    encoded = trained.encode(clip())
    objective = trained.objective(offset_noise=0.0, conditioning_dropout=0.0)

    def loss(**changes):
        named = {name: getattr(encoded, name).float()[None] for name in ('mean', 'logvar', 'condition')}
        batch = {**named, 'fps': torch.tensor([8.0]), **changes}
        with torch.no_grad():
            return float(objective(trained.model.unet, batch, torch.Generator().manual_seed(0))['loss'])

    other = trained.encode(clip(text='a dog')).condition.float()[None]
    expected = loss()
    assert loss() == expected
    assert loss(condition=other) != expected
    assert loss(fps=torch.tensor([4.0])) != expected
    dropped = trained.objective(offset_noise=0.0, conditioning_dropout=1.0)
    assert dropped.identity == {**objective.identity, 'conditioning_dropout': 1.0}


def test_it_generates_from_a_clip(trained):
    made = trained.generate(clip(), steps=1, num_frames=2, seed=1)
    assert made.shape == (2, 3, SIZE, SIZE)
    assert not torch.equal(made, trained.generate(clip(text='a dog'), steps=1, num_frames=2, seed=1))
    assert trained.image_encoder()(torch.rand(2, 3, SIZE, SIZE)).shape == (2, 64)


def test_a_lora_is_trained_loaded_and_is_its_own(folder, data, stage_1_folder, tmp_path):
    settings = configuration(folder, data, tmp_path / 'run', validation={'count': 1, 'steps': 1})
    lora = train(settings)
    assert len(losses(tmp_path / 'run')) == 4
    plain, changed = latents(folder), latents(folder, lora=lora)
    assert not torch.equal(plain, changed)
    assert torch.equal(latents(folder, lora=lora, lora_scale=0.0), plain)
    assert {'image_video_similarity', 'motion'} <= evaluate(settings, 'cpu', lora).keys()
    with pytest.raises(modelscope_i2v.CheckpointError, match='is for i2vgen-xl, not for image-to-video'):
        modelscope_i2v.load(stage_1_folder, device='cpu', lora=lora)


def test_all_weights_are_trained_into_a_model(folder, data, tmp_path):
    result = train(configuration(folder, data, tmp_path / 'run', lora=None, loop={'steps': 2}))
    assert result.is_dir()
    assert latents(result).isfinite().all()
    assert type(modelscope_i2v.load(result, device='cpu', show_progress=False)).__name__ == 'I2VGenXLPipeline'


def test_modelscopes_trainer(folder, data, tmp_path):
    values = content(folder, data, tmp_path)
    del values['cpu'], values['data'], values['output']
    trainer = build_trainer(
        'i2vgen-xl-trainer', {**values, 'train_dataset': str(data), 'work_dir': str(tmp_path), 'device': 'cpu'}
    )
    assert trainer.train().endswith('lora.safetensors')
    with pytest.raises(modelscope_i2v.ConfigurationError, match="'model.type' .* must be 'image-to-video-model'"):
        build_trainer('image-to-video-trainer', {**values, 'train_dataset': str(data), 'work_dir': str(tmp_path)})

import json
import math
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from modelscope_i2v import load
from modelscope_i2v.errors import CheckpointError, ConfigurationError, InputError
from modelscope_i2v.training.configuration import parse_training_configuration, read_training_configuration
from modelscope_i2v.training.data.datasets import ClipDataset
from modelscope_i2v.training.data.sources import find_examples
from modelscope_i2v.training.loop.log import read_log
from modelscope_i2v.training.trainer import evaluate, load_stage, train
from modelscope_i2v.weights.save import WEIGHT_FILES
from tests.training.tiny import NUM_FRAMES, SIZE, configuration, losses, write_clip

PICTURE = Image.fromarray(np.full((64, 64, 3), (20, 80, 120), np.uint8))


def generated(folder, given=PICTURE, **options):
    pipeline = load(folder, device='cpu', show_progress=False, **options)
    return pipeline(given, seed=1, steps=2, output_type='latent')['output_video']


def generated_2(folder, **options):
    video = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), np.uint8)
    return generated(folder, {'video_path': video, 'text': 'a square'}, **options)


@pytest.mark.parametrize(('stage', 'generate'), [('model', generated), ('model_2', generated_2)])
def test_a_lora_that_was_trained_loads_and_changes_the_output(stage, generate, data, tmp_path, request):
    folder = request.getfixturevalue(stage)
    path = train(configuration(folder, data, tmp_path, loop={'learning_rate': 1e-2}))
    assert path == tmp_path / 'lora.safetensors'
    base = generate(folder)
    assert torch.equal(generate(folder, lora=path, lora_scale=0), base)
    change = (generate(folder, lora=path) - base).abs().max()
    assert 1e-3 < change < 100
    assert all(tensor.isfinite().all() for tensor in load_file(path).values())


@pytest.mark.parametrize(('stage', 'generate'), [('model', generated), ('model_2', generated_2)])
def test_all_weights_can_be_trained_and_make_a_model_folder(stage, generate, data, tmp_path, request):
    folder = request.getfixturevalue(stage)
    trained = train(configuration(folder, data, tmp_path, lora=None))
    assert trained == tmp_path / 'model'
    before, after = load(folder, device='cpu', show_progress=False), load(trained, device='cpu', show_progress=False)
    assert after.model.configuration == before.model.configuration
    assert after.model.call_defaults() == before.model.call_defaults()
    for name in ('clip', 'autoencoder'):
        theirs = getattr(before.model, name).state_dict()
        assert all(torch.equal(theirs[key], value) for key, value in getattr(after.model, name).state_dict().items())
    theirs = before.model.unet.state_dict()
    same = [key for key, value in after.model.unet.state_dict().items() if torch.equal(theirs[key], value)]
    assert same == []
    assert 1e-3 < (generate(trained) - generate(folder)).abs().max() < 100


def test_an_interrupted_training_goes_on_as_if_it_had_not_stopped(model, data, tmp_path):
    whole = train(configuration(model, data, tmp_path / 'whole', loop={'steps': 6}))
    train(configuration(model, data, tmp_path / 'parts', loop={'steps': 3}))
    shutil.rmtree(tmp_path / 'parts' / 'latents')  # the cache must not matter
    parts = train(configuration(model, data, tmp_path / 'parts', loop={'steps': 6}))
    assert len(losses(tmp_path / 'whole')) == 6
    assert losses(tmp_path / 'whole') == losses(tmp_path / 'parts')
    first, second = load_file(whole), load_file(parts)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_another_lora_does_not_go_on_in_the_same_folder(model, data, tmp_path):
    train(configuration(model, data, tmp_path, loop={'steps': 1}))
    other = configuration(model, data, tmp_path, loop={'steps': 2})
    with pytest.raises(CheckpointError, match='another network.*Train into another folder'):
        train(replace(other, lora=replace(other.lora, rank=other.lora.rank + 1)))
    with pytest.raises(CheckpointError, match="other settings: 'lora' was .*'alpha': "):
        train(replace(other, lora=replace(other.lora, alpha=3.0)))


def test_a_mirrored_picture_is_encoded(model, tmp_path):
    Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)).save(tmp_path / 'a.png')
    settings = configuration(model, tmp_path, tmp_path / 'out')
    clips = replace(settings.clips, flip=1.0)
    stage = load_stage(settings, 'cpu')
    mirrored = ClipDataset(find_examples(tmp_path), clips).picture(0)
    plain = ClipDataset(find_examples(tmp_path), replace(clips, flip=0.0)).picture(0)
    assert np.array_equal(mirrored.frames, plain.frames[:, :, ::-1])
    assert stage.encode(mirrored).mean.isfinite().all()


def test_clips_are_encoded_once(model, data, tmp_path):
    cache = str(tmp_path / 'cache')
    train(configuration(model, data, tmp_path / 'one', cache=cache, variants=1))
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / 'cache').rglob('*.safetensors')}
    assert len(written) == 3  # both videos as clips, and one of them as a picture
    train(configuration(model, data, tmp_path / 'two', cache=cache, variants=1))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / 'cache').rglob('*.safetensors')} == written
    assert losses(tmp_path / 'one') == losses(tmp_path / 'two')


def test_activation_checkpointing_computes_the_same(model, data, tmp_path):
    train(configuration(model, data, tmp_path / 'plain', loop={'steps': 3}))
    train(configuration(model, data, tmp_path / 'saving', loop={'steps': 3}, activation_checkpointing=True))
    assert losses(tmp_path / 'saving') == pytest.approx(losses(tmp_path / 'plain'), rel=1e-4)


def mean_loss(folder, settings, draws=64):
    """The loss of the model in ``folder`` for one clip, with the same noise each time."""
    stage = load_stage(replace(settings, model=str(folder)), 'cpu')
    encoded = stage.encode(ClipDataset(find_examples(settings.data), settings.clips).clip(0))
    batch = {
        'mean': encoded.mean[None],
        'logvar': encoded.logvar[None],
        'condition': encoded.condition[None],
        'fps': torch.tensor([encoded.fps]),
    }
    loss = stage.objective(offset_noise=0.1, conditioning_dropout=0)
    with torch.no_grad():
        found = [loss(stage.model.unet, batch, torch.Generator().manual_seed(seed))['loss'] for seed in range(draws)]
    return float(torch.stack(found).mean())


def test_the_loss_on_one_clip_goes_down(model, tmp_path):
    (tmp_path / 'data').mkdir()
    write_clip(tmp_path / 'data' / 'a.mp4', count=NUM_FRAMES)
    loop = {'steps': 60, 'learning_rate': 3e-3, 'ema_decay': 0.9}
    settings = configuration(model, tmp_path / 'data', tmp_path, lora=None, loop=loop)
    before = mean_loss(model, settings)
    after = mean_loss(train(settings), settings)
    assert after < 0.8 * before


def test_bfloat16_weights_under_a_lora(model, data, tmp_path):
    loop = {'learning_rate': 1e-2, 'precision': 'bf16'}
    path = train(configuration(model, data, tmp_path, dtype='bf16', loop=loop))
    assert (generated(model, lora=path) - generated(model)).abs().max() > 1e-3


def test_validation_reports_metrics_and_shows_strips(model, data, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    validation = {'count': 2, 'steps': 1}
    train(configuration(model, data, tmp_path, loop={'validate_every': 2}, validation=validation))
    log = read_log(tmp_path / 'training')
    reports = {entry['step']: entry for entry in log if any(key.startswith('validation/') for key in entry)}
    assert list(reports) == [2, 4]
    names = ('image_video_similarity', 'temporal_consistency', 'motion', 'flicker', 'sharpness')
    assert set(reports[4]) == {'step', *(f'validation/{name}' for name in names)}
    assert -1 <= reports[4]['validation/image_video_similarity'] <= 1
    events = EventAccumulator(str(tmp_path / 'training' / 'tensorboard'), size_guidance={'images': 0})
    events.Reload()
    assert [event.step for event in events.Scalars('loss')] == [1, 2, 3, 4]
    assert events.Scalars('validation/motion')[1].value == pytest.approx(reports[4]['validation/motion'], rel=1e-6)
    assert set(events.Tags()['images']) == {'sample/0', 'sample/1'}
    strips = events.Images('sample/0')
    assert [(strip.step, strip.height, strip.width) for strip in strips] == [
        (step, SIZE, SIZE * (1 + NUM_FRAMES)) for step in (2, 4)
    ]


def test_stage_2_is_held_against_its_source(model_2, data, tmp_path):
    found = evaluate(configuration(model_2, data, tmp_path, validation={'count': 1, 'steps': 1}), 'cpu')
    fidelity = {'video_video_similarity', 'psnr', 'ssim'}
    assert set(found) == fidelity | {'temporal_consistency', 'motion', 'flicker', 'sharpness'}
    stage = load_stage(configuration(model_2, data, tmp_path), 'cpu')
    clip = ClipDataset(find_examples(data), configuration(model_2, data, tmp_path).clips).clip(0)
    pixels = stage.generate(clip, steps=1, seed=0, num_frames=NUM_FRAMES).mul(255).round()
    difference = pixels - torch.from_numpy(clip.frames).permute(0, 3, 1, 2)
    assert found['psnr'] == pytest.approx(10 * math.log10(255**2 / float(difference.square().mean())), abs=1e-3)


def test_stage_2_learns_the_noise_levels_that_it_starts_from(model_2, data, tmp_path):
    stage = load_stage(configuration(model_2, data, tmp_path), 'cpu')
    assert stage.objective(offset_noise=0.0, conditioning_dropout=0.0).num_timesteps == 600


def test_pictures_among_the_validated_are_no_obstacle(model_2, data, tmp_path):
    """A picture becomes a video of one frame, which has no motion and must not enter its mean."""
    mixed = tmp_path / 'mixed'
    shutil.copytree(data, mixed)
    PICTURE.save(mixed / 'a.png')
    validation = {'count': 3, 'steps': 1}
    found = evaluate(configuration(model_2, mixed, tmp_path, validation=validation), 'cpu')
    alone = evaluate(configuration(model_2, data, tmp_path, validation=validation), 'cpu')
    assert found['motion'] == pytest.approx(alone['motion'])
    assert found['sharpness'] != alone['sharpness']


@pytest.mark.parametrize(
    ('stage', 'clips', 'nearest'),
    [
        ('model', {'height': 40}, '32 and 48'),
        ('model', {'width': 100}, '96 and 112'),
        ('model_2', {'height': 40}, '32'),
    ],
)
def test_a_size_that_the_model_cannot_take(stage, clips, nearest, data, tmp_path, request):
    with pytest.raises(ConfigurationError, match=f"size of 'clips'.*{nearest}"):
        train(configuration(request.getfixturevalue(stage), data, tmp_path, clips=clips))
    assert not (tmp_path / 'latents').exists()


def test_what_cannot_be_validated_is_found_before_the_training(model_2, data, tmp_path):
    """Stage 2 starts from 600 noise levels."""
    with pytest.raises(ConfigurationError, match="'validation'.*noise_level"):
        train(configuration(model_2, data, tmp_path, validation={'count': 1, 'steps': 700}))
    assert not (tmp_path / 'training').exists()


def test_missing_data_and_useless_data(model, tmp_path):
    with pytest.raises(InputError, match='There is no training data at'):
        train(configuration(model, tmp_path / 'none', tmp_path))
    (tmp_path / 'data').mkdir()
    write_clip(tmp_path / 'data' / 'short.mp4', count=2)
    with pytest.raises(InputError, match='too short'):
        train(configuration(model, tmp_path / 'data', tmp_path))


def test_videos_that_are_too_short_are_left_out(model, data, tmp_path, caplog):
    mixed = tmp_path / 'mixed'
    shutil.copytree(data, mixed)
    write_clip(mixed / 'short.mp4', count=2)
    train(configuration(model, mixed, tmp_path / 'mixed_output'))
    assert 'short.mp4' in caplog.text
    assert len(losses(tmp_path / 'mixed_output')) == 4


def test_the_checkpoint_of_another_training_is_refused(model, data, tmp_path):
    train(configuration(model, data, tmp_path))
    with pytest.raises(CheckpointError, match='another network'):
        train(configuration(model, data, tmp_path, lora=None))


def test_other_videos_or_another_model_do_not_go_on(model, data, tmp_path):
    copies = {'data': tmp_path / 'data', 'model': tmp_path / 'model'}
    shutil.copytree(data, copies['data'])
    shutil.copytree(model, copies['model'])
    settings = configuration(copies['model'], copies['data'], tmp_path / 'out', loop={'steps': 1})
    train(settings)
    longer = replace(settings, loop=replace(settings.loop, steps=2))
    (copies['data'] / '0.txt').write_text('a blue square')
    with pytest.raises(CheckpointError, match="other settings: 'data' was"):
        train(longer)
    shutil.copy(data / '0.txt', copies['data'])
    weights = load_file(copies['model'] / WEIGHT_FILES['ckpt_unet'])
    save_file({name: tensor * 1.01 for name, tensor in weights.items()}, copies['model'] / WEIGHT_FILES['ckpt_unet'])
    with pytest.raises(CheckpointError, match="other settings: 'model' was"):
        train(longer)


def test_a_model_that_is_not_there(data, tmp_path):
    with pytest.raises(ConfigurationError, match='no model folder'):
        train(configuration(tmp_path / 'none', data, tmp_path))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'outptu': 'x'}, "Unknown key 'outptu'.*Did you mean 'output'"),
        ({'clips': {'num_frame': 3}}, "Unknown key 'num_frame' of section 'clips'.*Did you mean 'num_frames'"),
        ({'lora': {'rank': 0}}, "section 'lora'.*'rank'.*found 0"),
        ({'loop': 3}, "'loop'.*must be a JSON object"),
        ({'lora': None, 'dtype': 'bf16'}, "'dtype' is 'bf16'.*must be 'fp32'"),
        ({'cpu': 1}, "'cpu' must be true or false"),
        ({'cache': 7}, "'cache' must be a string"),
        ({'variants': 0}, "'variants' must be a whole number of at least 1"),
        ({'model': 7}, "'model' must be a string"),
        ({'validation': {'steps': 0}}, "section 'validation'.*'steps'"),
    ],
)
def test_impossible_configurations(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_training_configuration({'model': 'm', 'data': 'd', 'output': 'o', **changes}, 'train.json')


def test_required_keys():
    with pytest.raises(ConfigurationError, match="'train.json' lacks the required 'data', 'output'"):
        parse_training_configuration({'model': 'm'}, 'train.json')


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / 'net').mkdir()
    values = {'model': 'net', 'data': 'd', 'output': '/o', 'cache': 'c', 'validation': {'data': 'v'}}
    (tmp_path / 'train.json').write_text(json.dumps(values))
    found = read_training_configuration(tmp_path / 'train.json')
    assert (found.model, found.data, found.output, found.cache, found.validation.data) == (
        str(tmp_path / 'net'),
        str(tmp_path / 'd'),
        '/o',
        str(tmp_path / 'c'),
        str(tmp_path / 'v'),
    )
    (tmp_path / 'train.json').write_text(json.dumps({**values, 'model': 'damo/Image-to-Video', 'lora': None}))
    found = read_training_configuration(tmp_path / 'train.json')
    assert (found.model, found.lora) == ('damo/Image-to-Video', None)


@pytest.mark.parametrize(('text', 'message'), [('{', 'cannot be read as JSON'), ('[1]', 'JSON object, found a list')])
def test_files_that_are_no_configuration(text, message, tmp_path):
    (tmp_path / 'train.json').write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_training_configuration(tmp_path / 'train.json')
    with pytest.raises(ConfigurationError, match='There is no training configuration'):
        read_training_configuration(tmp_path / 'none.json')


@pytest.mark.slow
def test_a_minute_of_training_lowers_the_loss(model, data, tmp_path):
    """The loss of clips under fixed noise, before and after."""
    loop = {'steps': 100, 'learning_rate': 2e-3, 'ema_decay': 0.95}
    settings = configuration(model, data, tmp_path, lora=None, loop=loop)
    started = time.monotonic()
    train(settings)
    per_step = (time.monotonic() - started) / 100
    steps = 100 + int((60 - 100 * per_step) / per_step)
    settings = replace(settings, loop=replace(settings.loop, steps=steps))
    after = mean_loss(train(settings), settings)
    assert after < 0.6 * mean_loss(model, settings)

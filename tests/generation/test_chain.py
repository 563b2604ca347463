"""``modelscope_i2v.chain``: both stages in memory, and a random video can be made again."""

import numpy as np
import pytest

import modelscope_i2v
from modelscope_i2v.errors import ConfigurationError, InputError, OutputError
from modelscope_i2v.media.reading.info import probe_video
from tests.calls import CLIP, build, build_2, latents_of
from tests.folders import IMAGE, variant

FAST = {'steps': 1, 'num_frames': 2, 'height': 32, 'width': 32, 'device': 'cpu', 'show_progress': False}


@pytest.fixture(scope='module')
def pipelines(stage_1_folder, stage_2_folder):
    return build(stage_1_folder), build_2(stage_2_folder)


def test_a_random_chain_can_be_made_again(stage_1_folder, stage_2_folder, tmp_path):
    models = {'stage1': stage_1_folder, 'stage2': stage_2_folder}
    first = modelscope_i2v.chain(IMAGE, **models, output_video=tmp_path / 'a.mp4', **FAST)
    seeds = {'stage1_seed': first['stage1']['seed'], 'stage2_seed': first['seed']}
    assert len(set(seeds.values())) == 2
    again = modelscope_i2v.chain(IMAGE, **models, **seeds, **FAST)
    assert again['output_video'] == (tmp_path / 'a.mp4').read_bytes()
    assert np.array_equal(again['stage1']['output_video'], first['stage1']['output_video'])
    other = modelscope_i2v.chain(IMAGE, **models, stage1_seed=seeds['stage1_seed'], stage2_seed=0, **FAST)
    assert np.array_equal(other['stage1']['output_video'], first['stage1']['output_video'])
    assert other['output_video'] != again['output_video']
    both = modelscope_i2v.chain(IMAGE, **models, seed=3, stage2_seed=4, **FAST)
    assert (both['stage1']['seed'], both['seed']) == (3, 4)


def test_stage_1_is_kept_where_it_is_asked_for(pipelines, tmp_path):
    call = {name: value for name, value in FAST.items() if name != 'device'}
    made = modelscope_i2v.chain(
        IMAGE, text='a fox', stage1=pipelines[0], stage2=pipelines[1], keep_stage1=tmp_path / 'low.mp4', fps=6, **call
    )
    assert made['stage1']['output_video'] == str(tmp_path / 'low.mp4')
    info = probe_video(tmp_path / 'low.mp4')
    assert (info.frames, info.fps) == (2, 6)
    assert isinstance(made['output_video'], bytes)


def test_loaded_pipelines_stay_as_they_are(pipelines):
    first, second = pipelines
    own, before = second.model.autoencoder, (latents_of(first, seed=1, num_frames=1), latents_of(second, seed=1))
    call = {name: value for name, value in FAST.items() if name != 'device'}
    made = modelscope_i2v.chain(IMAGE, stage1=first, stage2=second, seed=2, **call)
    assert made['stage1']['output_video'].dtype == np.uint8
    assert second.model.autoencoder is own
    after = latents_of(first, seed=1, num_frames=1), latents_of(second, seed=1)
    assert all(bool((a == b).all()) for a, b in zip(before, after, strict=True))
    low = second(CLIP, seed=2, output_type='np', steps=1, height=32, width=32)['output_video']
    assert low.shape == (3, 32, 32, 3)


def test_a_prefix_gives_an_argument_to_one_stage(pipelines, monkeypatch):
    seen = []
    for pipeline in pipelines:
        forward = pipeline.forward
        monkeypatch.setattr(
            pipeline, 'forward', lambda inputs, call, forward=forward: seen.append(call) or forward(inputs, call)
        )
    call = {'stage1_solver': 'euler', 'stage2_steps': 2, 'stage2_guidance_scale': 1, 'negative_prompt': 'dark'}
    shared = {name: value for name, value in FAST.items() if name != 'device'}
    modelscope_i2v.chain(IMAGE, stage1=pipelines[0], stage2=pipelines[1], **call, **shared, eta=0.0, stage1_height=48)
    one, two = seen
    assert (one.solver, one.steps, one.num_frames, one.height) == ('euler', 1, 2, 48)
    assert (two.steps, two.guidance_scale, two.negative_prompt, two.height) == (2, 1, 'dark', 32)


@pytest.mark.parametrize(
    ('arguments', 'error', 'said'),
    [
        ({'output_video': 'a.mp4', 'output_type': 'np'}, InputError, "'output_video' is written for output_type='mp4'"),
        ({'stage1': 5}, InputError, "'stage1' must be a folder, a hub id or a pipeline, found int"),
        ({'stage2': b'x'}, InputError, "'stage2' must be a folder, a hub id or a pipeline, found bytes"),
        ({'stage1': './no/such'}, ConfigurationError, "There is no model folder './no/such'"),
        ({'stage1': '.'}, ConfigurationError, 'has no configuration.json'),
        ({'stage1': ''}, ConfigurationError, 'There is no model folder'),
        ({'keep_stage1': 5, 'output_video': 'o.mp4'}, OutputError, 'must be a path, found'),
        ({'model': 'x'}, TypeError, "Did you mean 'stage1'"),
        ({'stage2_model': 'x'}, TypeError, "Did you mean 'stage2'"),
        ({'stage1_num_inference_steps': 1}, TypeError, "Did you mean 'stage1_steps'"),
        ({'stage2_text': 'x'}, TypeError, "Did you mean 'text'"),
        ({'stage1_fps': 8}, TypeError, "Did you mean 'fps'"),
        ({'fit': 'keep'}, TypeError, "Did you mean 'stage1_fit' or 'stage2_fit'"),
        ({'guidance': 2}, TypeError, "Did you mean 'stage1_guidance_scale' or 'stage2_guidance_scale'"),
        ({'stage2_lora': 5}, InputError, "'lora' must be the path of a file or None, found 5"),
        ({'stepps': 1}, TypeError, "'stepps' of chain.*Did you mean 'steps'"),
        ({'stage2_stepps': 1}, TypeError, "'stage2_stepps' of chain.*Did you mean 'stage2_steps'"),
        ({'stage2_fps': 1}, TypeError, "'stage2_fps' of chain"),
        ({'stage1_text': 'x'}, TypeError, "'stage1_text' of chain"),
        ({'prompt': 'x'}, TypeError, "Did you mean 'text'"),
        ({'text': 3}, InputError, "'text' must be a string"),
        ({'steps': 0}, InputError, "'steps'"),
        ({'stage2_steps': 0}, InputError, "'steps'"),
        ({'noise_level': 1000}, InputError, "'noise_level'"),
        (
            {'stage1': 'nobody/nothing'},
            ConfigurationError,
            "has no known counterpart for stage 2. Name one with 'stage2'",
        ),
        ({'revision': 'v1'}, InputError, "The revision 'v1' for image-to-video needs a model from the hub"),
        ({'output_video': 'a.avi'}, OutputError, r'\.avi'),
        ({'output_video': 'a.mp4', 'keep_stage1': './a.mp4'}, InputError, 'are the same file'),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_loaded(arguments, error, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        modelscope_i2v.chain(IMAGE, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_pipelines_in_the_wrong_place(pipelines):
    first, second = pipelines
    with pytest.raises(ConfigurationError, match='A pipeline for video-to-video is needed here, found one for image'):
        modelscope_i2v.chain(IMAGE, stage2=first, device='cpu')
    with pytest.raises(InputError, match='No stage follows video-to-video: nothing can make its videos sharper'):
        modelscope_i2v.chain(IMAGE, stage1=second)
    with pytest.raises(InputError, match="'device', 'lora' for image-to-video: this is for loading a model"):
        modelscope_i2v.chain(IMAGE, stage1=first, stage2=second, device='cpu', lora='a.safetensors')


def test_the_embedded_model_has_the_embedded_one_as_its_counterpart():
    for first in (modelscope_i2v.embedded_model(), modelscope_i2v.load(modelscope_i2v.embedded_model(), device='cpu')):
        call = {'show_progress': False, 'steps': 1, 'num_frames': 1, 'stage1_height': 32, 'stage1_width': 32}
        made = modelscope_i2v.chain(IMAGE, stage1=first, height=32, width=32, output_type='np', **call)
        assert made['output_video'].shape == (1, 32, 32, 3)


def test_a_callback_sees_both_stages(pipelines):
    seen = []
    call = {name: value for name, value in FAST.items() if name != 'device'}
    modelscope_i2v.chain(
        IMAGE,
        stage1=pipelines[0],
        stage2=pipelines[1],
        **call,
        callback_on_step_end=lambda pipeline, *_: seen.append(pipeline.stage.task),
    )
    assert seen == ['image-to-video', 'video-to-video']


def test_a_default_output_of_a_loaded_pipeline_is_refused(stage_1_folder, pipelines, tmp_path):
    first = build(stage_1_folder, output_video=str(tmp_path / 'own.mp4'))
    with pytest.raises(InputError, match="pipeline for image-to-video has a default 'output_video'"):
        modelscope_i2v.chain(IMAGE, stage1=first, stage2=pipelines[1])


def test_stage_2_has_the_revision_of_stage_1(stage_1_folder, stage_2_folder, tmp_path, monkeypatch):
    monkeypatch.setenv('MODELSCOPE_CACHE', str(tmp_path))
    first = variant(stage_1_folder, tmp_path / 'models' / 'damo--Image-to-Video' / 'snapshots' / 'v1.1.0')
    for revision in ('v1.0.0', 'v1.1.0'):
        variant(stage_2_folder, tmp_path / 'models' / 'damo--Video-to-Video' / 'snapshots' / revision)
    call = {name: value for name, value in FAST.items() if name != 'device'}
    for given in (first, modelscope_i2v.load(first, device='cpu', show_progress=False)):
        made = modelscope_i2v.chain(IMAGE, stage1=given, offline=True, **call)
        assert (made['model_revision'], made['stage1']['model_revision']) == ('v1.1.0', 'v1.1.0')

"""Visible arguments: in ``help()``, in an editor, and for a type checker."""

import inspect
import pydoc
import subprocess
import sys

import numpy as np
import pytest
import torch

import modelscope_i2v
from modelscope_i2v.image_to_video.arguments import ImageToVideoArguments
from modelscope_i2v.video_to_video.arguments import VideoToVideoArguments
from tests.calls import latents_of
from tests.folders import IMAGE, variant

KINDS = {'stage_1': ImageToVideoArguments, 'stage_2': VideoToVideoArguments}

SCRIPT = """
import modelscope_i2v

stage1 = modelscope_i2v.load('damo/Image-to-Video', 'v1.1.0', task='image-to-video', device='cuda:0')
stage2 = modelscope_i2v.load('damo/Video-to-Video', task='video-to-video')
low = stage1('photo.jpg', seed=1, steps=30, noise_strength=0.2, output_video='low.mp4')
many = stage1(['a.jpg', 'b.jpg'], seed=[1, 2])
high = stage2(low['output_video'], text='a fox', noise_level=300, callback_on_step_end=lambda *step: None)
both = modelscope_i2v.chain('photo.jpg', text='a fox', stage1_seed=1)
wrong = stage1('photo.jpg', num_inference_steps=30)
print(stage2.to('cpu').model_name, both['stage1']['seed'], many, high, wrong)
"""


@pytest.mark.parametrize('name', KINDS)
def test_help_shows_every_argument_with_type_and_default(name, request):
    pipeline, kind = request.getfixturevalue(name), KINDS[name]
    shown = pydoc.plain(pydoc.render_doc(pipeline))
    assert 'steps: int | None = None' in shown
    call = inspect.signature(type(pipeline).__call__).parameters
    own = inspect.signature(kind).parameters
    assert {key: value.default for key, value in call.items() if key in own} == {
        key: value.default for key, value in own.items()
    }
    assert all(not isinstance(call[key].annotation, str) for key in own)
    assert [*call][:2] == ['self', 'input']


@pytest.mark.slow
def test_a_script_under_mypy_has_its_one_wrong_argument_reported(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(SCRIPT.lstrip())
    done = subprocess.run(
        [sys.executable, '-m', 'mypy', '--strict', '--cache-dir', str(tmp_path / 'cache'), str(script)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=tmp_path,
        env={'PATH': '', 'MYPYPATH': str(IMAGE.parents[3])},
    )
    errors = [line for line in done.stdout.splitlines() if ': error:' in line and line.startswith('script.py')]
    assert len(errors) == 1, done.stdout + done.stderr
    assert errors[0].startswith('script.py:9:')
    assert 'Unexpected keyword argument "num_inference_steps"' in errors[0]


#: A name from another library, and the message about it in each stage.
NAMES = [
    ('num_inference_steps', "Did you mean 'steps'?", "Did you mean 'steps'?"),
    ('generator', "Did you mean 'seed'?", "Did you mean 'seed'?"),
    ('prompt', 'This model takes no text.', "Did you mean 'text'?"),
    ('text', 'This model takes no text.', None),
    ('negative_prompt', 'This model takes no text.', None),
    ('image', 'Give the input as the first argument.', 'Give the input as the first argument.'),
    ('num_videos_per_prompt', 'give a list of inputs', 'give a list of inputs'),
    ('decode_chunk_size', 'Leave it out', 'Leave it out'),
    ('strength', '.', "Did you mean 'noise_level'?"),
    ('dtype', 'Give it when you load the model', 'Give it when you load the model'),
    ('torch_dtype', 'Give it when you load the model', 'Give it when you load the model'),
    ('step', "Did you mean 'steps'?", "Did you mean 'steps'?"),
]


@pytest.mark.parametrize(('name', 'first', 'second'), NAMES)
def test_names_of_other_libraries_get_ours(name, first, second, stage_1, stage_2):
    for pipeline, said in ((stage_1, first), (stage_2, second)):
        if said is None:
            continue
        with pytest.raises(TypeError, match=f"Unknown argument '{name}'") as caught:
            pipeline(str(IMAGE), **{name: 1})
        assert said in str(caught.value)


def test_a_text_for_stage_1_is_refused(stage_1):
    with pytest.raises(modelscope_i2v.InputError, match='This model takes no text'):
        stage_1({'image': str(IMAGE), 'text': 'a fox'})


@pytest.mark.parametrize(
    ('option', 'said'),
    [
        ({'device_map': 'auto'}, "'device_map' of pipeline.*Did you mean 'device'"),
        ({'auto_collate': False}, "'auto_collate' of pipeline"),
        ({'torch_dtype': 'fp16'}, "'torch_dtype' of pipeline.*Did you mean 'dtype'"),
    ],
)
def test_arguments_that_do_nothing_are_refused(option, said, stage_1_folder):
    from modelscope.pipelines import pipeline

    with pytest.raises(TypeError, match=said):
        pipeline('image-to-video', model=str(stage_1_folder), device='cpu', **option)
    with pytest.raises(TypeError, match=said.replace('pipeline', 'load')):
        modelscope_i2v.load(stage_1_folder, device='cpu', **option)


def test_dtypes_of_torch_are_taken(stage_1_folder):
    made = modelscope_i2v.load(stage_1_folder, device='cpu', dtype=torch.bfloat16, show_progress=False)
    assert made.model.dtype == next(made.model.unet.parameters()).dtype == torch.bfloat16
    with pytest.raises(modelscope_i2v.InputError, match=r"'dtype' must be one of .*found 'torch.int8'"):
        modelscope_i2v.load(stage_1_folder, device='cpu', dtype=torch.int8)


def test_a_model_that_is_built_takes_no_more_options(stage_1):
    from modelscope.pipelines import pipeline

    for option in ({'dtype': 'fp16'}, {'attention': 'math'}, {'compile': True}, {'lora_scale': 0.5}):
        with pytest.raises(TypeError, match='is for building a model, but this one is already built'):
            pipeline('image-to-video', model=stage_1.model, device='cpu', **option)
    with pytest.raises(modelscope_i2v.DeviceError, match="'cuda:77' is not available"):
        pipeline('image-to-video', model=stage_1.model, device='cuda:77')


def test_a_relative_folder_stays_the_same_model_in_another_folder(stage_1_folder, tmp_path, monkeypatch):
    folder = variant(stage_1_folder, tmp_path / 'models' / 'me--m' / 'snapshots' / 'v1')
    monkeypatch.chdir(folder)
    made = modelscope_i2v.load('.', device='cpu', show_progress=False)
    monkeypatch.chdir(tmp_path)
    assert (made.model_name, made.model_revision) == ('me/m', 'v1')


def test_numbers_are_gpus(stage_1_folder):
    count = torch.cuda.device_count()
    with pytest.raises(modelscope_i2v.DeviceError, match=f"'cuda:{count}' is not available"):
        modelscope_i2v.load(stage_1_folder, device=count)


def test_pipelines_can_be_moved(stage_1_folder, monkeypatch):
    made = modelscope_i2v.load(stage_1_folder, device='cpu', show_progress=False, steps=1, num_frames=1)
    before = latents_of(made, seed=1)
    assert made.to('cpu') is made
    assert torch.equal(latents_of(made, seed=1), before)
    with pytest.raises(modelscope_i2v.DeviceError, match='is not available'):
        made.to('cuda:99')
    assert torch.equal(latents_of(made, seed=1), before)
    # There is no second device here, but torch has 'meta', which computes nothing.
    monkeypatch.setattr('modelscope_i2v.runtime.execution.resolve_device', lambda name, **_: torch.device(name))
    made.to('meta')
    assert {part.device.type for part in made.model.parameters()} == {'meta'}
    assert (made.device, made.model.device, made.device_name) == (torch.device('meta'), torch.device('meta'), 'meta')


def test_load_checks_the_task(stage_1_folder):
    with pytest.raises(modelscope_i2v.ConfigurationError, match='is a model for image-to-video; video-to-video needs'):
        modelscope_i2v.load(stage_1_folder, task='video-to-video', device='cpu')
    with pytest.raises(modelscope_i2v.InputError, match="'task' must be one of.*Did you mean 'image-to-video'"):
        modelscope_i2v.load(stage_1_folder, task='image-to-vidoe', device='cpu')


def test_media_has_the_doors(tmp_path):
    from modelscope_i2v import media

    image = media.load_image(str(IMAGE))
    video = media.open_video([image, image])
    path = media.write_video((frame.pixels for frame in video.frames()), tmp_path / 'a.mp4', fps=8)
    assert media.open_video(path).fps == 8
    with pytest.raises(AttributeError):
        media.load_video  # noqa: B018


@pytest.mark.parametrize('name', ['image', 'video', 'video_path'])
def test_an_input_by_another_name_gets_a_hint(name, stage_1):
    with pytest.raises(TypeError, match=f"Unknown argument '{name}'. Give the input as the first argument"):
        stage_1(**{name: str(IMAGE)})
    with pytest.raises(TypeError, match='^Give the input as the first argument'):
        stage_1(steps=1)


def test_every_item_of_a_list_is_checked_before_the_first_is_generated(stage_1, tmp_path):
    outputs = [str(tmp_path / name) for name in ('a.mp4', 'b.mp4')]
    wrong = [
        ({'seed': [1, 'x'], 'output_video': outputs}, "'seed'"),
        ({'output_video': [outputs[0], str(tmp_path / 'b.avi')]}, '.avi'),
        ({'output_video': [outputs[0], outputs[0]]}, 'names the same file twice'),
    ]
    for call, said in wrong:
        with pytest.raises(modelscope_i2v.ModelScopeI2VError, match=said):
            stage_1([str(IMAGE)] * 2, **call)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('name', ['text', 'caption', 'prompt'])
def test_any_name_of_a_text_is_refused_by_stage_1(name, stage_1, caplog):
    for text in ('a fox', ['a'], np.array(['a', 'b'])):
        with pytest.raises(modelscope_i2v.InputError, match=f"This model takes no text, found '{name}'"):
            stage_1({'image': str(IMAGE), name: text})
    stage_1({'image': str(IMAGE), 'imgae': 1}, output_type='latent')
    assert "Ignoring 'imgae' of the input. Did you mean 'image'?" in caplog.text


def test_none_is_not_given_wherever_a_model_is_loaded(stage_1_folder):
    nothing = {'dtype': None, 'attention': None, 'lora': None, 'lora_scale': None}
    for build in (modelscope_i2v.load, modelscope_i2v.ImageToVideoPipeline):
        assert build(stage_1_folder, device='cpu', show_progress=False, **nothing).model.dtype == torch.float32
        with pytest.raises(modelscope_i2v.InputError, match="'lora_scale' needs 'lora'"):
            build(stage_1_folder, device='cpu', lora_scale=2.0)
        with pytest.raises(modelscope_i2v.InputError, match="'lora' must be the path of a file or None, found 5"):
            build(stage_1_folder, device='cpu', lora=5)


def test_devices_as_torch_has_them(stage_1_folder):
    made = modelscope_i2v.load(stage_1_folder, device=torch.device('cpu', 0), show_progress=False)
    assert made.to(torch.device('cpu')).device == torch.device('cpu')
    with pytest.raises(modelscope_i2v.DeviceError, match='torch.float16 is a dtype, not a device'):
        made.to(torch.float16)

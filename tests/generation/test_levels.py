"""Memory levels: which one a call gets, what the estimate and the refusal make of it, and where it is said."""

import dataclasses
import json
from functools import partial
from pathlib import Path

import pytest
import torch

import modelscope_i2v
from modelscope_i2v import ImageToVideoPipeline
from modelscope_i2v.cli.main import main
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.arguments import merge_arguments
from modelscope_i2v.generation.chain_arguments import split_arguments
from modelscope_i2v.generation.levels import choose_level
from modelscope_i2v.generation.memory import Weights, estimate, weights_of
from modelscope_i2v.generation.memory_check import Room, check_memory
from modelscope_i2v.generation.video_size import InputSize, VideoSize
from modelscope_i2v.i2vgen_xl.configuration import I2VGenXLConfiguration
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.image_to_video.configuration import ImageToVideoConfiguration
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.media.reading.info import read_recipe
from modelscope_i2v.networks.build import build_on_meta
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.runtime.memory_level import AMPLE, FULL, GIB, LEVELS, LOW, NAMED, OFFLOAD, limit_of, resolve_memory
from modelscope_i2v.stage import stage_of
from modelscope_i2v.video_to_video.configuration import VideoToVideoConfiguration
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO
from tests.calls import VIDEO, build
from tests.folders import IMAGE
from tests.generation.test_memory import GPU, arguments_of, refusal

DOCUMENT = Path(__file__).parents[2] / 'docs' / 'models.md'
SECOND = VideoToVideoConfiguration()
SIZE = VideoSize(32, 720, 1280)
#: About those of the published stage 2, in half precision.
WEIGHTS = Weights(clip=int(0.7 * GIB), unet=int(2.7 * GIB), autoencoder=int(0.3 * GIB), streamed=int(0.5 * GIB))
ARGUMENTS = arguments_of(SECOND)
FAST = {'steps': 1, 'num_frames': 2, 'seed': 1, 'height': 32, 'width': 32}


def level(memory='auto', size=SIZE, total=None, execution=GPU, configuration=SECOND):
    execution = dataclasses.replace(execution, memory=memory)
    return choose_level(configuration, arguments_of(configuration), execution, size, WEIGHTS, total=total)


def needed(at, size=SIZE):
    return estimate(SECOND, ARGUMENTS, GPU.at(at), size, weights=WEIGHTS).on(GPU.device)


@pytest.mark.parametrize('memory', ['auto', 'ample', 'full', 'offload', 'low', '6GB', '4.5 gb', '12GB'])
def test_what_memory_takes(memory):
    assert resolve_memory(memory) == memory
    assert resolve_memory(None) == 'auto'


@pytest.mark.parametrize(
    'memory', ['lo', 'LOW', '', '6', '6MB', '0GB', '-1GB', 'nanGB', '1e3GB', 6, True, b'low', ['low']]
)
def test_what_memory_does_not_take(memory):
    with pytest.raises(InputError, match=r"'memory' must be one of 'auto', .* or a limit such as '6GB', found"):
        Execution.resolve('cpu', memory=memory)


def test_limits_are_in_gibibytes():
    assert limit_of('6GB') == 6 * GIB
    assert limit_of('0.5GB') == GIB // 2
    assert limit_of('auto') is None


def test_each_level_needs_less_than_the_one_before():
    assert [each.next for each in NAMED] == [FULL, OFFLOAD, LOW, None]
    assert needed(AMPLE) > needed(FULL)
    full, offloaded, low = map(needed, LEVELS)
    assert full > offloaded > low
    # One network with what it computes with: the UNet, or the autoencoder.
    activations = estimate(SECOND, ARGUMENTS, GPU, SIZE).device
    assert full == WEIGHTS.total + activations
    sampling = estimate(SECOND, dataclasses.replace(ARGUMENTS, output_type='latent'), GPU.at(LOW), SIZE).device
    assert offloaded == max(sampling + WEIGHTS.unet, activations + WEIGHTS.autoencoder)
    assert low == sampling + WEIGHTS.streamed


def test_a_limit_gets_the_first_level_that_fits():
    for each in LEVELS:
        exactly = f'{needed(each) / GIB + 1e-3:.3f}GB'
        below = f'{needed(each) / GIB - 1e-3:.3f}GB'
        assert level(exactly) == each
        assert level(below) == (each.next or LOW)
        assert level(exactly, dataclasses.replace(SIZE, frames=None)) == each  # 32 frames are a window


def test_auto_asks_what_the_gpu_has_not_what_is_free():
    cards = {80: FULL, 12: FULL, 6: OFFLOAD, 3: LOW}
    assert {card: level(total=card * GIB) for card in cards} == cards
    assert level(total=6 * GIB, size=VideoSize(8, 144, 256)) == FULL
    cpu = Execution(torch.device('cpu'), torch.float32, 'sdpa')
    assert level(total=GIB, execution=cpu) == FULL


@pytest.mark.parametrize('each', NAMED)
def test_named_levels_are_what_they_say(each):
    assert level(each.name, total=GIB) == level(each.name, total=80 * GIB) == each


#: The published models with the sizes of docs/models.md.
PUBLISHED = {
    'stage 1': (IMAGE_TO_VIDEO, ImageToVideoConfiguration(), VideoSize(32, 256, 448)),
    'stage 2': (VIDEO_TO_VIDEO, SECOND, SIZE),
    'the second generation': (I2VGEN_XL, I2VGenXLConfiguration(), VideoSize(16, 704, 1280)),
}


@pytest.mark.parametrize('name', PUBLISHED)
def test_the_table_of_levels(name):
    stage, configuration, size = PUBLISHED[name]
    networks = {key: build_on_meta(partial(make, configuration)) for key, make in stage.networks.items()}
    weights = weights_of(networks, GPU.dtype)
    arguments = merge_arguments(stage.arguments, configuration.call_defaults(), {})
    peaks = [estimate(configuration, arguments, GPU.at(each), size, weights=weights) for each in LEVELS]
    cells = ' | '.join(f'{peak.on(GPU.device) / GIB:.1f} GiB' for peak in peaks)
    assert f'| {name} | {cells} |\n' in DOCUMENT.read_text(encoding='utf-8')


def test_on_a_cpu_nothing_is_offloaded():
    """What does not compute is in the same memory."""
    cpu = Execution(torch.device('cpu'), torch.float32, 'sdpa')
    full, offloaded = (estimate(SECOND, ARGUMENTS, cpu.at(at), SIZE, weights=WEIGHTS) for at in (FULL, OFFLOAD))
    assert full == offloaded
    assert cpu.at(LOW).resting_place == cpu.device
    assert GPU.at(LOW).resting_place == cpu.device
    assert GPU.at(FULL).resting_place == GPU.device


def refused(memory, free, **options):
    execution = dataclasses.replace(GPU, memory=memory)
    return refusal(
        SECOND, Room(int(free * GIB), 64 * GIB), execution, WEIGHTS, InputSize(16 / 9, lambda n: n), **options
    )


def test_the_refusal_follows_the_level():
    assert refused('full', 6.1) is None
    assert "What fits: height=592 for 32 frames, or memory='offload'. force" in refused('full', 5.5)
    assert refused('offload', 5.5) is None
    assert refused('low', 5.5) is None


def test_a_limit_that_no_level_keeps_is_refused_with_the_numbers():
    said = refused('2GB', 80)
    assert said.startswith('32 frames of 1280 x 720 pixels would take about ')
    assert "GiB of it for the weights, but memory='2GB' allows only 2.0 GiB." in said
    assert "memory='" not in said.partition('allows only')[2]
    assert refused('6GB', 80) is None
    assert refused('2GB', 80, force=True) is None


def test_weights_that_wait_take_main_memory():
    """Less is free there than on the card, as on a PC with 4 GB for everything else."""
    given = InputSize(16 / 9, lambda n: n)
    room = Room(5 * GIB, int(3.5 * GIB))
    message = refusal(SECOND, room, dataclasses.replace(GPU, memory='low'), WEIGHTS, given)
    assert 'about 3.7 GiB of memory, 3.7 GiB of it for weights that wait there, but main memory has only 3.5' in message
    assert 'Not even the smallest video fits' in message
    assert refusal(SECOND, Room(80 * GIB, int(3.5 * GIB)), GPU, WEIGHTS, given) is None
    message = refusal(SECOND, Room(80 * GIB, int(3.5 * GIB)), dataclasses.replace(GPU, memory='low'), WEIGHTS, given)
    assert "What fits: memory='full'. force" in message
    low = dataclasses.replace(GPU, memory='low')
    check_memory(SECOND, ARGUMENTS, low, room=room, weights=WEIGHTS, resting=WEIGHTS.total, given=given)


def test_a_model_knows_where_its_weights_are(stage_1_folder):
    model = build(stage_1_folder, **FAST).model
    assert (model.resident_bytes, model.resting_bytes) == (model.weights.total, 0)
    model.execution = dataclasses.replace(model.execution, device=torch.device('meta'), level=LOW)
    assert (model.resident_bytes, model.resting_bytes) == (0, model.weights.total)


def test_where_nothing_fits_at_the_own_level_the_lowest_one_counts():
    message = refused('full', 2.2)
    assert "What fits: memory='low' with num_frames=30 at this size, or memory='low' with height=" in message
    frames = int(message.partition('num_frames=')[2].split()[0])
    assert refused('low', 2.2, num_frames=frames) is None
    assert refused('low', 2.2, num_frames=frames + 1) is not None


def test_weights_that_are_there_do_not_count_again():
    free = Room(needed(FULL) - WEIGHTS.total, 64 * GIB)
    given = InputSize(16 / 9, lambda n: n)
    check_memory(SECOND, ARGUMENTS, GPU, room=free, weights=WEIGHTS, resident=WEIGHTS.total, given=given)
    assert refusal(SECOND, free, GPU, WEIGHTS, given) is not None


def test_results_depend_on_a_level_only_where_it_says_so(stage_1_folder):
    videos = {
        each: build(stage_1_folder, memory=each, **FAST)(str(IMAGE), output_type='np')[VIDEO]
        for each in ('auto', 'full', 'offload', 'low', '6GB')
    }
    # A limit of 1 GB makes no bands of small frames.
    assert all((video == videos['full']).all() for video in videos.values())
    ample = build(stage_1_folder, memory='ample', **FAST)
    assert ample.recipe(ample.resolve_arguments({}))['memory'] == 'ample'
    assert abs(ample(str(IMAGE), output_type='np')[VIDEO].astype(int) - videos['full']).max() <= 1


def test_the_level_of_a_call_follows_its_size(stage_1_folder):
    """On a CPU, bands are what a level can save."""
    pipeline = build(stage_1_folder, **FAST)
    size = {'height': 1024, 'width': 1024}
    arguments = {
        name: pipeline.resolve_arguments({**FAST, **sides}) for name, sides in (('small', {}), ('large', size))
    }
    model = pipeline.model
    limit = estimate(model.configuration, arguments['large'], model.execution, VideoSize(2, 1024, 1024))
    memory = f'{(limit.device + model.weights.total) / GIB * 0.9:.3f}GB'
    model.execution = dataclasses.replace(model.execution, memory=memory)
    assert model.level_for(arguments['small']) == FULL
    assert model.level_for(arguments['large']) == LOW
    model.take_level(LOW)
    assert model.execution.autoencoder_limit == GIB
    pipeline(str(IMAGE), output_type='latent')
    assert model.execution.level == FULL
    assert model.execution.autoencoder_limit is None


def test_recipes_say_the_level(stage_1_folder, tmp_path, capsys):
    output = str(tmp_path / 'video.mp4')
    model = ['--model', str(stage_1_folder), '--memory', 'low', '--no-show-progress', '--json']
    assert main(['image-to-video', str(IMAGE), '-o', output, '--num-frames', '1', '--steps', '1', *model]) == 0
    assert json.loads(capsys.readouterr().out)['output_video'] == output
    assert read_recipe(output)[0]['memory'] == 'low'
    pipeline = build(stage_1_folder, **FAST)
    assert 'memory' not in pipeline.recipe(pipeline.resolve_arguments({}))


def test_memory_is_for_building_a_model(stage_1, stage_1_folder):
    with pytest.raises(TypeError, match="'memory' is for building a model"):
        ImageToVideoPipeline(stage_1.model, memory='low')
    with pytest.raises(TypeError, match='Give it when you load the model'):
        stage_1(str(IMAGE), memory='low')
    assert modelscope_i2v.load(stage_1_folder, device='cpu', memory='low').model.execution.level == LOW
    assert modelscope_i2v.ImageToVideoModel(stage_1_folder, device='cpu').execution.memory == 'full'


def test_each_stage_of_a_chain_may_have_its_own():
    arguments = {'memory': '6GB', 'stage2_memory': 'low'}
    shares = split_arguments(stage_of('image-to-video'), stage_of('video-to-video'), arguments)
    assert [share.loading for share in shares] == [{'memory': '6GB'}, {'memory': 'low'}]


def test_a_picture_has_a_level_before_its_size_is_known():
    assert (
        level(
            size=ImageToVideoConfiguration().video_size(arguments_of(ImageToVideoConfiguration())),
            total=80 * GIB,
            configuration=ImageToVideoConfiguration(),
        )
        == FULL
    )

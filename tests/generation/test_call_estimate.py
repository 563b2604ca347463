"""What a call needs: the memory of the refusal, operations, passes of the network, time, and cards."""

import dataclasses
import json
import math

import pytest
import torch

import modelscope_i2v
from benchmarks.first_generation import FIRST_GENERATION
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.arguments import merge_arguments
from modelscope_i2v.generation.call_estimate import fitting_call, model_of
from modelscope_i2v.generation.cards import Card, advice, card_for
from modelscope_i2v.generation.levels import SHARE_OF_TOTAL
from modelscope_i2v.generation.operations import counted, decoding_operations, encoding_operations, unet_operations
from modelscope_i2v.generation.passes import Passes, count_passes
from modelscope_i2v.generation.work import BUS
from modelscope_i2v.model_folder import FILE_NAME, ModelFolder
from modelscope_i2v.networks import AutoencoderKL, ImageToVideoUNet, VideoToVideoUNet
from modelscope_i2v.networks.build import build_on_meta
from modelscope_i2v.networks.parameters import AutoencoderParameters, ImageToVideoUNetParameters, UNetParameters
from modelscope_i2v.runtime.rate import measured_rate, resolve_rate
from modelscope_i2v.stage import stages
from tests.calls import latents_of, unet_calls
from tests.generation.test_memory import GIB, GPU, Room, refusal
from tests.small_models import AUTOENCODER, UNET

FOLDER = ModelFolder.read(FIRST_GENERATION)
NETWORKS = FOLDER.build_networks()
CALLS = [
    ('stage_1', {'solver': 'ddim', 'steps': 4}),
    ('stage_1', {'solver': 'unipc', 'steps': 3, 'guidance_scale': 1.0}),
    ('stage_1', {'steps': 5, 'guidance_min_timestep': 300, 'guidance_max_timestep': 800, 'guidance_scale': 3.0}),
    ('stage_1', {'steps': 5, 'cache_interval': 2, 'guidance_scale': 3.0}),
    ('stage_1', {'speed': 'fast', 'image_strength': 0.4}),
    ('stage_2', {'solver': 'heun', 'steps': 3}),
    ('stage_2', {'solver': 'dpmpp_2m_sde', 'steps': 3, 'guidance_scale': 1.0}),
    ('stage_2', {'steps': 2, 'window_overlap': 2}),
]


@pytest.mark.parametrize(('fixture', 'call'), CALLS, ids=str)
def test_passes_are_those_of_a_real_call(request, fixture, call):
    pipeline = request.getfixturevalue(fixture)
    with unet_calls(pipeline) as calls:
        latents = latents_of(pipeline, seed=1, **call)
    arguments = pipeline.resolve_arguments({'seed': 1, **call})
    found = count_passes(pipeline.stage, pipeline.model.configuration, arguments, latents.shape[2])
    assert found.whole + found.outer == len(calls)
    assert (found.outer > 0) is ('cache_interval' in call)


def test_long_videos_take_a_pass_for_each_window():
    folder = ModelFolder.read(modelscope_i2v.embedded_model('video-to-video'))
    kind, configuration = folder.stage.arguments, folder.configuration
    arguments = merge_arguments(kind, folder.call_defaults(), {'solver': 'dpmpp_2m', 'steps': 2, 'guidance_scale': 2})
    frames = configuration.max_frames
    assert count_passes(folder.stage, configuration, arguments, frames) == Passes(4)
    assert count_passes(folder.stage, configuration, arguments, frames + 1) == Passes(8)
    overlap = dataclasses.replace(arguments, window_overlap=0)
    assert count_passes(folder.stage, configuration, overlap, 3 * frames) == Passes(12)


def test_operations_of_one_layer():
    """A product of [n, m] and [m, k] takes 2 n m k, a convolution that for each pixel."""
    linear = build_on_meta(lambda: torch.nn.Linear(5, 7)).requires_grad_(False)
    assert counted(lambda: linear(torch.empty(3, 5, device='meta'))) == 2 * 3 * 5 * 7
    convolution = build_on_meta(lambda: torch.nn.Conv2d(2, 3, 3, padding=1)).requires_grad_(False)
    assert counted(lambda: convolution(torch.empty(1, 2, 4, 6, device='meta'))) == 2 * (2 * 9) * 3 * (4 * 6)


def test_operations_of_the_published_unet():
    """The original's, counted at the same size, are 17188.5 GFLOP; ours embed the frame rate once, not every frame."""
    found = unet_operations(ImageToVideoUNet, ImageToVideoUNetParameters(), 32, 32, 56)
    assert found / 1e9 == pytest.approx(17188.5, rel=1e-3)


def test_deep_features_save_operations():
    sizes = (VideoToVideoUNet, UNetParameters(**UNET), 4, 10, 16)
    assert 0 < unet_operations(*sizes, outer=True) < 0.7 * unet_operations(*sizes)


@pytest.mark.parametrize('bands', [2, 3, 4, 7])
def test_operations_of_bands(bands):
    """More than three are not counted one by one."""
    parameters = AutoencoderParameters(**AUTOENCODER)
    network = build_on_meta(lambda: AutoencoderKL(**AUTOENCODER))
    frame, latents = torch.empty(1, 3, 144, 64, device='meta'), torch.empty(1, 4, 18, 8, device='meta')
    with torch.no_grad():
        encoding = counted(lambda: network.requires_grad_(False).encode(frame, bands))
        decoding = counted(lambda: network.decode(latents, bands))
    assert encoding_operations(parameters, 144, 64, bands) == encoding > encoding_operations(parameters, 144, 64)
    assert decoding_operations(parameters, 144, 64, bands) == decoding > decoding_operations(parameters, 144, 64)


def test_memory_is_that_of_the_refusal():
    found = modelscope_i2v.estimate(FOLDER.path, num_frames=40, height=128, width=64)
    for level in found.levels:
        execution = dataclasses.replace(GPU, memory=level.level)
        call = {'num_frames': 40, 'height': 128, 'width': 64}

        def refused(device, main, execution=execution, call=call):
            room = Room(device, main)
            return refusal(FOLDER.configuration, room, execution, found.weights, **call) is not None

        assert level.device == max(phase.total for phase in level.phases)
        assert not refused(level.device, level.main)
        assert refused(level.device - 1, level.main)
        assert level.main == 0 or refused(level.device, level.main - 1)


def test_weights_need_not_be_there(tmp_path):
    whole = modelscope_i2v.estimate(FOLDER.path)
    assert whole.files == sum(file.stat().st_size for file in FOLDER.files.values())
    (tmp_path / FILE_NAME).write_text(FOLDER.file.read_text())
    bare = modelscope_i2v.estimate(tmp_path)
    assert bare.files is None
    assert bare == dataclasses.replace(whole, model=str(tmp_path), files=None)


def test_published_models_by_name():
    """Nothing is downloaded: the defaults are theirs."""
    for stage in stages():
        for name in (stage.name, stage.default_hub_model, f'someone/{stage.name.upper()}'):
            folder = model_of(name or stage.name)
            assert folder.stage is stage
            assert folder.configuration == stage.configuration()


def test_time_is_operations_and_what_crosses_the_bus():
    slow, fast = (modelscope_i2v.estimate(FOLDER.path, rate=rate) for rate in ('1G', 1e30))
    ample, full, offload, low = slow.levels
    assert full.seconds == ample.seconds == pytest.approx(full.operations / 1e9)
    assert offload.seconds - full.seconds == pytest.approx(slow.weights.total / BUS, rel=1e-3)
    passes = fast.passes.whole + fast.passes.outer
    assert fast.levels[3].seconds == pytest.approx((passes * fast.weights.blocks + fast.weights.total) / BUS)
    assert modelscope_i2v.estimate(FOLDER.path).levels[0].seconds is None
    assert low.operations == full.operations  # small frames are not cut


def test_rates():
    assert [resolve_rate(rate) for rate in (None, 'measured', 3, '50T', '1.5 gflop/s', '2e13', '1P')] == [
        None, 'measured', 3.0, 5e13, 1.5e9, 2e13, 1e15,
    ]  # fmt: skip
    for wrong in ('fast', '', '0T', -1, math.inf, math.nan, 10**400, True, b'50T', [1]):
        with pytest.raises(InputError, match="'rate' must be a number of operations per second such as '50T'"):
            resolve_rate(wrong)
    assert 1e6 < measured_rate(torch.device('cpu'), torch.float16) < 1e14


def card(memory, **call):
    fitting, size = fitting_call(FOLDER, NETWORKS, GPU, call)
    return card_for(fitting, size, memory)


def test_cards():
    full = card(6).device
    exact = full / GIB / SHARE_OF_TOTAL
    assert [card(memory).level for memory in (exact * 0.97, exact * 1.01, 6)] == ['offload', 'full', 'full']
    tiny = card(0.2, num_frames=2000)
    assert tiny.level is None
    assert tiny.instead.startswith("memory='low' with num_frames=")
    frames = int(tiny.instead.partition('num_frames=')[2].split()[0])
    assert card(0.2, num_frames=frames).level is not None
    assert card(0.2, num_frames=frames + 1).level is None


def test_advice():
    cards = [Card(4, None, 9 * GIB, 'num_frames=3 at this size'), Card(6, 'low', 3 * GIB), Card(8, 'full', 5 * GIB)]
    assert advice(cards) == (
        "On a card of 4 GB use num_frames=3 at this size. On a card of 6 GB use memory='low', which takes 3.0 GiB. "
        "On a card of 8 GB use memory='full', which takes 5.0 GiB."
    )
    assert advice([*cards[2:], Card(12, 'full', 5 * GIB)]) == (
        "On a card of 8 GB or more use memory='full', which takes 5.0 GiB."
    )
    assert advice([Card(1, None, 9 * GIB)]) == 'On a card of 1 GB not even the smallest video fits.'


def test_the_level_that_was_asked_for():
    assert modelscope_i2v.estimate(FOLDER.path).chosen is None
    assert modelscope_i2v.estimate(FOLDER.path, memory='ample').chosen == 'ample'
    assert modelscope_i2v.estimate(FOLDER.path, memory='6GB').chosen == 'full'
    json.dumps(modelscope_i2v.estimate(FOLDER.path, memory='0.02GB').as_dict())


def test_wrong_arguments():
    for call, kind in (({'dtype': 'fp8'}, InputError), ({'steps': 0}, InputError), ({'guidance': 3}, TypeError)):
        with pytest.raises(kind, match=next(iter(call))):
            modelscope_i2v.estimate(FOLDER.path, **call)
    for wrong in (0, -8, 1e6, math.nan, '8GB', None):
        with pytest.raises(InputError, match="'cards' must be a number above 0 and at most 10000, found"):
            modelscope_i2v.estimate(FOLDER.path, cards=(6, wrong))
    with pytest.raises(InputError, match="'cards' must be a list of numbers, found 8"):
        modelscope_i2v.estimate(FOLDER.path, cards=8)

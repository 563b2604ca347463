"""The estimate of memory: measured numbers, fake tensors, and what is refused for which room."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
import torch

import modelscope_i2v
from benchmarks.first_generation import MODELS
from modelscope_i2v.errors import DeviceError, InputError
from modelscope_i2v.generation.arguments import merge_arguments
from modelscope_i2v.generation.autoencoder_memory import (
    Portion,
    decoder_activations,
    encoder_activations,
    portion,
)
from modelscope_i2v.generation.early_checks import check_room
from modelscope_i2v.generation.memory import NO_WEIGHTS, Weights, estimate, weights_of
from modelscope_i2v.generation.memory_check import Room, check_memory
from modelscope_i2v.generation.output import bytes_held
from modelscope_i2v.generation.unet_memory import unet_activations
from modelscope_i2v.generation.video_size import InputSize, VideoSize
from modelscope_i2v.image_to_video.arguments import ImageToVideoArguments
from modelscope_i2v.image_to_video.configuration import ImageToVideoConfiguration
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks import AutoencoderKL, ImageToVideoUNet, VideoToVideoUNet
from modelscope_i2v.networks.parameters import AutoencoderParameters, ImageToVideoUNetParameters, UNetParameters
from modelscope_i2v.networks.slicing import CPU_SLICE_VALUES
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.runtime.memory_level import AMPLE
from modelscope_i2v.video_to_video.configuration import VideoToVideoConfiguration
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO
from tests.fake_memory import peak_bytes
from tests.small_models import AUTOENCODER, UNET

MIB, GIB = 2**20, 2**30
CPU = Execution(torch.device('cpu'), torch.float32, 'sdpa')
GPU = Execution(torch.device('cuda:0'), torch.float16, 'sdpa')
FOLDER = {task: ModelFolder.read(folder) for task, folder in MODELS.items()}
EMBEDDED = {task: folder.configuration for task, folder in FOLDER.items()}


def arguments_of(configuration, **call):
    stage = IMAGE_TO_VIDEO if isinstance(configuration, ImageToVideoConfiguration) else VIDEO_TO_VIDEO
    return merge_arguments(stage.arguments, configuration.call_defaults(), call)


def refusal(configuration, room, execution=CPU, weights=NO_WEIGHTS, given=None, **call):
    """The message that a call gets with this room; None if it may run."""
    arguments = arguments_of(configuration, **call)
    try:
        check_memory(configuration, arguments, execution, room=room, weights=weights, given=given)
    except DeviceError as error:
        return str(error)
    return None


def test_numbers_measured_at_full_size():
    """Fake tensors in half precision, and the autoencoder in float32, without weights."""
    half = {'itemsize': 2, 'math': False}
    assert unet_activations(UNetParameters(), 32, 90, 160, **half) / MIB == pytest.approx(1753, rel=0.01)
    assert unet_activations(ImageToVideoUNetParameters(), 32, 32, 56, **half) / MIB == pytest.approx(256, rel=0.01)
    assert unet_activations(ImageToVideoUNetParameters(), 16, 88, 160, **half) / MIB == pytest.approx(891, rel=0.02)
    assert decoder_activations(AutoencoderParameters(), 1, 720, 1280) / MIB == pytest.approx(2250, rel=0.01)
    assert encoder_activations(AutoencoderParameters(), 1, 720, 1280) / MIB == pytest.approx(1350, rel=0.01)


NETWORKS = {
    'embedded 1': dataclasses.asdict(EMBEDDED['image-to-video'].unet),
    'embedded 2': dataclasses.asdict(EMBEDDED['video-to-video'].unet),
    'small': UNET,
    'full': {},
    'one narrow head': {'num_heads': 1},
    'coarse attention': {'num_heads': 1, 'attention_resolutions': (2, 4)},
    'hardly any attention': {'num_heads': 1, 'attention_resolutions': (4,)},
    'wide': {'num_heads': 1, 'channel_mult': (1, 4, 4, 4)},
    'deep': {'num_heads': 1, 'num_res_blocks': 4},
}
#: Frames, height and width of the latents.
SIZES = [(16, 32, 32), (5, 64, 32)]


@pytest.mark.parametrize(('name', 'size'), itertools.product(NETWORKS, SIZES), ids=str)
def test_unets_against_fake_tensors(name, size):
    parameters = NETWORKS[name]
    frames, height, width = size
    tall = 'image_embed_dim' not in parameters
    kind = VideoToVideoUNet if tall else ImageToVideoUNet
    height += 2 if tall and len(parameters.get('channel_mult', (1, 2, 4, 4))) > 2 else 0
    dim = parameters.get('context_dim', 1024)
    condition = (1, 77, dim) if tall else (1, 1, parameters.get('image_embed_dim'))

    def run(unet):
        x, t, given = torch.empty(1, 4, frames, height, width), torch.zeros(1, dtype=torch.long), torch.empty(condition)
        return lambda: unet(x, t, given) if tall else unet(x, t, given, torch.empty(1))

    measured = peak_bytes(lambda: kind(**parameters), run)
    fields = {item.name for item in dataclasses.fields(UNetParameters)}
    shared = UNetParameters(**{key: value for key, value in parameters.items() if key in fields})
    estimated = unet_activations(shared, frames, height, width, itemsize=4, math=False, limit=CPU_SLICE_VALUES)
    assert estimated == pytest.approx(measured, rel=0.06)


AUTOENCODERS = {
    'embedded': dataclasses.asdict(EMBEDDED['image-to-video'].autoencoder),
    'small': AUTOENCODER,
    'full': {},
    'without attention': {**AUTOENCODER, 'channel_mult': [1, 2], 'attention': False},
}


@pytest.mark.parametrize('name', AUTOENCODERS)
@pytest.mark.parametrize(('frames', 'side'), [(1, 256), (4, 128), (1, 512)])
def test_autoencoders_against_fake_tensors(name, frames, side):
    """At 512 x 512, attention between all latent pixels takes most of it."""
    parameters = AUTOENCODERS[name]
    kept = AutoencoderParameters(**parameters)
    latent = side // kept.downsampling_factor

    def build():
        return AutoencoderKL(**parameters)

    def decode(network):
        z = torch.empty(frames, 4, latent, latent)
        return lambda: network.decode(z)

    def encode(network):
        x = torch.empty(frames, 3, side, side)
        return lambda: network.encode(x)

    assert decoder_activations(kept, frames, side, side) == pytest.approx(peak_bytes(build, decode), rel=0.06)
    assert encoder_activations(kept, frames, side, side) == pytest.approx(peak_bytes(build, encode), rel=0.06)


@pytest.mark.parametrize(
    ('bands', 'dtype', 'decoding', 'encoding'),
    [(4, torch.float32, 983, 813), (9, torch.float32, 690, 618), (9, torch.float16, 345, 309)],
)
def test_bands_against_fake_tensors(bands, dtype, decoding, encoding):
    """A frame of 1280x720 at full size, in nine bands or more: at most 700 MiB in float32."""

    def decode(network):
        z = torch.empty(1, 4, 90, 160, dtype=dtype)
        return lambda: network.decode(z, bands)

    def encode(network):
        x = torch.empty(1, 3, 720, 1280, dtype=dtype)
        return lambda: network.encode(x, bands)

    for run, activations, expected in (
        (decode, decoder_activations, decoding),
        (encode, encoder_activations, encoding),
    ):
        assert peak_bytes(AutoencoderKL, run, dtype) / MIB == pytest.approx(expected, rel=0.02)
        estimated = activations(AutoencoderParameters(), 1, 720, 1280, itemsize=dtype.itemsize, bands=bands)
        assert estimated / MIB == pytest.approx(expected, rel=0.02)


def test_portions_are_the_largest_within_their_limit():
    full = AutoencoderParameters()

    def peak(height, width, part, itemsize=4):
        sizes = (full, part.frames, height, width)
        return max(
            activations(*sizes, itemsize=itemsize, bands=part.bands)
            for activations in (decoder_activations, encoder_activations)
        )

    assert portion(full, 256, 448) == Portion(4)
    assert portion(full, 720, 1280) == Portion(1)
    assert portion(full, 256, 448, limit=600 * MIB) == Portion(2)
    assert portion(full, 720, 1280, limit=700 * MIB) == Portion(1, 9)
    assert portion(full, 720, 1280, limit=700 * MIB, itemsize=2).bands < 9
    assert portion(full, 720, 1280, limit=0) == Portion(1, 45)
    assert portion(full, 10**9, 10**9, limit=0) == Portion(1, 64)
    for limit in (300 * MIB, 1 * GIB, 3 * GIB):
        for height, width in ((256, 448), (448, 256), (640, 640)):
            part = portion(full, height, width, limit=limit)
            assert peak(height, width, part) <= limit
            more = Portion(1, part.bands - 1) if part.bands > 1 else Portion(part.frames + 1)
            assert peak(height, width, more) > limit or more.frames > portion(full, height, width).frames


def test_a_limit_of_the_autoencoder_is_what_an_estimate_counts():
    configuration = ImageToVideoConfiguration()
    size = VideoSize(1, 1440, 2560)
    free, limited = (
        estimate(configuration, arguments_of(configuration), dataclasses.replace(GPU, autoencoder_limit=limit), size)
        for limit in (None, 3 * GIB)
    )
    assert free.device > 8 * GIB
    assert 3 * GIB < limited.device < 3.3 * GIB


def test_weights_are_those_of_a_loaded_model():
    for folder in FOLDER.values():
        for dtype, autoencoder_dtype in (('fp32', 'fp32'), ('bf16', 'fp32'), ('fp32', 'fp16')):
            precision = {'dtype': dtype, 'autoencoder_dtype': autoencoder_dtype}
            model = modelscope_i2v.load(folder.path, device='cpu', show_progress=False, **precision).model
            loaded = sum(value.numel() * value.element_size() for value in model.state_dict().values())
            counted = weights_of(folder.build_networks(), model.dtype, model.autoencoder.dtype)
            assert counted.total == loaded
            assert model.weights == counted


@pytest.mark.parametrize('task', EMBEDDED)
@pytest.mark.parametrize('attention', ['sdpa', 'math'])
def test_more_never_needs_less(task, attention):
    configuration = EMBEDDED[task]
    arguments = arguments_of(configuration, output_type='np')
    execution = dataclasses.replace(CPU, attention=attention)

    def needed(*size):
        found = estimate(configuration, arguments, execution, VideoSize(*size))
        return found.device + found.results

    for low, high in itertools.pairwise([1, 2, 15, 16, 17, 200]):
        assert needed(low, 64, 64) < needed(high, 64, 64)
    for low, high in itertools.pairwise([16, 32, 64, 512, 4096]):
        assert needed(5, low, 64) < needed(5, high, 64)
        assert needed(5, 64, low) < needed(5, 64, high)
    exact = estimate(configuration, arguments, CPU, VideoSize(5, 64, 64)).device
    assert estimate(configuration, arguments, execution, VideoSize(5, 64, 64)).device >= exact


def test_stage_2_sees_one_window_at_a_time_and_stage_1_all_frames():
    second, first = VideoToVideoConfiguration(), ImageToVideoConfiguration()
    long, short = (
        estimate(second, arguments_of(second), GPU, VideoSize(frames, 720, 1280)).device for frames in (320, 32)
    )
    # The latents of one window at a time are on the device.
    assert long == short
    long, short = (
        estimate(second, arguments_of(second), GPU, VideoSize(frames, 720, 1280)).main for frames in (320, 32)
    )
    assert (long, short) == (10 * 4 * 4 * 320 * 90 * 160, 0)
    long, short = (
        estimate(second, arguments_of(second), CPU, VideoSize(frames, 720, 1280)).device for frames in (320, 32)
    )
    assert long - short == 10 * 4 * 4 * (320 - 32) * 90 * 160
    long, short = (
        estimate(first, arguments_of(first), GPU, VideoSize(frames, 256, 448)).device for frames in (3200, 320)
    )
    assert long / short == pytest.approx(10, rel=0.01)


def test_what_results_hold(tmp_path):
    held = {kind: bytes_held(ImageToVideoArguments(output_type=kind)) for kind in ('mp4', 'np', 'pt', 'pil', 'latent')}
    assert held == {'mp4': 0, 'np': 6, 'pt': 24, 'pil': 4, 'latent': 0}
    assert bytes_held(ImageToVideoArguments(output_video=tmp_path / 'a.GIF')) == 8
    assert bytes_held(ImageToVideoArguments(output_video=tmp_path / 'a.mp4')) == 0


def test_the_published_models_on_common_cards():
    """Stage 2 needs about 5.9 GiB at 1280x720, stage 1 5.3 GiB, as docs/troubleshooting.md says."""
    second, first = VideoToVideoConfiguration(), ImageToVideoConfiguration()
    weights = Weights(unet=3660 * MIB)
    window = InputSize(16 / 9, lambda most: most)
    plenty = 64 * GIB
    assert refusal(second, Room(6 * GIB, plenty), GPU, weights, window) is None
    message = refusal(second, Room(5 * GIB, plenty), GPU, weights, window)
    assert message.startswith('32 frames of 1280 x 720 pixels would take about 5.9')
    assert "3.6 GiB of it for the weights, but 'cuda:0' has only 5.0 GiB free" in message
    assert refusal(first, Room(6 * GIB, plenty), GPU, Weights(unet=4233 * MIB)) is None
    assert refusal(first, Room(5 * GIB, plenty), GPU, Weights(unet=4233 * MIB)) is not None


def test_results_are_counted_in_main_memory():
    configuration = ImageToVideoConfiguration()
    call = {'output_type': 'pt', 'num_frames': 32}
    assert refusal(configuration, Room(2 * GIB, 100 * MIB), GPU, **call) is None
    message = refusal(configuration, Room(2 * GIB, 80 * MIB), GPU, **call)
    assert 'would take about 84 MiB of memory, but main memory has only 80 MiB free' in message
    one = estimate(configuration, arguments_of(configuration, **call), CPU, VideoSize(32, 256, 448))
    total = one.device + one.results
    assert refusal(configuration, Room(total, total), CPU, **call) is None
    assert refusal(configuration, Room(total - 1, total - 1), CPU, **call) is not None


def test_nothing_is_refused_where_free_memory_is_unknown():
    configuration = EMBEDDED['image-to-video']
    assert refusal(configuration, Room(None, None), num_frames=1_000_000) is None
    assert refusal(configuration, Room(GIB, GIB), num_frames=1_000_000) is not None


def test_force_runs_all_the_same():
    configuration = EMBEDDED['image-to-video']
    assert refusal(configuration, Room(0, 0)) is not None
    assert refusal(configuration, Room(0, 0), force=True) is None
    with pytest.raises(InputError, match="'force' must be True or False, found 1"):
        arguments_of(configuration, force=1)


CALLS = [
    ('image-to-video', {'num_frames': 300}, None),
    ('image-to-video', {'num_frames': 300, 'height': 64, 'width': 160}, None),
    ('image-to-video', {'num_frames': 16, 'height': 512, 'width': 512}, None),
    ('video-to-video', {'num_frames': 7, 'height': 512}, 1.5),
    ('video-to-video', {'num_frames': 7, 'width': 512}, 0.7),
    ('video-to-video', {'num_frames': 7, 'height': 512, 'width': 256}, 2.0),
    ('video-to-video', {'num_frames': 7, 'fit': 'stretch', 'output_type': 'pt'}, 2.0),
]


@pytest.mark.parametrize(('task', 'call', 'aspect'), CALLS, ids=str)
@pytest.mark.parametrize('megabytes', [60, 25, 12, 8])
def test_what_is_suggested_fits_and_a_step_more_does_not(task, call, aspect, megabytes):
    configuration = EMBEDDED[task]
    given = None if aspect is None else InputSize(aspect, lambda most: most)
    room = Room(megabytes * MIB, megabytes * MIB)

    def fits(**changes):
        return refusal(configuration, room, given=given, **{**call, **changes}) is None

    message = refusal(configuration, room, given=given, **call)
    assert message.endswith(' force=True (--force) runs the call all the same.')
    said = message.partition('What fits: ')[2].partition('. force')[0]
    frames, _, size = said.rpartition(', or ') if 'num_frames' in said and 'height' in said else (said, '', said)
    if 'num_frames' in frames:
        most = int(frames.removeprefix('num_frames=').split()[0])
        assert fits(num_frames=most)
        assert not fits(num_frames=most + 1)
    else:
        assert not fits(num_frames=1)
    sides = dict(part.split('=') for part in size.partition(' for ')[0].split(', ')) if 'height' in size else {}
    sides = {name: int(value) for name, value in sides.items()}
    arguments = arguments_of(configuration, **call)
    legal = [
        {name: value for name, value in each.items() if value is not None}
        for each in configuration.smaller_sizes(arguments, given)
    ]
    drop = {'width': None} if sides.keys() == {'height'} else {}
    if sides:
        configuration.check_call(arguments_of(configuration, **{**call, **drop, **sides}))
        assert fits(**drop, **sides)
    larger = legal[: legal.index(sides)] if sides else legal
    assert not any(fits(**({'width': None} if 'width' not in each else {}), **each) for each in larger)
    if not sides and 'num_frames' not in said:
        assert 'Not even the smallest video fits' in message


def test_smaller_sizes_keep_the_aspect_ratio():
    first, second = ImageToVideoConfiguration(), VideoToVideoConfiguration()
    sizes = list(first.smaller_sizes(arguments_of(first)))
    assert sizes[0] == {'height': 192, 'width': 320}
    assert sizes[-1] == {'height': 64, 'width': 128}
    wide = InputSize(16 / 9, lambda most: most)
    heights = list(second.smaller_sizes(arguments_of(second), wide))
    assert heights[0] == {'height': 656, 'width': None}
    assert heights[-1] == {'height': 16, 'width': None}


def test_the_length_of_a_video_is_counted_only_when_it_matters():
    configuration = EMBEDDED['video-to-video']
    counted = []

    def given(frames):
        video = open_video(np.zeros((frames, 64, 64, 3), np.uint8))
        known = InputSize.of(video)
        return dataclasses.replace(known, count=lambda most: counted.append(most) or known.count(most))

    assert refusal(configuration, Room(GIB, GIB), given=given(40)) is None
    assert counted == []
    needed = estimate(configuration, arguments_of(configuration), CPU, VideoSize(4, 128, 128)).device
    room = Room(needed, needed)
    assert refusal(configuration, room, given=given(4)) is None
    assert refusal(configuration, room, given=given(5)).startswith('5 frames of 128 x 128 pixels')
    assert refusal(configuration, room, given=given(40)).startswith('16 frames of 128 x 128 pixels')
    assert refusal(configuration, room, given=given(40), num_frames=4) is None
    assert counted == [16, 16, 16]


def test_while_the_input_is_unknown_the_least_counts():
    configuration = EMBEDDED['video-to-video']
    needed = estimate(configuration, arguments_of(configuration), CPU, VideoSize(1, 4096, 8)).device
    assert refusal(configuration, Room(needed, needed), height=4096) is None
    assert refusal(configuration, Room(needed - 1, needed - 1), height=4096) is not None
    assert InputSize.of('a picture') is None


def test_only_what_was_given_counts_when_a_model_is_loaded(tmp_path):
    """Arguments that a later call may change do not speak against a model; its weights always do."""
    content = json.loads(FOLDER['image-to-video'].file.read_text())
    content['model']['model_cfg'].update(latent_hei=3200, latent_wid=3200, max_frames=1_000_000)
    folder = ModelFolder.parse(tmp_path, IMAGE_TO_VIDEO, content)
    check_room(folder, {}, CPU)
    check_room(folder, {'num_frames': 2}, CPU)
    check_room(folder, {'num_frames': 100_000_0, 'force': True}, CPU)
    for call in ({'num_frames': 1_000_000, 'height': 64, 'width': 64}, {'height': 12800}):
        with pytest.raises(DeviceError, match='of it for the weights'):
            check_room(folder, call, CPU)
    with pytest.raises(DeviceError, match='1000000 frames of 12800 x 12800 pixels'):
        check_room(folder, {}, CPU, is_whole=True)
    content['model']['model_cfg']['unet'].update(model_channels=40_000, num_head_channels=16)
    with pytest.raises(DeviceError, match='Not even the smallest video fits: free some memory, or use another device'):
        check_room(ModelFolder.parse(tmp_path, IMAGE_TO_VIDEO, content), {}, CPU)


def test_what_is_kept_between_steps_and_a_batch_of_two_count():
    configuration, size = VideoToVideoConfiguration(), VideoSize(32, 720, 1280)

    def device(execution=GPU, **call):
        arguments = arguments_of(configuration, output_type='latent', num_frames=32, **call)
        return estimate(configuration, arguments, execution, size).device

    one, features = unet_activations(UNetParameters(), 32, 90, 160, itemsize=2, math=False), 2 * 320 * 32 * 90 * 160
    plain = device()
    assert device(cache_interval=2) - plain == 2 * features
    assert device(cache_interval=2, guidance_scale=1) - plain == features
    batched = GPU.at(AMPLE)
    assert device(batched) - plain == one
    assert device(batched, guidance_scale=1) == plain

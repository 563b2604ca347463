"""Networks are on the device while they compute, and in main memory otherwise; the videos are the same."""

import gc
import threading
import weakref
from types import SimpleNamespace

import pytest
import torch

import modelscope_i2v
from modelscope_i2v.errors import DeviceError
from modelscope_i2v.media.reading.info import read_recipe
from modelscope_i2v.runtime.compilation import Compiled
from modelscope_i2v.runtime.memory_level import FULL
from modelscope_i2v.runtime.placement import CudaCarrier
from modelscope_i2v.runtime.streaming import streamed
from tests.calls import CLIP, VIDEO, build, latents_of, unet_calls
from tests.fake_device import NAMES, FakeDevice
from tests.folders import IMAGE
from tests.golden import difference

FAST = {'steps': 2, 'num_frames': 2, 'seed': 1, 'height': 32, 'width': 32}
#: Phases, and the network that computes in each.
STAGES = {
    'stage_1_folder': (str(IMAGE), {'image_strength': 0.7}, ('autoencoder', 'clip', 'unet', 'autoencoder')),
    'i2vgen_folder': (str(IMAGE), {}, ('autoencoder', 'clip', 'unet', 'autoencoder')),
    'stage_2_folder': (CLIP, {}, ('autoencoder', 'clip', 'unet', 'autoencoder')),
}


def phases(pipeline, device):
    """What computes, with the networks that are on the device then: filled by the calls that follow."""
    found = []
    model = pipeline.model
    parts = [
        ('autoencoder', model.autoencoder.encoder.conv_in),
        ('autoencoder', model.autoencoder.decoder.conv_in),
        ('unet', model.unet.conv_in),
        ('unet', model.unet.conv_out),
        *(('unet', block) for block in model.unet.blocks),
        *(('clip', part) for part in model.clip.modules() if isinstance(part, torch.nn.LayerNorm)),
    ]

    def record(name, module):
        assert device.has(module)
        if not found or found[-1] != (name, device.networks()):
            found.append((name, device.networks()))

    for name, part in parts:
        part.register_forward_pre_hook(lambda module, _, name=name: record(name, module))
    return found


def two(folder, request, level):
    """The pipeline of a stage at the full level and at another one, its input, and its phases."""
    source, options, expected = STAGES[folder]
    task = 'video-to-video' if source is CLIP else 'image-to-video'
    folder = request.getfixturevalue(folder)
    whole, other = (build(folder, task, memory=memory, **FAST, **options) for memory in ('full', level))
    return whole, other, source, expected


@pytest.mark.parametrize('folder', STAGES)
def test_each_network_is_on_the_device_while_it_computes(folder, request):
    whole, offloaded, source, expected = two(folder, request, 'offload')
    device = FakeDevice(offloaded.model)
    found = phases(offloaded, device)
    videos = [each(source, output_type='np')[VIDEO] for each in (whole, offloaded)]
    assert (videos[0] == videos[1]).all()
    assert found == [(name, {name}) for name in expected]
    assert device.networks() == set()
    weights = offloaded.model.weights
    assert device.peak == max(weights.clip, weights.unet, weights.autoencoder)


@pytest.mark.parametrize('folder', STAGES)
def test_blocks_come_one_after_the_other(folder, request):
    """The one that computes and the one after it are there, and the UNet's other layers."""
    whole, low, source, expected = two(folder, request, 'low')
    device, there = FakeDevice(low.model), []
    found, blocks = phases(low, device), low.model.unet.blocks
    before = [part.clone() for part in low.model.state_dict().values()]
    for number, block in enumerate(blocks):
        block.register_forward_hook(lambda *_, number=number: there.append((number, present(device, blocks))))
    expected_video = whole(source, output_type='np')[VIDEO]
    with unet_calls(low) as passes:
        assert (low(source, output_type='np')[VIDEO] == expected_video).all()
    one_pass = [(number, {number, (number + 1) % len(blocks)}) for number in range(len(blocks))]
    assert there == one_pass * len(passes)
    assert found == [(name, {name}) for name in expected]
    assert device.networks() == set()
    assert device.peak == max(low.model.weights.clip, low.model.weights.streamed, low.model.weights.autoencoder)
    assert all(map(torch.equal, before, low.model.state_dict().values()))


def present(device, blocks):
    return {number for number, block in enumerate(blocks) if device.has(block)}


def test_blocks_that_are_left_out_do_not_disturb_the_others(stage_1_folder):
    """With deep features from an earlier pass, only the outer blocks compute."""
    call = {**FAST, 'steps': 3, 'cache_interval': 2}
    whole, low = (build(stage_1_folder, memory=level, **call) for level in ('full', 'low'))
    device, there = FakeDevice(low.model), []
    blocks = low.model.unet.blocks
    for number, block in enumerate(blocks):
        block.register_forward_hook(lambda *_, number=number: there.append((number, present(device, blocks))))
    expected = whole(str(IMAGE), output_type='np')[VIDEO]
    assert (low(str(IMAGE), output_type='np')[VIDEO] == expected).all()
    visited = [number for number, _ in there]
    assert set(visited[:-1]) == set(range(len(blocks)))
    assert len(visited) < 6 * len(blocks)
    assert [present for _, present in there] == [{number, (number + 1) % len(blocks)} for number in visited]
    assert device.networks() == set()


class Row(torch.nn.Module):
    """Blocks in a row, called as a UNet calls its own."""

    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList(torch.nn.Linear(3, 3) for _ in range(4))
        self.run_block = lambda block, x: block(x).sin()

    def forward(self, x):
        for block in self.blocks:
            x = self.run_block(block, x)
        return x


@torch.no_grad()
def test_compiled_blocks_are_streamed_too():
    """Weights that come and go are no reason to compile again."""
    row, x, graphs, there = Row(), torch.ones(1, 3), [], []
    expected = row(x)

    def backend(graph, _):
        graphs.append(graph)
        return lambda *inputs: there.append(present(device, row.blocks)) or graph.forward(*inputs)

    model = SimpleNamespace(clip=row, unet=row, autoencoder=row)
    device = FakeDevice(model)
    row.run_block = compiled = Compiled(row.run_block, backend)
    for _ in range(2):
        with streamed(row, device):
            assert torch.equal(row(x), expected)
        assert row.run_block is compiled
        assert present(device, row.blocks) == set()
    assert there == [{0, 1}, {1, 2}, {2, 3}, {3, 0}] * 2
    assert len(graphs) == 1


def test_a_phase_that_is_repeated_in_float32_is_offloaded_too(stage_1_folder):
    """The decoder's first layer overflows in half precision."""
    options = {**FAST, 'autoencoder_dtype': 'fp16'}
    whole, offloaded = (build(stage_1_folder, memory=level, **options) for level in ('full', 'offload'))
    device = FakeDevice(offloaded.model)
    for pipeline in (whole, offloaded):
        pipeline.model.autoencoder.decoder.conv_in.bias.data.fill_(6e4)
    results = [each(str(IMAGE), output_type='np') for each in (whole, offloaded)]
    assert (results[0][VIDEO] == results[1][VIDEO]).all()
    assert results[1]['repeated_in_float32'] == ['decoding']
    assert device.networks() == set()
    assert offloaded.model.autoencoder.dtype == torch.float16


def test_out_of_memory_is_repeated_at_the_next_level(stage_1_folder, tmp_path, caplog):
    """The UNet does not fit as a whole."""
    expected = build(stage_1_folder, **FAST)(str(IMAGE), output_type='np')[VIDEO]
    pipeline = build(stage_1_folder, memory='offload', **FAST)
    weights = pipeline.model.weights
    device = FakeDevice(pipeline.model, capacity=weights.unet - 1)
    assert weights.unet > max(weights.clip, weights.autoencoder, weights.streamed)
    assert (pipeline(str(IMAGE), output_type='np')[VIDEO] == expected).all()
    pipeline(str(IMAGE), output_video=tmp_path / 'a.mp4')
    assert read_recipe(tmp_path / 'a.mp4')[0]['memory'] == 'low'
    said = [record.getMessage() for record in caplog.records if record.levelname == 'WARNING']
    assert len(said) == 2  # each call begins at its own level
    assert "Out of memory with memory='offload': FakeDevice: " in said[0]
    assert said[0].endswith("It is repeated with memory='low' now.")
    assert device.networks() == set()
    device.capacity = max(weights.clip, weights.streamed) - 1
    with pytest.raises(DeviceError, match='^Out of memory: FakeDevice.* Ask for fewer frames'):
        pipeline(str(IMAGE), output_type='np')
    assert device.networks() == set()


def test_only_what_ran_out_of_memory_is_repeated(stage_1_folder, caplog):
    """Decoding, not the steps before it."""
    pipeline = build(stage_1_folder, memory='full', **FAST)
    expected = pipeline(str(IMAGE), output_type='np')[VIDEO]
    device, steps = FakeDevice(pipeline.model), []

    def refuse(*_):
        if pipeline.model.execution.level == FULL:
            raise torch.OutOfMemoryError('as a GPU says it')

    pipeline.model.autoencoder.decoder.conv_in.register_forward_pre_hook(refuse)
    video = pipeline(str(IMAGE), output_type='np', callback_on_step_end=lambda *_: steps.append(1))[VIDEO]
    assert (video == expected).all()
    assert len(steps) == 2
    assert device.peak == pipeline.model.weights.autoencoder
    assert caplog.text.count("It is repeated with memory='offload' now.") == 1


def test_stage_1_is_gone_before_stage_2_computes(stage_1_folder, stage_2_folder, tmp_path):
    first, seen = [], []

    def step(pipeline, *_):
        if pipeline.stage.task == 'image-to-video':
            first[:] = [weakref.ref(part) for part in (pipeline.model, *parts(pipeline.model))]
        else:
            seen.append([part() for part in first])

    modelscope_i2v.chain(
        str(IMAGE),
        stage1=str(stage_1_folder),
        stage2=str(stage_2_folder),
        output_video=tmp_path / 'a.mp4',
        memory='offload',
        stage2_memory='low',
        callback_on_step_end=step,
        device='cpu',
        show_progress=False,
        **{**FAST, 'steps': 1},
    )
    assert seen == [[None] * 4]
    assert [entry['memory'] for entry in read_recipe(tmp_path / 'a.mp4')] == ['offload', 'low']


def parts(model):
    return [getattr(model, name) for name in NAMES]


def test_an_autoencoder_that_moves_is_not_shared(stage_1_folder):
    for memory, shared in (('full', True), ('auto', False), ('offload', False)):
        one, two = (build(stage_1_folder, memory=level, **FAST).model for level in ('full', memory))
        assert build(stage_1_folder, memory=memory, **FAST).model.share_autoencoder(one)  # on a CPU nothing moves
        FakeDevice(one), FakeDevice(two)
        assert two.share_autoencoder(one) is shared
        assert (two.autoencoder is one.autoencoder) is shared


def test_a_model_that_moves_leaves_a_shared_autoencoder_to_the_other(stage_1_folder):
    one, two = (build(stage_1_folder, **FAST).model for _ in range(2))
    assert two.share_autoencoder(one)
    shared, latents = one.autoencoder, torch.randn(1, 4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = torch.cat(list(one.decode(latents)))
    two.move_to('cpu')
    assert one.autoencoder is shared is not two.autoencoder
    assert torch.equal(torch.cat(list(two.decode(latents))), expected)
    assert not any(weight.requires_grad for weight in two.autoencoder.parameters())
    assert not two.autoencoder.training


def test_memory_is_checked_when_no_other_thread_computes(stage_1_folder):
    pipeline = build(stage_1_folder, **FAST)
    other = threading.Thread(target=pipeline.check_memory, args=(pipeline.resolve_arguments({}),), daemon=True)
    with pipeline.model.precision.lock:
        other.start()
        other.join(0.5)
        assert other.is_alive()
    other.join(30)
    assert not other.is_alive()


def test_weights_that_cannot_be_locked_in_memory_come_as_they_are(monkeypatch, caplog):
    """WSL, and containers with a small limit, lock a few GB at most."""
    asked = []

    def pin_memory(_):
        asked.append(None)
        raise RuntimeError('CUDA error: out of memory')

    monkeypatch.setattr(torch.Tensor, 'pin_memory', pin_memory)
    monkeypatch.setattr(torch.cuda, 'Stream', lambda device: None)
    carrier = CudaCarrier(torch.device('cuda', 0))
    weights = [torch.zeros(2), torch.ones(2)]
    assert [carrier.prepare(weight) is weight for weight in weights] == [True, True]
    assert len(asked) == 1
    assert [record.getMessage() for record in caplog.records] == [
        'Weights cannot be locked in memory, so they reach cuda:0 later: CUDA error: out of memory'
    ]


@pytest.mark.parametrize('level', ['offload', 'low'])
def test_a_call_inside_of_a_callback_leaves_the_networks_where_they_are(stage_1_folder, level):
    whole, other = (build(stage_1_folder, memory=memory, **FAST) for memory in ('full', level))
    device, inner = FakeDevice(other.model), []
    phases(other, device)  # checks that each network is there when it computes

    def step(pipeline, number, *_):
        if not inner:
            inner.append(None)
            pipeline.model.take_level(FULL)  # as another size might ask for
            assert pipeline.model.execution.level.name == level
            inner[0] = pipeline(str(IMAGE), output_type='np', seed=2)[VIDEO]

    outer = other(str(IMAGE), output_type='np', callback_on_step_end=step)[VIDEO]
    assert (outer == whole(str(IMAGE), output_type='np')[VIDEO]).all()
    assert (inner[0] == whole(str(IMAGE), output_type='np', seed=2)[VIDEO]).all()
    assert device.networks() == set()
    assert not other.model.is_computing
    weights = other.model.weights
    held = weights.unet if level == 'offload' else weights.streamed
    assert device.peak <= held + max(weights.clip, weights.autoencoder)  # the UNet is there once


@pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU here')
@pytest.mark.parametrize('folder', STAGES)
def test_a_seed_means_the_same_on_a_cpu_and_on_a_gpu(folder, request):
    source, options, _ = STAGES[folder]
    found = []
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # which rounds more than float32 does
        for device in ('cpu', 'cuda:0'):
            loaded = modelscope_i2v.load(
                request.getfixturevalue(folder), device=device, dtype='fp32', show_progress=False, **FAST, **options
            )
            found.append(latents_of(loaded, source))
    assert difference(*found) < 1e-3


@pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU here')
@pytest.mark.parametrize('folder', STAGES)
def test_levels_on_a_gpu(folder, request):
    source, options, _ = STAGES[folder]
    peaks, videos = {}, {}
    for level in ('full', 'offload', 'low'):
        gc.collect()
        start = torch.cuda.memory_allocated()
        loaded = modelscope_i2v.load(
            request.getfixturevalue(folder), device='cuda:0', memory=level, show_progress=False, **FAST, **options
        )
        loaded(source, output_type='np')  # kernels and their workspaces
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        videos[level] = loaded(source, output_type='np')[VIDEO]
        peaks[level] = torch.cuda.max_memory_allocated() - start
        assert torch.cuda.memory_allocated() == before
        assert {weight.device.type for weight in loaded.model.parameters()} == {'cuda' if level == 'full' else 'cpu'}
        del loaded
    assert (videos['full'] == videos['offload']).all()
    assert (videos['full'] == videos['low']).all()
    assert peaks['full'] > peaks['offload'] >= peaks['low']


def stop_finishing(*_):
    raise OSError('The disk is full.')


def test_what_is_interrupted_leaves_the_device(stage_1_folder):
    pipeline = build(stage_1_folder, memory='offload', **FAST)
    device = FakeDevice(pipeline.model)

    def stop(*_):
        assert device.networks() == {'unet'}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline(str(IMAGE), callback_on_step_end=stop)
    assert device.networks() == set()
    pipeline.finish = stop_finishing
    with pytest.raises(OSError, match='disk') as kept:  # a traceback that somebody keeps, as a notebook does
        pipeline(str(IMAGE), output_type='np')
    assert device.networks() == set()
    assert not pipeline.model.is_computing
    assert kept.value.__traceback__ is not None
    next(pipeline.model.decode(torch.zeros(1, 4, 9, 4, 4)))  # a generator that nobody finishes
    assert device.networks() == set()

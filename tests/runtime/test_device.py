"""Which device, precision and attention back end a name means, and messages about unavailable ones."""

import logging

import pytest
import torch

from modelscope_i2v.errors import DeviceError, InputError
from modelscope_i2v.runtime.attention import resolve_attention
from modelscope_i2v.runtime.device import resolve_device, resolve_dtype
from modelscope_i2v.runtime.out_of_memory import memory_errors

CPU = torch.device('cpu')

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU here')
without_mps = pytest.mark.skipif(torch.backends.mps.is_available(), reason='there is an Apple GPU here')
with_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU here')


@pytest.mark.parametrize('name', ['cpu', 'CPU', torch.device('cpu')])
def test_cpu(name, caplog):
    assert resolve_device(name) == CPU
    assert caplog.records == []


@without_cuda
@pytest.mark.parametrize('name', ['gpu', 'GPU', None, 'cuda'])  # ModelScope rewrites 'gpu' to 'cuda' on its way
def test_any_gpu_falls_back_with_one_warning(name, caplog):
    assert resolve_device(name) == CPU
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert 'CPU' in caplog.text


@with_cuda
@pytest.mark.parametrize('name', ['gpu', None, 'cuda', 'cuda:0', 'gpu:0'])
def test_first_gpu(name):
    assert resolve_device(name) == torch.device('cuda', 0)


@pytest.mark.parametrize(('name', 'shown'), [('cuda:99', 'cuda:99'), ('gpu:99', 'cuda:99'), ('CUDA:99', 'cuda:99')])
def test_numbered_gpu_has_to_be_there(name, shown):
    with pytest.raises(DeviceError, match=f"'{shown}' is not available.*Available here: .*'cpu'"):
        resolve_device(name)


@without_cuda
def test_cuda_0_without_a_gpu():
    with pytest.raises(DeviceError, match=r"^Device 'cuda:0' is not available\. Available here: 'cpu'\.$"):
        resolve_device('cuda:0')


def test_a_gpu_whose_driver_is_too_old_is_none(monkeypatch, caplog):
    """NVML counts the GPU, but CUDA does not start."""
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    for name in ('cuda:0', 'bogus'):
        with pytest.raises(DeviceError, match=r"Available here: 'cpu'\. The driver of 1 GPU\(s\) does not work"):
            resolve_device(name)
    assert resolve_device('gpu') == CPU


@without_mps
def test_mps_without_an_apple_gpu():
    with pytest.raises(DeviceError, match="'mps' is not available.*'cpu'"):
        resolve_device('mps')


@pytest.mark.parametrize('name', ['cuda:x', 'cuda:-1', 'cuda:', 'tpu', 'xpu', '', ' ', 'cpu:0', True, 1.5])
def test_names_of_no_device(name):
    with pytest.raises(DeviceError, match=f"Unknown device {name!r}.*'cuda:N', 'gpu', 'cpu' or 'mps'.*Available"):
        resolve_device(name)


@pytest.mark.parametrize(
    ('name', 'dtype'),
    [('auto', torch.float32), ('fp32', torch.float32), ('fp16', torch.float16), ('bf16', torch.bfloat16)],
)
def test_dtype_on_the_cpu(name, dtype):
    assert resolve_dtype(name, CPU) is dtype


@with_cuda
def test_auto_dtype_on_a_gpu_is_half_precision():
    assert resolve_dtype('auto', torch.device('cuda', 0)) in (torch.float16, torch.bfloat16)


@pytest.mark.parametrize('name', ['fp8', 'float16', torch.float64, None, ''])
def test_unknown_dtype(name):
    with pytest.raises(InputError, match="'dtype' must be one of 'auto', 'fp32', 'fp16', 'bf16', found"):
        resolve_dtype(name, CPU)


@pytest.mark.parametrize(('name', 'backend'), [('auto', 'sdpa'), ('sdpa', 'sdpa'), ('math', 'math')])
def test_attention_on_the_cpu(name, backend):
    assert resolve_attention(name, CPU, torch.float32) == backend


def test_xformers_where_it_does_not_work():
    # xformers is not installed, or is installed but has no operator for the CPU.
    with pytest.raises(DeviceError, match=r"attention='xformers' does not work on cpu.*Use attention='auto' or 'sdpa'"):
        resolve_attention('xformers', CPU, torch.float32)


@pytest.mark.parametrize('name', ['flash', 'SDPA', None, 1])
def test_unknown_attention(name):
    with pytest.raises(InputError, match="'attention' must be one of 'auto', 'sdpa', 'xformers', 'math', found"):
        resolve_attention(name, CPU, torch.float32)


def out_of_memory():
    torch.empty(2**50, dtype=torch.float32)


def out_of_gpu_memory():
    raise torch.OutOfMemoryError('CUDA out of memory.')


def out_of_mps_memory():
    raise RuntimeError('MPS backend out of memory (MPS allocated: 8.00 GB).')


def out_of_python_memory():
    bytearray(2**62)


@pytest.mark.parametrize('fail', [out_of_memory, out_of_gpu_memory, out_of_mps_memory, out_of_python_memory])
def test_out_of_memory_says_what_needs_less(fail):
    with pytest.raises(DeviceError, match=r'Out of memory: .* Take less\.'), memory_errors('Take less.'):
        fail()


def test_other_errors_stay_as_they_are():
    with pytest.raises(RuntimeError, match='^another$') as caught, memory_errors('Take less.'):
        raise RuntimeError('another')
    assert type(caught.value) is RuntimeError


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        ({'device': 'cuda:99'}, DeviceError, "Device 'cuda:99' is not available. Available here: "),
        ({'device': 'gpu:99'}, DeviceError, "Device 'cuda:99' is not available. Available here: "),
        ({'device': 'cuda:x'}, DeviceError, "Unknown device 'cuda:x'; use 'cuda:N', 'gpu', 'cpu' or 'mps'."),
        ({'device': 'tpu'}, DeviceError, "Unknown device 'tpu'"),
        pytest.param({'device': 'mps'}, DeviceError, "Device 'mps' is not available.", marks=without_mps),
        ({'device': 'cpu', 'dtype': 'fp8'}, InputError, "'dtype' must be one of 'auto', 'fp32', 'fp16', 'bf16'"),
        ({'device': 'cpu', 'attention': 'flash'}, InputError, "'attention' must be one of 'auto', 'sdpa'"),
        ({'device': 'cpu', 'attention': 'xformers'}, DeviceError, "attention='xformers' does not work on cpu"),
    ],
)
def test_type_and_message_survive_modelscope(stage_1_folder, options, error, message):
    from modelscope.pipelines import pipeline

    import modelscope_i2v  # noqa: F401

    with pytest.raises(error) as caught:
        pipeline('image-to-video', model=str(stage_1_folder), show_progress=False, **options)
    assert type(caught.value) is error
    assert message in str(caught.value)


@without_cuda
@pytest.mark.parametrize('options', [{'device': 'gpu'}, {}])
def test_pipeline_falls_back_with_one_warning(stage_1_folder, options, caplog):
    from modelscope.pipelines import pipeline

    import modelscope_i2v  # noqa: F401

    made = pipeline('image-to-video', model=str(stage_1_folder), show_progress=False, **options)
    assert made.device == made.model.device == CPU
    assert made.device_name == 'cpu'
    assert {parameter.device for parameter in made.model.parameters()} == {CPU}
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.name for record in warnings] == ['modelscope_i2v.runtime.execution']


@pytest.mark.parametrize(
    ('name', 'dtype'), [('auto', torch.float32), ('bf16', torch.bfloat16), ('fp16', torch.float16)]
)
def test_dtype_of_the_networks(stage_1_folder, name, dtype):
    from modelscope.models import Model

    import modelscope_i2v  # noqa: F401

    model = Model.from_pretrained(str(stage_1_folder), device='cpu', dtype=name, show_progress=False)
    assert {parameter.dtype for parameter in [*model.unet.parameters(), *model.clip.parameters()]} == {dtype}
    assert {parameter.dtype for parameter in model.autoencoder.parameters()} == {torch.float32}


def test_attention_back_ends_agree_and_are_set(stage_1_folder):
    from modelscope.models import Model

    import modelscope_i2v  # noqa: F401

    found = {}
    for name in ('sdpa', 'math'):
        model = Model.from_pretrained(str(stage_1_folder), device='cpu', attention=name, show_progress=False)
        assert {module.backend for module in model.unet.modules() if hasattr(module, 'backend')} == {name}
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(1, 4, 2, 8, 8, generator=generator)
        found[name] = model.unet(x, torch.tensor([500]), torch.ones(1, 1, 64), torch.tensor([8.0]))
    assert (found['sdpa'] - found['math']).abs().max() < 1e-4

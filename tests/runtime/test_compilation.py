"""Compilation with torch's own back ends: 'eager' runs the traced graphs, 'inductor' generates code."""

import logging

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

import modelscope_i2v
from modelscope_i2v.errors import InputError
from modelscope_i2v.networks.unet import run_block
from modelscope_i2v.runtime import compilation
from modelscope_i2v.runtime.compilation import Compiled
from modelscope_i2v.runtime.device import has_native_bf16
from modelscope_i2v.runtime.execution import Execution
from tests.golden import unet_micro


def inputs(size=8):
    generator = torch.Generator().manual_seed(size)
    x, embedding = torch.randn(1, 4, 2, size, size, generator=generator), torch.randn(1, 1, 64, generator=generator)
    return x, torch.tensor([500]), embedding, torch.tensor([8])


@pytest.mark.slow
@torch.no_grad()
def test_blocks_are_compiled_once_for_every_shape():
    unet, counter = unet_micro(), CompileCounterWithBackend('eager')
    plain = unet(*inputs())
    unet.run_block = Compiled(run_block, backend=counter)
    assert torch.equal(unet(*inputs()), plain)
    blocks = sum(not hasattr(block, 'conv') for block in (*unet.encoder, unet.middle, *unet.decoder))
    first = counter.frame_count
    assert 0 < first <= blocks
    assert torch.equal(unet(*inputs()), plain)
    assert counter.frame_count == first


@torch.no_grad()
def test_a_compiler_that_fails_is_not_asked_again(caplog):
    asked = []

    def broken(graph, example_inputs):
        asked.append(graph)
        raise FileNotFoundError('no compiler here')

    unet = unet_micro()
    plain = unet(*inputs())
    unet.run_block = Compiled(run_block, backend=broken)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert torch.equal(unet(*inputs()), plain)
    assert len(asked) == 1
    assert [record.getMessage() for record in caplog.records].count(caplog.messages[0]) == 1
    assert 'the network runs without: backend' in caplog.text
    assert 'no compiler here' in caplog.text


@pytest.mark.parametrize('takes_limit', [True, False])
def test_there_is_room_for_many_shapes_on_older_versions_of_torch_too(monkeypatch, caplog, takes_limit):
    if takes_limit and not compilation.TAKES_LIMIT:
        pytest.skip('this torch does not')
    monkeypatch.setattr(compilation, 'TAKES_LIMIT', takes_limit)
    counter = CompileCounterWithBackend('eager')
    compiled = Compiled(lambda x: x + 1, backend=counter)
    for size in range(2, 14):  # torch's own limit is 8
        assert torch.equal(compiled(torch.zeros(size)), torch.ones(size))
    assert counter.frame_count == 12
    assert 'Compiling failed' not in caplog.text


def test_one_compilation_too_many_is_left_out(monkeypatch, caplog):
    monkeypatch.setattr(compilation, 'MAX_COMPILATIONS', 2)
    compiled = Compiled(lambda x: x + 2, backend='eager')
    for size in range(2, 6):
        assert torch.equal(compiled(torch.zeros(size)), torch.full((size,), 2.0))
    assert caplog.text.count('Compiling failed, so the network runs without') == 1


def test_errors_of_the_function_itself_are_not_hidden():
    def fails(x):
        return x.view(7)

    with pytest.raises(RuntimeError, match='shape'):
        Compiled(fails, backend='eager')(torch.zeros(3))


def test_only_a_yes_or_no_is_taken():
    assert Execution.resolve('cpu', compile=True).compiled
    assert not Execution.resolve('cpu').compiled
    assert Execution.resolve('cpu', compile=True).on('cpu').compiled
    with pytest.raises(InputError, match="'compile' must be True or False, found 'reduce-overhead'"):
        Execution.resolve('cpu', compile='reduce-overhead')


@pytest.mark.slow
@torch.no_grad()
def test_generated_code_computes_the_same():
    unet = unet_micro()
    plain = unet(*inputs())
    unet.run_block = Compiled(run_block)
    assert (unet(*inputs()) - plain).abs().max() < 1e-4


def test_a_pipeline_compiles_only_if_asked_to(stage_1, stage_1_folder):
    made = modelscope_i2v.load(stage_1_folder, device='cpu', compile=True, show_progress=False)
    assert isinstance(made.model.unet.run_block, Compiled)
    assert made.recipe(made.resolve_arguments({}))['compiled'] is True
    assert stage_1.model.unet.run_block is run_block
    assert 'compiled' not in stage_1.recipe(stage_1.resolve_arguments({}))


def test_bf16_is_recommended_where_it_is_native_and_never_chosen(caplog):
    execution = Execution.resolve('cpu')
    assert execution.dtype == torch.float32
    with caplog.at_level(logging.INFO):
        execution.announce()
        assert ("dtype='bf16' is faster" in caplog.text) == has_native_bf16(torch.device('cpu'))
        caplog.clear()
        Execution.resolve('cpu', 'bf16').announce()
    assert 'bf16' not in caplog.text
    assert not has_native_bf16(torch.device('meta'))

"""The reference networks from the installed ``modelscope`` package, to be run side by side with ours.

Only single files are loaded, by path: the reference packages import far more than they need. Their one attention path,
xformers, has no CPU operators, so it is replaced by torch's SDPA for the duration of the import.
"""

import importlib
import importlib.util
import os
import sys
import types
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from modelscope_i2v.weights import build_on_meta, load_weights
from tests.golden import NET_BOUND, difference

#: Constructor arguments of the reference that both micro nets share (``tests.golden.UNET_MICRO`` in our words).
MICRO = {
    'in_dim': 4,
    'out_dim': 4,
    'dim': 32,
    'context_dim': 1024,
    'dim_mult': [2, 2, 4],
    'num_heads': 4,
    'head_dim': 16,
    'num_res_blocks': 1,
    'attn_scales': [1.0, 0.5],
    'use_checkpoint': False,
}
EXTRAS = ('fairscale', 'rotary_embedding_torch')


def _memory_efficient_attention(query, key, value, attn_bias=None, op=None):
    return F.scaled_dot_product_attention(query, key, value)


def reference_file(monkeypatch, relative: str):
    """Import ``modelscope/models/multi_modal/<relative>`` as a lone module, or skip if what it imports is absent."""
    for name in EXTRAS:
        # CI installs them, so there a skip would hide a broken installation.
        importlib.import_module(name) if os.environ.get('CI') else pytest.importorskip(name)
    xformers, ops = types.ModuleType('xformers'), types.ModuleType('xformers.ops')
    xformers.ops = ops
    ops.memory_efficient_attention = _memory_efficient_attention
    monkeypatch.setitem(sys.modules, 'xformers', xformers)
    monkeypatch.setitem(sys.modules, 'xformers.ops', ops)
    root = Path(importlib.util.find_spec('modelscope').origin).parent
    path = root / 'models' / 'multi_modal' / relative
    spec = importlib.util.spec_from_file_location(f'reference_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(factory):
    """Build on the CPU without moving the global random state that other tests look at."""
    with torch.random.fork_rng():
        return factory().eval()


def build_pair(relative: str, name: str, arguments: dict, factory):
    """The reference network ``name`` of the file ``relative`` with random weights, and ours with the same."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        module = reference_file(monkeypatch, relative)
        reference = build(lambda: getattr(module, name)(**arguments))
    generator = torch.Generator().manual_seed(11)
    for parameter in reference.parameters():  # the reference zeroes some layers; every tensor should count here
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
        parameter.data = torch.randn(parameter.shape, generator=generator) / fan_in**0.5 + (parameter.data == 1)
    return reference, load_weights(build_on_meta(factory), reference.state_dict()).eval()


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Within the networks' bound, which is for outputs of about unit size."""
    assert expected.std() > 0.05
    assert difference(found, expected) < NET_BOUND * max(1.0, expected.abs().max().item())

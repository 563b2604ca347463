"""The reference networks from the installed ``modelscope`` package, to be run side by side with ours.

Only single files are loaded, by path: the reference packages import far more than they need. Their one attention path,
xformers, has no CPU operators, so it is replaced by torch's SDPA for the duration of the import.
"""

import importlib.util
import sys
import types
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

EXTRAS = ('fairscale', 'rotary_embedding_torch')


def _memory_efficient_attention(query, key, value, attn_bias=None, op=None):
    return F.scaled_dot_product_attention(query, key, value)


def reference_file(monkeypatch, relative: str):
    """Import ``modelscope/models/multi_modal/<relative>`` as a lone module, or skip if what it imports is absent."""
    for name in EXTRAS:
        pytest.importorskip(name)
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

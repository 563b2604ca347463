"""The layers of a UNet that low-rank adaptation (LoRA) changes, and the names and shapes of its factors A and B."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from torch import nn

from modelscope_i2v.networks.attention import Attention
from modelscope_i2v.networks.layers import FeedForward, ResidualBlock, TemporalConvolution, TemporalTransformer

_PROJECTIONS = ('to_q', 'to_k', 'to_v', 'to_out')
_TEMPORAL_ATTENTION = tuple(f'block.attention_{index}.{name}' for index in (1, 2) for name in _PROJECTIONS)

#: Groups of layers: inside every module of a type, the layers with these names. Groups may overlap.
#: ``attention``: all attention, spatial and temporal. ``temporal``: everything that mixes frames, including attention.
LAYER_GROUPS: Mapping[str, tuple[tuple[type[nn.Module], tuple[str, ...]], ...]] = MappingProxyType(
    {
        'attention': ((Attention, _PROJECTIONS),),
        'temporal': (
            (TemporalTransformer, ('proj_in', 'proj_out', *_TEMPORAL_ATTENTION)),
            (TemporalConvolution, ('conv',)),
        ),
        'feed_forward': ((FeedForward, ('proj_in', 'proj_out')),),
        'convolution': ((ResidualBlock, ('conv_in', 'conv_out')),),
    }
)


def lora_layers(unet: nn.Module, groups: Iterable[str]) -> dict[str, nn.Module]:
    """The layers of ``groups`` (keys of :data:`LAYER_GROUPS`) inside ``unet`` by name, each once."""
    wanted = [entry for group in groups for entry in LAYER_GROUPS[group]]
    layers = {}
    for name, module in unet.named_modules():
        for kind, paths in wanted:
            if isinstance(module, kind):
                layers.update({f'{name}.{path}'.lstrip('.'): module.get_submodule(path) for path in paths})
    return layers


def factor_key(layer: str, letter: str) -> str:
    """The key of factor ``'A'`` or ``'B'`` of the layer named ``layer``."""
    return f'{layer}.lora_{letter}.weight'


def lora_shapes(unet: nn.Module, groups: Iterable[str], rank: int) -> dict[str, tuple[int, ...]]:
    """The tensors of a LoRA of ``rank`` for ``unet``: key -> shape.

    For a linear layer or a convolution with a weight ``[out, in, *kernel]``, A is a layer with the same kernel from
    ``in`` to ``rank`` channels, ``[rank, in, *kernel]``. B is a layer with a kernel of size 1 from ``rank`` to ``out``
    channels, ``[out, rank, 1, ...]``. The change of the weight is ``B A``, both as matrices.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for name, layer in lora_layers(unet, groups).items():
        out, *rest = layer.get_parameter('weight').shape
        shapes[factor_key(name, 'A')] = (rank, *rest)
        shapes[factor_key(name, 'B')] = (out, rank, *(1 for _ in rest[1:]))
    return shapes

"""Weights that processes share out among them, each keeping a part of every tensor, and how to have them whole again.

Zhao et al. 2023, "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel", arXiv 2304.11277; here in its
second version, whose parts are torch's ``DTensor``.
"""

from __future__ import annotations

from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor


def is_sharded(model: nn.Module) -> bool:
    """Whether processes share out the weights of ``model``."""
    return isinstance(model, FSDPModule)


def reshard(model: nn.Module) -> None:
    """Have the parameters of ``model`` be the parts again.

    A forward pass that no backward pass follows, as in validation, leaves whole copies in their place, and a change of
    the parts would go unnoticed.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def gather(model: nn.Module) -> None:
    """Make the parameters of ``model`` whole on every process, for saving. Every process has to call this."""
    reshard(model)
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if isinstance(parameter, DTensor):
                whole = parameter.full_tensor().detach()
                setattr(module, name, nn.Parameter(whole, requires_grad=parameter.requires_grad))

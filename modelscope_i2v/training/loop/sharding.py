"""Sharded weights, of which each process keeps a part of every tensor, and how to gather them again.

Zhao et al. 2023, "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel", arXiv 2304.11277. This is
the second version, in which the shards are torch's ``DTensor``.
"""

from __future__ import annotations

from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor


def is_sharded(model: nn.Module) -> bool:
    """Whether the weights of ``model`` are sharded across processes."""
    return isinstance(model, FSDPModule)


def reshard(model: nn.Module) -> None:
    """Replace gathered parameters of ``model`` by their shards again.

    A forward pass without a backward pass, as in validation, leaves gathered copies in place. The model would then
    ignore changes to the shards.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def gather(model: nn.Module) -> None:
    """Gather the full parameters of ``model`` on every process, for saving. Every process must call this."""
    reshard(model)
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if isinstance(parameter, DTensor):
                whole = parameter.full_tensor().detach()
                setattr(module, name, nn.Parameter(whole, requires_grad=parameter.requires_grad))

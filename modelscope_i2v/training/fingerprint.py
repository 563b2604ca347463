"""What tells one training from another: digests of weights, files and settings."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

#: Integers of as many bytes. Their sum is exact, so that it depends on no order of adding, which is up to threads.
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def fingerprint(*parts: object) -> str:
    """A digest of networks and of other values, which are told apart by ``repr``.

    Of a network it takes names, and of every tensor the first numbers and the sum of all, read as integers: seconds for
    billions of weights, and every training changes them.
    """
    digest = hashlib.sha256()
    for part in parts:
        if not isinstance(part, nn.Module):
            digest.update(repr(part).encode('utf-8', 'surrogateescape'))
            continue
        for name, tensor in part.state_dict().items():
            digest.update(name.encode())
            kept = tensor.detach().cpu().flatten()
            integers = kept.view(_INTEGERS[kept.element_size()])
            digest.update(torch.cat([integers.sum(dtype=torch.int64).view(1), integers[:64].long()]).numpy().tobytes())
    return digest.hexdigest()

"""Digests of weights, files and settings, to tell one training from another."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

#: The integer type for each element size in bytes. Integer sums are exact, so the number of threads does not matter.
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def fingerprint(*parts: object) -> str:
    """A digest of networks and of other values; the latter are compared by their ``repr``.

    For a network it covers the name of every tensor, its first 64 numbers and the sum of all its numbers, read as
    integers. This takes seconds for billions of weights, and any training changes the digest.
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

"""The network that every stage has: the autoencoder."""

from __future__ import annotations

from dataclasses import asdict

from modelscope_i2v.generation.configuration import StageConfiguration
from modelscope_i2v.networks import AutoencoderKL


def autoencoder(configuration: StageConfiguration) -> AutoencoderKL:
    """The KL autoencoder of a model."""
    return AutoencoderKL(**asdict(configuration.autoencoder))

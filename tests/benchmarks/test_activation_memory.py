"""The table of peaks of the full-size networks: meta tensors give the same numbers on every machine."""

import pytest

from benchmarks.activation_memory import MIB, PASSES

AUTOENCODER = {'encoder': 1350, 'decoder': 2250, 'encoder-9': 618, 'decoder-9': 690}
UNETS = {'image-to-video': 256, 'i2vgen-xl': 891, 'video-to-video': 1753}


@pytest.mark.parametrize('name', AUTOENCODER)
def test_autoencoder(name):
    assert PASSES[name].peak() / MIB == pytest.approx(AUTOENCODER[name], rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize('name', UNETS)
def test_unets(name):
    """Half a minute each. The estimate of a call is compared with the same numbers in the fast tests."""
    assert PASSES[name].peak() / MIB == pytest.approx(UNETS[name], rel=0.02)

"""Fixtures for the tests of this folder: small real frames, and temporary folders that must stay clean."""

import tempfile
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def frames():
    """Ten smooth RGB frames [48, 64, 3] that move."""
    y, x = np.mgrid[0:48, 0:64]
    return [np.stack([x * 4, y * 5, np.full_like(x, 25 * i)], axis=-1).astype(np.uint8) for i in range(10)]


@pytest.fixture
def clean_temp(tmp_path_factory, monkeypatch):
    """A separate temporary folder, which must be empty at the end of the test."""
    folder = tmp_path_factory.mktemp('temp')
    monkeypatch.setattr(tempfile, 'tempdir', str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def below_a_file(tmp_path):
    """A path that nobody can write to, not even root: its parent is a regular file."""
    (tmp_path / 'file.txt').write_text('not a folder')
    return Path(tmp_path, 'file.txt', 'out.mp4')

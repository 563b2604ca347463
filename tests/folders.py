"""Variants of model folders with other entries in configuration.json, and scripts that run outside of pytest."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import modelscope_i2v

#: Marks an entry to remove.
ABSENT = object()

IMAGE = Path(__file__).parent / 'data' / 'images' / 'sq_448.png'


def picture(width, height):
    """A picture of noise."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def edited(content, changes):
    """A copy of ``content`` with ``changes``: keys joined by dots -> new value, or ABSENT."""
    content = copy.deepcopy(content)
    for place, value in changes.items():
        *parents, last = place.split('.')
        section = content
        for key in parents:
            section = section[key]
        if value is ABSENT:
            del section[last]
        else:
            section[last] = value
    return content


def variant(source, folder, changes=None, text=None):
    """A new model ``folder`` with the weight files of ``source`` (linked) and its configuration.json with ``changes``.

    ``text`` (str or bytes) replaces the whole configuration.json.
    """
    folder.mkdir(parents=True)
    for file in Path(source).iterdir():
        if file.name != 'configuration.json':
            os.link(file, folder / file.name)
    if text is None:
        text = json.dumps(edited(json.loads((Path(source) / 'configuration.json').read_text()), changes or {}))
    (folder / 'configuration.json').write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def run_python(script, *arguments, **environment):
    """Run ``script`` in a fresh interpreter that finds this package. If it fails, so does the test, with its output."""
    root = str(Path(modelscope_i2v.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, '-c', script, *map(str, arguments)],
        env={**os.environ, 'PYTHONPATH': root, **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, f'{done.stdout}\n{done.stderr}'
    return done

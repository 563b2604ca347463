"""ModelScope's real client in its own process: it reads its endpoint only once, on import."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODEL, SECOND = 'damo/Image-to-Video', 'damo/Video-to-Video'
UNET, CLIP, AUTOENCODER = 'unet.pth', 'open_clip_pytorch_model.bin', 'v2-1_512-ema-pruned.ckpt'
WEIGHTS = sorted([UNET, CLIP, AUTOENCODER])

#: Fetches the model, revision (or '') and offline (or '') of each argument, and prints the results.
FETCH = """
import json, logging, sys, time
from modelscope_i2v import ModelScopeI2VError
from modelscope_i2v.hub.download import find_snapshot

class Warnings(logging.Handler):
    def emit(self, record):
        warnings.append(record.getMessage())

found, warnings = [], []
logging.getLogger('modelscope_i2v').addHandler(Warnings(logging.WARNING))
for argument in sys.argv[1:]:
    model, revision, offline = argument.split(',')
    start = time.monotonic()
    try:
        folder = str(find_snapshot(model, revision or None, offline=bool(offline)).complete().path)
        found.append({'folder': folder, 'seconds': time.monotonic() - start, 'warnings': [*warnings]})
        warnings.clear()
    except ModelScopeI2VError as error:
        found.append({'error': type(error).__name__, 'message': str(error)})
print(json.dumps(found))
"""


def environment(hub, cache):
    """The environment of a process whose client uses ``hub`` and keeps its files in ``cache``."""
    return {
        **os.environ,
        'MODELSCOPE_ENDPOINT': hub.endpoint,
        'MODELSCOPE_CACHE': str(cache),
        'PYTHONPATH': str(ROOT),
    }


def run(hub, cache, *arguments, cwd=None, timeout=300):
    """Run Python in that environment."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment(hub, cache),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def python(hub, cache, code, *arguments, timeout=300):
    """Run ``code`` and return the last line that it printed, parsed as JSON.

    Raises:
        AssertionError: if it failed, with its standard error.
    """
    done = run(hub, cache, '-c', code, *arguments, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def fetch(hub, cache, *wanted, timeout=300):
    return python(hub, cache, FETCH, *wanted, timeout=timeout)


def snapshot(tmp_path, model=MODEL, revision='v1.1.0'):
    return tmp_path / 'cache' / 'models' / model.replace('/', '--') / 'snapshots' / revision

"""``modelscope server`` with our tasks, without importing our package: its entry point registers them."""

import base64
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import av
import pytest

from tests.folders import IMAGE
from tests.hub.client import environment
from tests.hub.server import serving

pytest.importorskip('fastapi')
MAIN = 'import sys; from modelscope_hub.cli.main import run_cmd; sys.argv[0] = "modelscope"; sys.exit(run_cmd())'


@contextmanager
def server(hub, cache, model):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    options = ['--model_id', model, '--revision', 'v1.1.0', '--host', '127.0.0.1', '--port', str(port)]
    log = (cache / 'server.log').open('wb')
    process = subprocess.Popen(
        [sys.executable, '-c', MAIN, 'server', *options], env=environment(hub, cache), stdout=log, stderr=log
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f'http://127.0.0.1:{port}/health', timeout=5)
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, (cache / 'server.log').read_text()
                assert time.monotonic() < deadline, (cache / 'server.log').read_text()
                time.sleep(0.5)
        yield port
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def call(port, **body):
    request = urllib.request.Request(
        f'http://127.0.0.1:{port}/call', json.dumps(body).encode(), {'Content-Type': 'application/json'}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read())


def frames(path):
    with av.open(str(path)) as container:
        return [(frame.width, frame.height) for frame in container.decode(video=0)]


@pytest.mark.slow
def test_both_stages_are_served(golden_model, golden_model_2, tmp_path):
    pages = {'damo/Image-to-Video': golden_model, 'damo/Video-to-Video': golden_model_2}
    with serving() as hub:
        for model, folder in pages.items():
            hub.serve(model, 'v1.1.0', folder)
        picture = base64.b64encode(IMAGE.read_bytes()).decode()
        with server(hub, tmp_path, 'damo/Image-to-Video') as port:
            answer = call(port, input={'image': picture}, parameters={'steps': 2, 'num_frames': 3, 'seed': 5})
        low = tmp_path / 'low.mp4'
        low.write_bytes(base64.b64decode(answer['output_video']))
        assert frames(low) == [(96, 64)] * 3
        with server(hub, tmp_path, 'damo/Video-to-Video') as port:
            video = base64.b64encode(low.read_bytes()).decode()
            given = {'video_path': video, 'text': 'a cat'}
            answer = call(port, input=given, parameters={'steps': 1, 'noise_level': 100})
        high = tmp_path / 'high.mp4'
        high.write_bytes(base64.b64decode(answer['output_video']))
        assert len(frames(high)) == 3

"""Several clients at once: no job is lost, none is swapped. Waiting times: python -m pytest -m slow -s this file."""

import threading
import time

import numpy as np
import pytest
import requests

pytest.importorskip('fastapi')

from tests.serving.server import serving

CLIENTS, JOBS = 3, 20


@pytest.mark.slow
def test_three_clients_with_twenty_jobs_each(stage_1_folder, picture, tmp_path):
    waited, wrong = [], []

    def client(address, number):
        for job in range(JOBS):
            seed, sent = 1000 * number + job, time.monotonic()
            made = requests.post(
                f'{address}/v1/videos/sync',
                data={'steps': 2, 'num_frames': 3, 'seed': seed},
                files={'input_reference': picture},
                timeout=300,
            )
            waited.append(time.monotonic() - sent)
            (tmp_path / f'{seed}.mp4').write_bytes(made.content)
            told = requests.get(f'{address}/v1/videos/{made.headers["x-video-id"]}', timeout=30).json()
            if [entry['seed'] for entry in told['recipe']] != [seed]:
                wrong.append(seed)

    options = {'results': tmp_path / 'results', 'log': tmp_path / 'log'}
    with serving('--model', stage_1_folder, **options) as (address, _):
        clients = [threading.Thread(target=client, args=(address, number)) for number in range(CLIENTS)]
        for each in clients:
            each.start()
        for each in clients:
            each.join()
    assert (len(waited), wrong) == (CLIENTS * JOBS, [])
    videos = {path.read_bytes() for path in tmp_path.glob('*.mp4')}
    assert len(videos) == CLIENTS * JOBS
    half, most = np.percentile(waited, (50, 95))
    print(f'{CLIENTS} clients, {JOBS} jobs each: p50 {half:.2f} s, p95 {most:.2f} s')  # noqa: T201

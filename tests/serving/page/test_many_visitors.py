"""Two visitors and a program at once: no job is lost, none is swapped. Waiting times: pytest -m slow -s this file."""

import threading
import time

import numpy as np
import pytest
import requests

from tests.serving.page.acts import WHOLE, choose, fill

JOBS = 20


@WHOLE
@pytest.mark.slow
def test_two_visitors_and_a_program_with_twenty_jobs_each(server, visit, photo, picture):
    waited, found = [], {}

    def finished(began, job_id, seed):
        waited.append(time.monotonic() - began)
        told = requests.get(f'{server}/v1/videos/{job_id}', timeout=60).json()
        content = requests.get(f'{server}/v1/videos/{job_id}/content', timeout=60).content
        found[seed] = ([entry['seed'] for entry in told['recipe']], content)

    def program():
        for seed in range(JOBS):
            began, data = time.monotonic(), {'steps': 2, 'num_frames': 3, 'seed': seed}
            sent = {'data': data, 'files': {'input_reference': picture}, 'timeout': 300}
            made = requests.post(f'{server}/v1/videos/sync', **sent)
            finished(began, made.headers['x-video-id'], seed)

    pages = [visit(server), visit(server)]
    for page in pages:
        choose(page, photo)
        fill(page, 'steps', 2)
        fill(page, 'num_frames', 3)
    thread = threading.Thread(target=program)
    thread.start()
    for job in range(JOBS):
        began = {}
        for number, page in enumerate(pages, 1):
            seed = 1000 * number + job
            page.fill('#seed-1 textarea, #seed-1 input', str(seed))
            page.click('#make-1')
            began[page, seed] = time.monotonic()
        for (page, seed), then in began.items():
            tile = page.locator('#results-1 .tile.done').filter(has=page.get_by_text(f'seed {seed}', exact=True))
            finished(then, tile.get_attribute('data-job'), seed)
            page.wait_for_function("!document.querySelector('#make-1').disabled")
    thread.join()
    assert {seed: seeds for seed, (seeds, _) in found.items()} == {seed: [seed] for seed in found}
    assert len(found) == len({content for _, content in found.values()}) == 3 * JOBS
    half, most = np.percentile(waited, (50, 95))
    print(f'Two visitors and a program, {JOBS} jobs each: p50 {half:.2f} s, p95 {most:.2f} s')  # noqa: T201

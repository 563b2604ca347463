"""The engine with small models: what it makes, refuses, survives and keeps."""

import dataclasses
import io
import json
import os
import re
import resource
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from modelscope_i2v.errors import DeviceError, InputError, OutputError
from modelscope_i2v.media import open_video
from modelscope_i2v.serving.board import Board
from modelscope_i2v.serving.engine import Engine
from modelscope_i2v.serving.jobs import (
    Job,
    NotFinishedError,
    QueueFullError,
    TooLargeError,
    UnknownJobError,
    UnknownModelError,
    UnreadableError,
    VideoRequest,
)
from modelscope_i2v.serving.limits import Limits
from modelscope_i2v.serving.plan import plan
from modelscope_i2v.serving.room import devices_with_room
from tests.folders import IMAGE
from tests.serving.files import black

ONE, TWO = 'Image-to-Video', 'Video-to-Video'
FAST = {'steps': 2, 'num_frames': 3}
SLOW = {'steps': 200, 'num_frames': 3}


@pytest.fixture(scope='module')
def engine(models, tmp_path_factory):
    with Engine(models, tmp_path_factory.mktemp('results'), devices=['cpu']) as engine:
        yield engine


def request(content, **arguments):
    return VideoRequest(content=content, arguments={**FAST, **arguments})


def frames(path):
    return np.stack([frame.pixels for frame in open_video(path).frames()])


def started(engine, job):
    """The job once it samples."""
    for now in engine.events(job.id):
        if now.is_finished or (now.progress is not None and now.progress.step > 0):
            return now
    raise AssertionError


def test_a_picture_becomes_the_video_that_the_pipeline_makes(engine, stage_1, picture, tmp_path):
    job = engine.submit(request(picture, seed=5))
    assert (job.status, job.model, job.seed, job.width, job.height, job.frames) == ('queued', ONE, 5, 64, 64, 3)
    states = list(engine.events(job.id))
    done = states[-1]
    assert (done.status, done.error, done.percent, done.seconds) == ('completed', None, 100, 3 / 8)
    assert done.recipe[0]['seed'] == 5
    assert {state.progress.phase for state in states if state.progress} >= {'sampling'}
    percents = [state.percent for state in states]
    assert percents == sorted(percents)
    stage_1(picture, output_video=tmp_path / 'same.mp4', seed=5)
    assert engine.result(job.id).read_bytes() == (tmp_path / 'same.mp4').read_bytes()


def test_whoever_wants_a_preview_sees_the_video_while_it_is_sampled(engine, picture):
    plain = engine.submit(request(picture))
    assert not any(state.progress.preview for state in engine.events(plain.id) if state.progress)
    job = engine.submit(VideoRequest(content=picture, arguments={**FAST, 'steps': 8}, preview=True))
    previews = [state.progress.preview for state in engine.events(job.id) if state.progress and state.progress.preview]
    assert len(set(previews)) > 1
    with Image.open(io.BytesIO(previews[-1])) as moving:
        assert (moving.format, moving.n_frames, moving.size) == ('WEBP', 3, (8, 8))


def test_a_result_becomes_larger_and_a_chain_does_both(engine, picture):
    low = engine.wait(engine.submit(request(picture, seed=1)).id)
    high = engine.submit(VideoRequest(source=low.id, prompt='a fox', arguments={'steps': 2, 'seed': '3'}))
    high = engine.wait(high.id)
    assert (high.status, high.model, high.source, high.frames) == ('completed', TWO, low.id, 3)
    assert [entry['seed'] for entry in high.recipe] == [1, 3]
    assert high.recipe[1]['text'] == 'a fox'
    both = engine.submit(
        VideoRequest(content=picture, stages=2, prompt='a fox', arguments={**FAST, 'stage1_seed': 1, 'stage2_seed': 3})
    )
    seen = {(now.progress.stage, now.progress.task) for now in engine.events(both.id) if now.progress}
    assert seen >= {(2, 'video-to-video')}
    both = engine.wait(both.id)
    assert [(entry['stage'], entry['seed']) for entry in both.recipe] == [('image-to-video', 1), ('video-to-video', 3)]
    assert frames(engine.result(both.id)).shape == frames(engine.result(high.id)).shape


def test_a_video_is_the_input_of_stage_2(engine, clip):
    job = engine.wait(engine.submit(VideoRequest(content=clip, model=TWO, arguments={'steps': 1})).id)
    assert (job.status, job.frames, job.fps) == ('completed', 3, 8)
    shorter = engine.submit(VideoRequest(content=clip, model=TWO, seconds=0.25, arguments={'steps': 1}))
    assert engine.wait(shorter.id).frames == 2


def test_the_length_may_be_given_in_seconds(engine, picture):
    job = engine.submit(VideoRequest(content=picture, seconds=0.5, arguments={'steps': 1, 'fps': 4}))
    assert (job.frames, job.fps) == (2, 4)
    assert engine.wait(job.id).frames == 2


REFUSED = {
    'no picture': ({'content': b'hello'}, InputError, 'not an image'),
    'nothing': ({'content': b''}, InputError, 'empty'),
    'unknown model': ({'model': 'Image-to-Vide'}, UnknownModelError, "Did you mean 'Image-to-Video'?"),
    'a text for no text': ({'prompt': 'a fox'}, InputError, "'Video-to-Video' takes one"),
    'unknown argument': ({'arguments': {'stepz': 3}}, TypeError, "Did you mean 'steps'?"),
    'out of range': ({'arguments': {'guidance_scale': -1}}, InputError, "'guidance_scale' must be"),
    'no number': ({'arguments': {'steps': 'many'}}, InputError, "'steps' must be a whole number, found 'many'"),
    'too many steps': ({'arguments': {'steps': 201}}, InputError, "'steps' must be at most 200 here"),
    'too many frames': ({'arguments': {'num_frames': 129}}, InputError, 'more frames than the 128'),
    'too many seconds': ({'seconds': 1000, 'arguments': {}}, InputError, 'more frames than the 128'),
    'too many pixels': ({'arguments': {'height': 4096, 'width': 4096}}, InputError, '16,777,216 pixels'),
    '60,000 x 10': ({'arguments': {'height': 10, 'width': 60000}}, InputError, "'width' must be"),
    'a size of no network': ({'arguments': {'height': 65}}, InputError, 'the nearest legal values are 64 and 80'),
    'two lengths': ({'seconds': 1}, InputError, "'seconds' and 'num_frames' both"),
    'a long text': ({'model': TWO, 'prompt': 'x' * 2**20}, InputError, '1,048,576 characters'),
    'a large file': ({'content': bytes(33 * 2**20)}, TooLargeError, 'at most 33,554,432'),
    'force': ({'arguments': {'force': 'true'}}, TypeError, "Unknown argument 'force'"),
    'a file to write': ({'arguments': {'output_video': '/tmp/x.mp4'}}, TypeError, "Unknown argument 'output_video'"),
    'stages after the last': ({'model': TWO, 'stages': 2}, UnknownModelError, 'No model here makes the videos of'),
    'no job': ({'content': None, 'source': 'video_0'}, UnknownJobError, "no video 'video_0'"),
    'a file as a job': ({'content': None, 'source': '../../etc/passwd'}, UnknownJobError, 'no video'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_what_cannot_be_done_is_refused_at_once(engine, picture, case):
    changes, kind, said = REFUSED[case]
    with pytest.raises(kind) as caught:
        engine.submit(VideoRequest(**{'content': picture, 'arguments': FAST, **changes}))
    assert said in str(caught.value)


def test_a_picture_of_60000_x_10_is_refused_and_a_panorama_is_not(engine):
    for size in ((60000, 10), (10, 60000)):
        with pytest.raises(UnreadableError, match='6,000 times as long as the shorter one; at most 20 times'):
            engine.submit(request(black(*size)))
    with pytest.raises(UnreadableError, match=r'20\.5 times as long'):
        engine.submit(request(black(2049, 100)))
    done = engine.wait(engine.submit(request(black(2000, 100))).id)
    assert (done.status, done.width, done.height) == ('completed', 64, 64)


def test_a_video_for_a_model_of_pictures_names_the_other_model(engine, picture):
    low = engine.wait(engine.submit(request(picture)).id)
    with pytest.raises(InputError, match="Use 'Video-to-Video'"):
        engine.submit(VideoRequest(source=low.id, model=ONE))


def test_cancelling_a_running_job_and_a_waiting_one(engine, picture):
    long, short = engine.submit(request(picture, **SLOW)), engine.submit(request(picture))
    assert started(engine, long).progress.seconds_left > 0
    assert engine.position(short.id) == 0
    with pytest.raises(NotFinishedError):
        engine.delete(long.id)
    waited = engine.cancel(short.id)
    assert (waited.status, waited.error.code) == ('failed', 'cancelled')
    at = engine.cancel(long.id).progress.step
    stopped = engine.wait(long.id)
    assert (stopped.status, stopped.error.code) == ('failed', 'cancelled')
    assert stopped.progress.step <= at + 1
    with pytest.raises(NotFinishedError, match='has failed'):
        engine.result(long.id)
    assert engine.cancel(long.id) == stopped
    assert engine.wait(engine.submit(request(picture)).id).status == 'completed'


def test_a_failing_job_harms_no_other(engine, picture, monkeypatch, caplog):
    from modelscope_i2v.image_to_video.pipeline import ImageToVideoPipeline

    for raised in (RuntimeError('secret'), KeyError('secret'), SystemExit(3)):
        with monkeypatch.context() as broken:

            def fail(*_, raised=raised):
                raise raised

            broken.setattr(ImageToVideoPipeline, 'forward', fail)
            job = engine.wait(engine.submit(request(picture)).id)
        assert (job.status, job.error.code) == ('failed', 'internal_error')
        assert 'secret' not in job.error.message
        assert 'Traceback' in caplog.text
    assert engine.is_healthy
    assert engine.wait(engine.submit(request(picture)).id).status == 'completed'


def test_a_video_that_is_gone_is_not_found(engine, picture):
    done = engine.wait(engine.submit(request(picture)).id)
    engine.result(done.id).unlink()
    with pytest.raises(UnknownJobError, match='is gone'):
        engine.result(done.id)


def test_a_full_disk_fails_one_job(engine, picture):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, limits[1]))
    try:
        job = engine.wait(engine.submit(request(picture)).id)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (job.status, job.error.code) == ('failed', 'storage_error')
    assert 'The server cannot store the video: File too large.' in job.error.message
    assert engine.wait(engine.submit(request(picture)).id).status == 'completed'


def test_the_queue_is_bounded_and_closing_stops_everything(models, picture, tmp_path):
    engine = Engine(models, tmp_path, limits=Limits(queue=2), devices=['cpu'])
    running = engine.submit(request(picture, **SLOW))
    started(engine, running)
    waiting = [engine.submit(request(picture)) for _ in range(2)]
    with pytest.raises(QueueFullError, match='2 jobs are waiting'):
        engine.submit(request(picture))
    with pytest.raises(OutputError, match='Another server'):
        Engine(models, tmp_path, devices=['cpu'])
    engine.close()
    engine.close()
    for job in (running, *waiting):
        assert engine.job(job.id).error.code == 'interrupted'
    assert [path.name for path in tmp_path.rglob('*.partial')] == []


def test_pages_of_jobs(models, picture, tmp_path):
    with Engine(models, tmp_path, devices=['cpu']) as engine:
        ids = [engine.submit(request(picture, steps=1)).id for _ in range(3)]
        first, more = engine.jobs(limit=2)
        assert ([job.id for job in first], more) == ([ids[2], ids[1]], True)
        second, more = engine.jobs(limit=2, after=ids[1])
        assert ([job.id for job in second], more) == ([ids[0]], False)
        assert [job.id for job in engine.jobs(order='asc')[0]] == ids
        with pytest.raises(InputError, match="'limit'"):
            engine.jobs(limit=0)
        engine.wait(ids[2])
        engine.delete(ids[0])
        with pytest.raises(UnknownJobError):
            engine.job(ids[0])
        assert not (tmp_path / ids[0]).exists()


def test_old_results_make_room(models, picture, tmp_path):
    with Engine(models, tmp_path, limits=Limits(kept_bytes=1), devices=['cpu']) as engine:
        first, second = (engine.wait(engine.submit(request(picture)).id) for _ in range(2))
        deadline = time.monotonic() + 30
        while (tmp_path / first.id).exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert engine.result(second.id).exists()
    with Engine(models, tmp_path, limits=Limits(kept_seconds=1e-6), devices=['cpu']) as engine:
        assert engine.jobs() == ([], False)
    assert not (tmp_path / second.id).exists()


def test_models_stay_loaded_within_the_limit(models):
    from modelscope_i2v.runtime.execution import Execution
    from modelscope_i2v.serving.models import LoadedModels

    both = LoadedModels(Execution.resolve('cpu'), 2**40)
    kept = both.get(models[0])
    both.get(models[1])
    assert both.get(models[0]) is kept
    assert both.names == (TWO, ONE)
    one = LoadedModels(Execution.resolve('cpu'), 1)
    for model in models:
        one.get(model)
        assert one.names == (model.name,)


#: Bytes that the models here have to themselves, enough for their small videos.
ROOM = 2**28


def test_a_job_that_cannot_fit_is_refused_before_it_waits(models, picture, tmp_path, monkeypatch):
    monkeypatch.setattr('modelscope_i2v.generation.memory_check.free_memory', lambda device: ROOM)
    with Engine(models, tmp_path, devices=['cpu']) as engine:
        with pytest.raises(DeviceError) as caught:
            engine.submit(request(picture, height=1024, width=1024))
        said = str(caught.value)
        assert '3 frames of 1024 x 1024 pixels would take about' in said
        assert "but 'cpu' has only 0.2 GiB free. What fits: " in said
        assert 'force' not in said
        assert engine.jobs() == ([], False)
        with pytest.raises(DeviceError, match='1024 x 1024'):
            engine.submit(VideoRequest(content=picture, stages=2, arguments={**FAST, 'height': 1024, 'width': 1024}))
        fits = re.search(r'What fits: .*height=(\d+), width=(\d+) for 3 frames', said)
        job = engine.submit(request(picture, height=fits[1], width=fits[2]))
        assert job.status == 'queued'
        engine.cancel(job.id)


def test_a_job_goes_where_it_fits(models, picture, tmp_path, monkeypatch):
    rooms = iter([1, ROOM])  # what the two workers find when they start; later, only one byte is free
    monkeypatch.setattr('modelscope_i2v.generation.memory_check.free_memory', lambda device: next(rooms, 1))
    with Engine(models, tmp_path, devices=['cpu', 'cpu']) as engine:
        made = plan(request(picture), engine.catalogue, engine.limits)
        assert devices_with_room(made, engine._loaded) == [1]
        with pytest.raises(DeviceError, match='has only 0 MiB free. No smaller video fits'):
            devices_with_room(made, engine._loaded[:1])


def test_the_board_gives_a_job_to_a_worker_that_can_do_it():
    job = Job(id='a', status='queued', model='m', stages=1, created_at=0, seed=0, width=8, height=8, frames=1, fps=1)
    board = Board([], most_waiting=2)
    board.add(job, None, [1])
    board.add(dataclasses.replace(job, id='b'), None, [0, 1])
    assert board.next(0, 0.01).job_id == 'b'
    assert board.next(0, 0.01) is None
    assert board.next(1, 0.01).job_id == 'a'


def test_two_workers_make_two_videos_at_a_time(models, picture, tmp_path):
    with Engine(models, tmp_path / 'one', devices=['cpu']) as one:
        alone = [one.wait(one.submit(request(picture, seed=seed)).id) for seed in range(3)]
        expected = [one.result(job.id).read_bytes() for job in alone]
    with Engine(models, tmp_path / 'two', devices=['cpu', 'cpu']) as two:
        long = [two.submit(request(picture, **SLOW)) for _ in range(2)]
        assert [started(two, job).status for job in long] == ['in_progress'] * 2
        assert two.counts == (0, 2)
        third = two.submit(request(picture, seed=0))
        assert two.position(third.id) == 0
        two.cancel(long[1].id)
        assert two.wait(third.id).status == 'completed'  # on the one that became free
        assert two.job(long[0].id).status == 'in_progress'
        two.cancel(long[0].id)
        jobs = [two.submit(request(picture, seed=seed)) for seed in range(3)]
        assert [two.wait(job.id).recipe[0]['seed'] for job in jobs] == [0, 1, 2]
        assert [two.result(job.id).read_bytes() for job in jobs] == expected


def test_models_make_room_for_a_job_that_fits_alone(models, picture, clip, tmp_path, monkeypatch, caplog):
    caplog.set_level('INFO', 'modelscope_i2v.serving')
    with Engine(models, tmp_path, devices=['cpu'], model_bytes=2**40) as engine:
        first = engine.wait(engine.submit(VideoRequest(content=clip, arguments={'steps': 1}, model=TWO)).id)
        assert first.status == 'completed'
        loaded = engine._loaded[0]
        assert loaded.names == (TWO,)
        # There is room for one model only.
        monkeypatch.setattr(
            'modelscope_i2v.generation.memory_check.free_memory', lambda device: ROOM if len(loaded.names) < 2 else 1
        )
        second = engine.wait(engine.submit(request(picture)).id)
        assert (second.status, loaded.names) == ('completed', (ONE,))
        assert 'Unloading models that are not needed' in caplog.text


def test_the_state_on_disk_is_json_without_the_input(engine, picture):
    job = engine.wait(engine.submit(request(picture)).id)
    state = json.loads((engine.result(job.id).parent / 'job.json').read_text())
    assert (state['id'], state['status'], state['seed']) == (job.id, 'completed', job.seed)
    assert sorted(path.name for path in engine.result(job.id).parent.iterdir()) == ['job.json', 'video.mp4']


KILLED = """
import sys
from pathlib import Path
from modelscope_i2v.serving.board import Board
from modelscope_i2v.serving.engine import Engine
from modelscope_i2v.serving.jobs import VideoRequest
from modelscope_i2v.serving.models import ServedModel
model, picture, folder = sys.argv[1:]
engine = Engine([ServedModel.find(model)], folder, devices=['cpu'])
content = Path(picture).read_bytes()
make = lambda steps: engine.submit(VideoRequest(content=content, arguments={'steps': steps, 'num_frames': 3}))
done = engine.wait(make(1).id)
long, waiting = make(200), make(1)
next(job for job in engine.events(long.id) if job.progress and job.progress.step)
print(done.id, long.id, waiting.id, flush=True)
engine.wait(long.id, timeout=60)
"""


@pytest.mark.slow
def test_a_killed_process_loses_no_result(stage_1_folder, models, tmp_path):
    with subprocess.Popen(
        [sys.executable, '-c', KILLED, stage_1_folder, IMAGE, tmp_path],
        stdout=subprocess.PIPE,
        env={**os.environ, 'PYTHONPATH': str(IMAGE.parents[3])},
        text=True,
    ) as process:
        done, long, waiting = process.stdout.readline().split()
        process.kill()
    (tmp_path / 'video_not_ours').mkdir()
    (tmp_path / f'video_{"0" * 32}').mkdir()
    (tmp_path / f'video_{"0" * 32}' / 'job.json').write_text('{"id": 3}')
    with Engine(models, tmp_path, devices=['cpu']) as engine:
        assert engine.job(done).status == 'completed'
        assert engine.job(done).recipe[0]['steps'] == 1
        assert len(frames(engine.result(done))) == 3
        assert [engine.job(job).error.code for job in (long, waiting)] == ['interrupted'] * 2
        assert [job.id for job in engine.jobs(order='asc')[0]] == [done, long, waiting]

"""The HTTP API of a real server, by the official client of OpenAI and by clients that misbehave."""

import asyncio
import base64
import io
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import av
import pytest
import requests
from PIL import Image

openai = pytest.importorskip('openai')

from modelscope_i2v.serving.http.guard import Access, Guard  # noqa: E402
from tests.serving.files import black  # noqa: E402
from tests.serving.server import serving  # noqa: E402

ONE, TWO = 'Image-to-Video', 'Video-to-Video'
FAST = {'steps': 2, 'num_frames': 3}
LONG = {'steps': 200, 'num_frames': 32}


@pytest.fixture(scope='module')
def client(server):
    return openai.OpenAI(base_url=f'{server}/v1', api_key='none', max_retries=0)


def sizes(content):
    with av.open(io.BytesIO(content)) as container:
        return [(frame.width, frame.height) for frame in container.decode(video=0)]


def post(server, picture, path='/v1/videos', **fields):
    files = {'input_reference': ('p.png', picture, 'image/png')}
    return requests.post(server + path, data={**FAST, **fields}, files=files, timeout=120)


def finished(server, video_id):
    with requests.get(f'{server}/v1/videos/{video_id}/events', stream=True, timeout=120) as stream:
        lines = [line for line in stream.iter_lines(decode_unicode=True) if line.startswith('data: ')]
    return json.loads(lines[-1].removeprefix('data: '))


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_the_official_client_makes_polls_and_downloads_a_video(client, picture):
    video = client.videos.create_and_poll(
        model=ONE, prompt='', input_reference=('p.png', picture), extra_body={**FAST, 'seed': 7}, poll_interval_ms=100
    )
    assert (video.status, video.error, video.progress, video.size) == ('completed', None, 100, '64x64')
    assert (video.seconds, video.seed, video.recipe[0]['seed']) == ('0.375', 7, 7)
    assert sizes(client.videos.download_content(video.id).read()) == [(64, 64)] * 3
    thumbnail = Image.open(io.BytesIO(client.videos.download_content(video.id, variant='thumbnail').read()))
    sheet = Image.open(io.BytesIO(client.videos.download_content(video.id, variant='spritesheet').read()))
    assert (thumbnail.format, thumbnail.size, sheet.format, sheet.size) == ('WEBP', (64, 64), 'JPEG', (128, 128))
    assert video.id in [each.id for each in client.videos.list(limit=1)]
    assert client.videos.retrieve(video.id).recipe == video.recipe
    larger = client.videos.create_and_poll(
        model=TWO, prompt='a fox', extra_body={'source_video_id': video.id, 'steps': 1}, poll_interval_ms=100
    )
    assert (larger.status, len(larger.recipe), larger.source_video_id) == ('completed', 2, video.id)
    assert client.videos.delete(video.id).deleted is True
    with pytest.raises(openai.NotFoundError, match='may have been deleted'):
        client.videos.retrieve(video.id)


def test_models_health_and_metrics(client, server):
    assert [(model.id, model.takes_text) for model in client.models.list()] == [(ONE, False), (TWO, True)]
    assert requests.get(f'{server}/health', timeout=10).json()['status'] == 'ok'
    metrics = requests.get(f'{server}/metrics', timeout=10).text
    assert 'modelscope_i2v_jobs_total{outcome="completed"}' in metrics


def test_one_model_by_its_name(client):
    assert client.models.retrieve(TWO).id == TWO
    with pytest.raises(openai.NotFoundError, match="Did you mean 'Image-to-Video'"):
        client.models.retrieve('Image-to-Vide')


def test_json_with_base64_or_a_data_uri_and_two_stages(server, picture):
    encoded = base64.b64encode(picture).decode()
    for reference in (encoded, f'data:image/png;base64,{encoded}', {'image_url': f'data:image/png;base64,{encoded}'}):
        body = {'input_reference': reference, 'seconds': '0.25', 'steps': 1, 'seed': 3}
        job = requests.post(f'{server}/v1/videos', json=body, timeout=60).json()
        assert (job['num_frames'], job['seed']) == (2, 3)
    body = {'input_reference': encoded, 'stages': 2, 'prompt': 'a fox', **FAST, 'seed': 4}
    made = requests.post(f'{server}/v1/videos/sync', json=body, timeout=120)
    assert (made.status_code, made.headers['content-type'], made.headers['x-video-seed']) == (200, 'video/mp4', '4')
    assert len(sizes(made.content)) == 3
    recipe = requests.get(f'{server}/v1/videos/{made.headers["x-video-id"]}', timeout=10).json()['recipe']
    assert [(entry['stage'], entry['seed']) for entry in recipe] == [('image-to-video', 4), ('video-to-video', 4)]
    assert recipe[1]['text'] == 'a fox'


def test_events_show_the_progress_and_delete_cancels(server, picture):
    job = post(server, picture, **LONG).json()
    seen = []
    with requests.get(f'{server}/v1/videos/{job["id"]}/events', stream=True, timeout=120) as stream:
        assert stream.headers['content-type'].startswith('text/event-stream')
        for line in stream.iter_lines(chunk_size=1, decode_unicode=True):
            if not line.startswith('data: '):
                continue
            seen.append(json.loads(line.removeprefix('data: ')))
            if seen[-1]['step'] and seen[-1]['status'] == 'in_progress':
                assert (seen[-1]['phase'], seen[-1]['steps'], seen[-1]['stage']) == ('sampling', 200, 1)
                assert seen[-1]['seconds_left'] > 0
                answer = requests.delete(f'{server}/v1/videos/{job["id"]}', timeout=10).json()
                assert answer['deleted'] is False
    assert any(state['step'] for state in seen)
    assert (seen[-1]['status'], seen[-1]['error']['code']) == ('failed', 'cancelled')
    assert requests.delete(f'{server}/v1/videos/{job["id"]}', timeout=10).json()['deleted'] is True


REFUSED = {
    'no picture': ({}, b'hello', 400, 'not an image'),
    'a strip': ({}, black(60000, 10), 400, '6,000 times as long as the shorter one'),
    'unknown model': ({'model': 'sora-2'}, None, 404, "There is no model 'sora-2' here."),
    'text': ({'prompt': 'a fox'}, None, 400, "'Video-to-Video' takes one"),
    'long text': ({'model': TWO, 'prompt': 'x' * 2**20}, None, 400, 'at most 4,000'),
    'argument': ({'stepz': '3'}, None, 400, "Did you mean 'steps'?"),
    'value': ({'steps': '0'}, None, 400, "'steps' must be a whole number from 1"),
    'no number': ({'seed': 'x'}, None, 400, "'seed' must be a whole number, found 'x'"),
    'size': ({'size': '60000x10'}, None, 400, "'width' must be"),
    'no size': ({'size': 'large'}, None, 400, "'size' must be WIDTHxHEIGHT"),
    'frames': ({'num_frames': '1000'}, None, 400, 'more frames than the 128'),
    'output': ({'output_video': '/tmp/out.mp4'}, None, 400, "Unknown argument 'output_video'"),
}


@pytest.mark.parametrize('case', REFUSED)
def test_bad_requests_get_our_message(server, picture, case):
    fields, content, status, said = REFUSED[case]
    answer = post(server, content or picture, **fields)
    error = answer.json()['error']
    assert answer.status_code == status
    assert said in error['message']
    assert set(error) == {'message', 'type', 'code'}
    assert error['type'] == 'invalid_request_error'


@pytest.mark.parametrize(
    ('body', 'kind', 'status', 'said'),
    [
        ('{', 'application/json', 400, 'not valid JSON'),
        ('[1]', 'application/json', 400, 'must be a JSON object'),
        ('{"seed": NaN}', 'application/json', 400, 'NaN is not'),
        ('[' * 100_000, 'application/json', 400, 'nested too deeply'),
        ('{"prompt": "\\ud800", "source_video_id": "x"}', 'application/json', 400, 'not valid JSON'),
        ('{}', 'application/json', 400, "Give a picture or a video as 'input_reference'"),
        ('{"input_reference": "/etc/passwd"}', 'application/json', 400, 'Paths and addresses are not allowed'),
        ('{"input_reference": "http://127.0.0.1/a.png"}', 'application/json', 400, 'addresses are not allowed'),
        ('{"source_video_id": "../x"}', 'application/json', 404, 'There is no video'),
        ('hello', 'text/plain', 415, 'Send a form'),
        ('hello', 'multipart/form-data', 400, 'boundary'),
        ('--a\r\n[]--a--\r\n', 'multipart/form-data; boundary=a', 400, 'not a valid form'),
    ],
)
def test_bad_bodies_get_our_message(server, body, kind, status, said):
    answer = requests.post(f'{server}/v1/videos', data=body, headers={'Content-Type': kind}, timeout=30)
    assert answer.status_code == status
    assert said in answer.json()['error']['message']


def test_a_body_that_is_too_large_is_refused_whether_it_says_its_size_or_not(server):
    def parts():
        for _ in range(200):
            yield bytes(2**20)

    for body in (bytes(200 * 2**20), parts()):
        answer = requests.post(
            f'{server}/v1/videos', data=body, headers={'Content-Type': 'application/json'}, timeout=120
        )
        assert (answer.status_code, answer.json()['error']['code']) == (413, 'too_large')


def test_pages_of_other_hosts_are_refused(server):
    for headers in ({'Host': 'evil.example'}, {'Origin': 'https://evil.example'}):
        answer = requests.post(f'{server}/v1/videos', headers=headers, timeout=10)
        assert (answer.status_code, answer.json()['error']['code']) == (403, 'not_local')
    assert requests.get(f'{server}/v1/models', headers={'Origin': server}, timeout=10).status_code == 200


def test_clients_that_leave_do_not_stop_the_queue(server, picture):
    host, port = server.removeprefix('http://').split(':')
    with socket.create_connection((host, int(port))) as half:
        half.sendall(b'POST /v1/videos HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n')
        half.sendall(b'Content-Length: 1000\r\n\r\n{"prompt"')
    body = json.dumps({'input_reference': base64.b64encode(picture).decode(), **LONG}).encode()
    with socket.create_connection((host, int(port))) as gone:
        gone.sendall(b'POST /v1/videos/sync HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n')
        gone.sendall(b'Content-Length: %d\r\n\r\n' % len(body) + body)
        deadline = time.monotonic() + 60
        running = []
        while not running:
            assert time.monotonic() < deadline
            time.sleep(0.1)
            page = requests.get(f'{server}/v1/videos', timeout=10).json()['data']
            running = [job['id'] for job in page if job['status'] == 'in_progress' and job['step']]
    left = finished(server, running[0])
    assert (left['steps'], left['error']['code']) == (200, 'cancelled')
    assert finished(server, post(server, picture).json()['id'])['status'] == 'completed'


def test_a_full_queue_says_so(server, picture):
    answers = [post(server, picture, **LONG) for _ in range(6)]
    assert answers[-1].status_code == 429
    assert answers[-1].json()['error'] == {
        'message': '4 jobs are waiting already. Try again later.',
        'type': 'rate_limit_error',
        'code': 'queue_full',
    }
    for answer in answers:
        if answer.ok:
            requests.delete(f'{server}/v1/videos/{answer.json()["id"]}', timeout=10)


def test_a_token_is_asked_for_everywhere_but_for_the_health():
    access = Access(token='sesame')
    assert access.refusal('/v1/videos', {'authorization': 'Bearer sesame', 'host': 'anywhere'}) is None
    assert access.refusal('/health', {}) is None
    for headers in (
        {},
        {'authorization': 'Bearer wrong'},
        {'authorization': 'sesame'},
        {'authorization': 'Bearer sés'},
    ):
        assert access.refusal('/v1/videos', headers).status_code == 401
    assert Access(public=True).refusal('/v1/videos', {'host': 'anywhere'}) is None
    assert Access().refusal('/v1/videos', {'host': '[::1]:80'}) is None
    for host in ('', 'anywhere', '127.0.0.1.evil.example', '[::1', 'localhost@evil.example'):
        assert Access().refusal('/v1/videos', {'host': host}).status_code == 403


def test_too_many_requests_are_refused_and_the_health_is_told_all_the_same():
    async def waits(scope, receive, send):
        if scope['path'] != '/health':
            await asyncio.Event().wait()

    async def ask(guard, path):
        said = []

        async def send(message):
            said.append(message)

        scope = {'type': 'http', 'path': path, 'method': 'GET', 'headers': [(b'host', b'localhost')]}
        await guard(scope, None, send)
        return said

    async def run():
        guard = Guard(waits, Access(), 100)
        waiting = [asyncio.create_task(ask(guard, '/v1/videos')) for _ in range(512)]
        await asyncio.sleep(0)
        start, body = await ask(guard, '/v1/videos')
        assert await ask(guard, '/health') == []
        for task in waiting:
            task.cancel()
        return start['status'], json.loads(body['body'])['error']['code']

    # In a thread of its own: the browser of other tests has left a loop in this one.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(lambda: asyncio.run(run())).result() == (503, 'busy')


@pytest.mark.slow
def test_a_connection_that_asks_for_nothing_is_closed(server):
    host, port = server.removeprefix('http://').split(':')
    silent = [socket.create_connection((host, int(port))) for _ in range(200)]
    assert requests.get(f'{server}/health', timeout=10).json()['status'] == 'ok'
    for connection in silent:
        connection.settimeout(30)
        assert connection.recv(1) == b''
        connection.close()


def test_a_public_server_does_not_list_videos(models, picture, tmp_path):
    from starlette.testclient import TestClient

    from modelscope_i2v.serving.engine import Engine
    from modelscope_i2v.serving.http.app import create_app

    with (
        Engine(models, tmp_path, devices=['cpu']) as engine,
        TestClient(create_app(engine, Access(public=True)), base_url='http://anywhere') as client,
    ):
        body = {'input_reference': base64.b64encode(picture).decode(), 'steps': 1, 'num_frames': 2}
        job = client.post('/v1/videos', json=body).json()
        answer = client.get('/v1/videos')
        assert (answer.status_code, answer.json()['error']['code']) == (403, 'not_listed')
        assert client.get(f'/v1/videos/{job["id"]}').json()['id'] == job['id']


def test_the_documentation_is_one_page_without_other_hosts(server):
    html = requests.get(f'{server}/docs', timeout=10).text
    assert 'POST /v1/videos' in html
    assert 'guidance_scale' in html
    assert '<script' not in html
    assert 'http' not in html


@pytest.mark.slow
def test_a_killed_server_keeps_its_results_and_a_token_is_asked_for(stage_1_folder, picture, tmp_path):
    def server(**environment):
        options = ['--model', stage_1_folder]
        return serving(*options, results=tmp_path / 'results', log=tmp_path / 'log', **environment)

    with server() as (address, process):
        done = finished(address, post(address, picture, seed=9).json()['id'])
        long = post(address, picture, **LONG).json()
        process.kill()
        process.wait()
    with server(MODELSCOPE_I2V_TOKEN='sesame') as (address, process):
        for headers in ({}, {'Authorization': 'Bearer wrong'}):
            answer = requests.get(f'{address}/v1/videos', headers=headers, timeout=10)
            assert (answer.status_code, answer.json()['error']['code']) == (401, 'invalid_token')
        assert requests.get(f'{address}/health', timeout=10).ok
        known = {'Authorization': 'Bearer sesame'}
        found = requests.get(f'{address}/v1/videos', headers=known, timeout=10).json()['data']
        assert [job['id'] for job in found] == [long['id'], done['id']]
        assert [job['status'] for job in found] == ['failed', 'completed']
        assert found[0]['error']['code'] == 'interrupted'
        video = requests.get(f'{address}/v1/videos/{done["id"]}/content', headers=known, timeout=10)
        assert len(sizes(video.content)) == 3
        process.terminate()
        assert process.wait(60) == 143


def test_a_video_without_memory_for_it_is_refused_with_words(stage_1_folder, picture, tmp_path):
    files = {'results': tmp_path / 'results', 'log': tmp_path / 'log'}
    with serving('--model', stage_1_folder, '--memory', '0.2GB', **files) as (address, _):
        data = {**FAST, 'size': '1024x1024'}
        answer = requests.post(f'{address}/v1/videos', data=data, files={'input_reference': picture}, timeout=60)
        error = answer.json()['error']
        assert (answer.status_code, error['code'], error['type']) == (400, 'device_error', 'invalid_request_error')
        assert '1024 x 1024 pixels would take about' in error['message']
        assert 'What fits: ' in error['message']
        assert requests.get(f'{address}/v1/videos', timeout=10).json()['data'] == []

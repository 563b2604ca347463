"""What is in the page as it is sent, and what is left of the API beside it."""

import pytest
import requests

pytest.importorskip('gradio')

from modelscope_i2v.serving.http.guard import Access


def test_the_browser_is_told_to_ask_no_other_host(server):
    answer = requests.get(server, timeout=30)
    assert answer.status_code == 200
    policy = answer.headers['content-security-policy']
    assert "default-src 'self'; script-src 'self' " in policy
    assert 'http' not in policy  # no other host is allowed, whatever the page names
    assert 'rel="stylesheet" href="http' not in answer.text


@pytest.mark.parametrize(
    ('method', 'path', 'status', 'code'),
    [
        ('GET', '/nowhere', 404, 'not_found'),
        ('GET', '/v1/nowhere', 404, 'not_found'),
        ('PUT', '/v1/videos', 405, 'method_not_allowed'),
    ],
)
def test_errors_of_the_api_are_still_ours(server, method, path, status, code):
    answer = requests.request(method, server + path, timeout=30)
    assert (answer.status_code, answer.json()['error']['code']) == (status, code)


def test_files_of_the_server_cannot_be_read_through_the_page(server):
    for path in ('/etc/passwd', 'setup.py', '../../etc/passwd'):
        assert requests.get(f'{server}/gradio_api/file={path}', timeout=30).status_code in (403, 404)


def test_nothing_is_fetched_from_an_address_and_nobody_is_sent_to_one(server):
    away = (
        'file=https://evil.example/x',
        'file=https%3A//evil.example/x',
        'file=//evil.example/x',
        'proxy=https://a.b',
    )
    for path in away:
        answer = requests.get(f'{server}/gradio_api/{path}', timeout=30, allow_redirects=False)
        assert (answer.status_code, answer.json()['error']['code']) == (404, 'not_found')
    file = {'path': 'https://evil.example/a.png', 'meta': {'_type': 'gradio.FileData'}}
    for path in ('queue/join', 'run/predict', 'call/predict'):
        for data in ([file], [None, [{'nested': file}]]):
            body = {'data': data, 'fn_index': 0, 'session_hash': 'a'}
            answer = requests.post(f'{server}/gradio_api/{path}', json=body, timeout=30)
            assert answer.status_code == 400
            assert answer.json()['error']['message'] == 'Addresses are not fetched. Upload the file.'
    # However it is spelt.
    said = b'{"data": [{"\\u0070ath": "ftp://evil.example/a.png"}]}'
    for body, message in ((said, 'not fetched'), (b'{', 'not valid JSON'), (b'[' * 100_000, 'not valid JSON')):
        headers = {'Content-Type': 'application/json'}
        answer = requests.post(f'{server}/gradio_api/queue/join', data=body, headers=headers, timeout=30)
        assert answer.status_code == 400
        assert message in answer.json()['error']['message']


def test_a_password_is_not_taken_from_the_page_of_another_host():
    access = Access(token='sesame')
    known = {'host': 'studio.example', 'authorization': 'Basic YW55Ym9keTpzZXNhbWU='}
    assert access.refusal('/v1/videos', {**known, 'origin': 'https://studio.example'}) is None
    assert access.refusal('/v1/videos', {**known, 'origin': 'https://evil.example'}).status_code == 403
    program = {'host': 'studio.example', 'authorization': 'Bearer sesame', 'origin': 'https://evil.example'}
    assert access.refusal('/v1/videos', program) is None


def test_a_browser_may_send_the_token_as_a_password():
    access, anywhere = Access(token='sesame'), {'host': 'anywhere'}
    basic = 'Basic ' + 'YW55Ym9keTpzZXNhbWU='  # anybody:sesame
    assert access.refusal('/', {**anywhere, 'authorization': basic}) is None
    for wrong in ('Basic c2VzYW1l', 'Basic ???', 'Basic YW55Ym9keTp3cm9uZw=='):
        assert access.refusal('/', {**anywhere, 'authorization': wrong}).status_code == 401
    assert access.refusal('/', anywhere).headers['www-authenticate'].startswith('Basic')
    assert access.refusal('/v1/videos', anywhere).headers['www-authenticate'] == 'Bearer'

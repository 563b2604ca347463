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


def test_a_browser_may_send_the_token_as_a_password():
    access, anywhere = Access(token='sesame'), {'host': 'anywhere'}
    basic = 'Basic ' + 'YW55Ym9keTpzZXNhbWU='  # anybody:sesame
    assert access.refusal('/', {**anywhere, 'authorization': basic}) is None
    for wrong in ('Basic c2VzYW1l', 'Basic ???', 'Basic YW55Ym9keTp3cm9uZw=='):
        assert access.refusal('/', {**anywhere, 'authorization': wrong}).status_code == 401
    assert access.refusal('/', anywhere).headers['www-authenticate'].startswith('Basic')
    assert access.refusal('/v1/videos', anywhere).headers['www-authenticate'] == 'Bearer'

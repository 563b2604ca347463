"""``modelscope-i2v studio`` says what is wrong before it loads anything."""

import socket
import time

import pytest

from modelscope_i2v.cli.main import main
from modelscope_i2v.serving.http import requirements

pytest.importorskip('fastapi')

from tests.serving.server import serving


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--host', '0.0.0.0'], "Everybody who reaches '0.0.0.0' could use this server."),
        (['--host', 'no such host', '--public'], "Cannot listen on 'no such host', port 7860"),
        (['--port', '70000'], 'port 70000'),
        (['--token-file', 'missing'], "Cannot read the token in 'missing'"),
        (['--stage2-model', 'x/y', '--port', '0'], "'--model' is missing"),
        (['--model', '/nowhere', '--port', '0'], '/nowhere'),
        (['--max-queue', '0', '--port', '0'], "'queue' must be a whole number of at least 1"),
    ],
)
def test_what_cannot_be_served(options, said, capsys, tmp_path):
    assert main(['studio', '--results', str(tmp_path), *options]) == 1
    assert said in capsys.readouterr().err


def test_a_port_that_is_taken(capsys):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        assert main(['studio', '--port', str(taken.getsockname()[1])]) == 1
    assert 'Choose another port' in capsys.readouterr().err


def test_an_empty_token_is_no_token(tmp_path, capsys):
    (tmp_path / 'token').write_text('\n')
    assert main(['studio', '--token-file', str(tmp_path / 'token')]) == 1
    assert 'is empty' in capsys.readouterr().err


def test_without_the_extra(monkeypatch, capsys):
    monkeypatch.setattr(requirements, 'MODULES', ('no_such_module',))
    assert main(['studio']) == 1
    assert 'The server needs no_such_module. Run pip install' in capsys.readouterr().err


@pytest.mark.slow
def test_open_shows_the_page_in_the_browser(stage_1_folder, tmp_path):
    browser, opened = tmp_path / 'browser', tmp_path / 'opened'
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.new && mv {opened}.new {opened}\n')
    browser.chmod(0o755)
    options = {'results': tmp_path / 'results', 'log': tmp_path / 'log', 'BROWSER': str(browser)}
    with serving('--model', stage_1_folder, '--open', **options) as (address, _):
        deadline = time.monotonic() + 30
        while not opened.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert opened.read_text().strip() == address

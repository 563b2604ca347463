"""Chromium, which opens the page of a real server, and what it must never do."""

import shutil
import threading
from urllib.parse import urlsplit

import pytest

pytest.importorskip('gradio')
uvicorn = pytest.importorskip('uvicorn')
sync_api = pytest.importorskip('playwright.sync_api')

#: Milliseconds. A busy machine is slow; a test that hangs still ends.
PATIENCE = 180_000
#: The camera of the machine: a moving pattern.
CAMERA = ('--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream')


@pytest.fixture(scope='session')
def browser():
    """A running Chromium."""
    chromium = shutil.which('chromium')
    if chromium is None:
        pytest.skip('Chromium is missing. Run apt-get install chromium.')
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=['--no-sandbox', *CAMERA])
        yield running
        running.close()


def is_error(message):
    """Whether it is one, and not that our policy refuses what :func:`visit` lets pass."""
    return message.type == 'error' and 'iframeResizer' not in message.text


@pytest.fixture
def visit(browser):
    """``visit(address, **context)`` opens a page. At the end: no errors in the console, no request to another host.

    ``visit.errors`` is a list of what the console and the scripts have said so far.

    Gradio before 6.20 names a script of another host. Our policy makes the browser refuse it before anything is sent.
    """
    contexts, errors, hosts = [], [], []

    def refused(request):
        if request.failure == 'csp':
            hosts.remove(urlsplit(request.url).hostname)

    def opened(address, **options):
        context = browser.new_context(**{'viewport': {'width': 1280, 'height': 900}, **options})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on('console', lambda message: errors.append(message.text) if is_error(message) else None)
        page.on('pageerror', lambda error: errors.append(str(error)))
        page.on('request', lambda request: hosts.append(urlsplit(request.url).hostname))
        page.on('requestfailed', refused)
        page.goto(address)
        page.wait_for_selector('#make-1')
        page.wait_for_function("document.documentElement.dataset.ready === 'yes'")
        return page

    opened.errors = errors
    yield opened
    for context in contexts:
        context.close()
    assert errors == []
    assert set(hosts) <= {'127.0.0.1', None}


@pytest.fixture
def several(models, i2vgen_folder, tmp_path):
    """The address of a server with two models for pictures, of which the second takes a text."""
    from modelscope_i2v.serving.engine import Engine
    from modelscope_i2v.serving.http.address import bind
    from modelscope_i2v.serving.http.app import create_app
    from modelscope_i2v.serving.http.guard import Access
    from modelscope_i2v.serving.models import ServedModel

    served = [models[0], ServedModel.find(str(i2vgen_folder))]
    with Engine(served, tmp_path / 'results', devices=['cpu']) as engine, bind('127.0.0.1', 0) as listening:
        server = uvicorn.Server(uvicorn.Config(create_app(engine, Access()), log_level='warning'))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield f'http://127.0.0.1:{listening.getsockname()[1]}'
        server.should_exit = True
        thread.join()


@pytest.fixture
def photo(picture, tmp_path):
    """The file of a small picture."""
    path = tmp_path / 'photo.png'
    path.write_bytes(picture)
    return path

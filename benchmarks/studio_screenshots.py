"""Screenshots of the studio's page: python -m benchmarks.studio_screenshots FOLDER [--chromium PATH]

A server with the embedded models makes a video and the larger one, in a page of 1440 and of 390 pixels, light and dark,
in English and Chinese. For docs/studio.md, and to look at after a change. Needs Chromium, and the extras studio and
test.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

#: Name -> options of a browser's page.
LOOKS: dict[str, dict[str, Any]] = {
    'desktop-light': {'viewport': {'width': 1440, 'height': 900}, 'color_scheme': 'light'},
    'desktop-dark': {'viewport': {'width': 1440, 'height': 900}, 'color_scheme': 'dark'},
    'phone-light': {'viewport': {'width': 390, 'height': 844}, 'color_scheme': 'light', 'locale': 'zh-CN'},
    'phone-dark': {'viewport': {'width': 390, 'height': 844}, 'color_scheme': 'dark'},
}
#: Milliseconds for a video of the embedded models on a busy machine.
PATIENCE = 300_000


def main() -> None:
    """Parse the command line and take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--chromium', default=shutil.which('chromium'), help='default: the one in the path')
    parser.add_argument('--looks', nargs='+', choices=LOOKS, default=list(LOOKS))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, _server() as address:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=['--no-sandbox'])
        for name in arguments.looks:
            context = browser.new_context(**LOOKS[name])
            context.set_default_timeout(PATIENCE)
            _visit(context.new_page(), address, arguments.folder / name)
            context.close()
        browser.close()


@contextmanager
def _server() -> Iterator[str]:
    """The address of a server with the embedded models."""
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, '-m', 'modelscope_i2v.cli.main', 'studio', '--port', '0', '--results', results]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                found = re.search(r'http://[\d.:]+', process.stdout.readline())
                assert found is not None, 'the server says no address'
                yield found[0]
            finally:
                process.terminate()


def _visit(page: Any, address: str, path: Path) -> None:
    """Make both videos; a screenshot before, while, and after."""
    page.goto(address)
    page.wait_for_function("document.documentElement.dataset.ready === 'yes'")
    _shoot(page, path, 'start')
    page.click('[data-action=example][data-value=face]')
    page.wait_for_selector('#picture img')
    page.click('#make-1')
    page.wait_for_selector('#results-1 .running')
    _shoot(page, path, 'running')
    page.wait_for_selector('#results-1 .done')
    page.click('#make-2')
    page.wait_for_selector('#results-2 .done')
    page.wait_for_timeout(1500)
    page.mouse.move(0, 0)
    _shoot(page, path, 'done')


def _shoot(page: Any, path: Path, what: str) -> None:
    """A picture of the whole page as WebP, which is small."""
    page.evaluate('window.scrollTo(0, 0)')
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    file = path.with_name(f'{path.name}-{what}.webp')
    picture.convert('RGB').save(file, quality=80, method=6)
    print(file, picture.size, f'{file.stat().st_size / 1000:.0f} kB')


if __name__ == '__main__':
    main()

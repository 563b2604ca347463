"""What a visitor does on the page."""

from importlib.metadata import PackageNotFoundError, version

import pytest


def _gradio():
    try:
        return tuple(map(int, version('gradio').split('.')[:2]))
    except PackageNotFoundError:
        return (0, 0)


#: Before 6.20, which `modelscope server` needs, Gradio names scripts of other hosts, and shows some changes late.
WHOLE = pytest.mark.skipif(_gradio() < (6, 20), reason='With Gradio before 6.20, only the start of the page is tested.')


def choose(page, photo):
    """Send a picture."""
    page.set_input_files('#picture input[type=file]', photo)
    page.wait_for_selector('#picture img')


def take_away(page):
    """Take the picture away again."""
    page.get_by_label('Remove Image').or_(page.locator('#picture button[aria-label=Clear]')).first.click()


def fill(page, name, value):
    """Set a slider, in the first step."""
    field = page.locator(f'#{name}-1 input[type=number]')
    if not field.is_visible():
        page.get_by_role('button', name='More options').first.click()
    field.fill(str(value))
    field.press('Tab')


def sampling(page):
    """Wait until the first step of a video is done."""
    page.wait_for_function("/^step [1-9]/.test(document.querySelector('#results-1 .details')?.innerText)")


def finished(page, step=1, count=1):
    """Wait for the videos of a step; returns their tiles."""
    tiles = page.locator(f'#results-{step} .tile.done')
    page.wait_for_function(
        f"document.querySelectorAll('#results-{step} .tile.done').length === {count}"
        f" && !document.querySelector('#make-{step}').disabled"
    )
    return tiles


def played(page, selector):
    """Play a video; returns its length in seconds and the number of frames that were decoded meanwhile."""
    return page.evaluate(
        """async (selector) => {
          const video = document.querySelector(selector);
          await video.play();
          const began = performance.now();
          while (video.getVideoPlaybackQuality().totalVideoFrames < 3 && performance.now() - began < 30000)
            await new Promise((done) => setTimeout(done, 50));
          return [video.duration, video.getVideoPlaybackQuality().totalVideoFrames];
        }""",
        selector,
    )

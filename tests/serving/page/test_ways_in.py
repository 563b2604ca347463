"""How a picture gets into the page: dropped, pasted, taken by the camera, or one of the examples."""

import base64

import pytest

from tests.serving.page.acts import WHOLE, fill, finished

pytestmark = [WHOLE, pytest.mark.slow]


def video_of(page):
    """Make a short video of the picture that is there; returns what the page says of it."""
    page.wait_for_selector('#picture img')
    fill(page, 'steps', 2)
    fill(page, 'num_frames', 4)
    page.click('#make-1')
    return finished(page).locator('.facts').inner_text()


def test_a_picture_is_dropped(server, visit, picture):
    page = visit(server)
    page.locator('#picture button').first.evaluate(
        """(place, data) => {
          const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], 'photo.png', { type: 'image/png' }));
          for (const type of ['dragenter', 'dragover', 'drop'])
            place.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer }));
        }""",
        base64.b64encode(picture).decode(),
    )
    assert '4 frames' in video_of(page)


def test_a_picture_is_pasted(server, visit, picture):
    page = visit(server, permissions=['clipboard-read', 'clipboard-write'])
    page.evaluate(
        """async (data) => {
          const blob = await (await fetch(`data:image/png;base64,${data}`)).blob();
          await navigator.clipboard.write([new ClipboardItem({ 'image/png': blob })]);
        }""",
        base64.b64encode(picture).decode(),
    )
    page.locator('#picture').get_by_label('Paste from clipboard').click()
    assert '4 frames' in video_of(page)


def test_the_camera_takes_a_picture(server, visit):
    page = visit(server, permissions=['camera'])
    page.locator('#picture').get_by_label('Capture from camera').click()
    page.get_by_text('Click to Access Webcam').click()
    page.wait_for_function("document.querySelector('#picture video')?.videoWidth > 0")
    page.locator('#picture').get_by_label('capture photo').click()
    assert '4 frames' in video_of(page)

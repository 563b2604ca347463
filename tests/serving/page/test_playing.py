"""A finished video plays by itself, but not for those who asked for less motion."""

import pytest

from tests.serving.page.acts import WHOLE, choose, fill, finished


def made(page, photo):
    """A page whose first step has made a short video."""
    choose(page, photo)
    fill(page, 'num_frames', 3)
    page.click('#make-1')
    finished(page)
    page.wait_for_function("document.querySelector('#results-1 video').readyState === 4")
    return page


@WHOLE
@pytest.mark.slow
def test_a_finished_video_plays_until_it_is_paused(server, visit, photo):
    page = made(visit(server), photo)
    page.wait_for_function("document.querySelector('#results-1 video').currentTime > 0")
    page.evaluate("document.querySelector('#results-1 video').pause()")
    page.wait_for_timeout(500)
    assert page.evaluate("document.querySelector('#results-1 video').paused")


@WHOLE
@pytest.mark.slow
def test_nothing_plays_by_itself_for_those_who_asked_for_less_motion(server, visit, photo):
    page = made(visit(server, reduced_motion='reduce'), photo)
    page.wait_for_timeout(500)
    assert page.evaluate("document.querySelector('#results-1 video').paused")
    page.evaluate("document.querySelector('#results-1 video').play()")
    page.wait_for_function("document.querySelector('#results-1 video').currentTime > 0")  # it does when asked

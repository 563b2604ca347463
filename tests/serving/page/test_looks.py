"""Anybody can use the page: on a phone, in the dark, with a screen reader."""

import pytest

from tests.serving.page.acts import WHOLE, choose, fill, finished

pytestmark = [WHOLE, pytest.mark.slow]
#: Colours on their way to others are none that anybody reads.
SETTLE = """document.getAnimations()
    .filter(each => each.effect.getComputedTiming().endTime !== Infinity)
    .forEach(each => each.finish())"""


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_axe_finds_nothing_serious(server, visit, photo, scheme):
    axe = pytest.importorskip('axe_playwright_python.sync_playwright').Axe()
    page = visit(server, color_scheme=scheme)

    def serious():
        page.evaluate(SETTLE)
        found = axe.run(page).response['violations']
        return [
            (each['id'], node['html'][:150])
            for each in found
            if each['impact'] in ('serious', 'critical')
            for node in each['nodes']
        ]

    page.get_by_role('button', name='More options').first.click()
    assert serious() == []
    page.click('#make-1')
    page.wait_for_selector('[role=alert]')
    choose(page, photo)
    fill(page, 'steps', 2)
    page.click('#make-1')
    finished(page).get_by_text('Recipe').click()
    page.click('#make-2')
    finished(page, step=2)
    assert serious() == []


@pytest.mark.parametrize('language', ['en-GB', 'zh-CN'])
def test_a_phone_need_not_scroll_sideways(server, visit, photo, language):
    page = visit(server, viewport={'width': 390, 'height': 844}, has_touch=True, is_mobile=True, locale=language)
    choose(page, photo)
    page.click('#make-1')
    finished(page).locator('summary').click()
    assert page.evaluate('document.documentElement.scrollWidth') <= 390


def test_dark_and_light_follow_the_system_and_the_button(server, visit):
    page = visit(server, color_scheme='dark')
    background = 'getComputedStyle(document.body).backgroundColor'
    dark = page.evaluate(background)
    page.click('#theme')
    page.wait_for_function(f"{background} !== '{dark}'")
    light = page.evaluate(background)
    assert visit(server, color_scheme='light').evaluate(background) == light
    page.reload()
    page.wait_for_selector('#make-1')
    page.wait_for_function(f"{background} === '{light}'")  # what was chosen stays

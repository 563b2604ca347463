"""The page in a browser: what a visitor does, from a picture to a larger video."""

import re
import time

import av
import pytest
import requests

from tests.serving.files import black
from tests.serving.page.acts import WHOLE, choose, fill, finished, played, sampling, take_away


def test_it_opens_and_speaks_two_languages(server, visit):
    page = visit(server)
    assert page.inner_text('h1') == 'Picture to video'
    page.evaluate('window.opened = 1')
    page.get_by_text('中文').click()
    page.get_by_role('heading', name='图片生成视频').wait_for()
    assert page.inner_text('#make-1').strip() == '生成视频'
    assert page.locator('#size-1').get_by_text('尺寸').first.is_visible()
    page.wait_for_function("document.documentElement.lang === 'zh'")
    assert page.evaluate('window.opened') == 1  # it was not loaded again
    page.reload()
    page.get_by_role('heading', name='图片生成视频').wait_for()
    assert visit(server, locale='zh-CN').inner_text('h1') == '图片生成视频'


@WHOLE
@pytest.mark.slow
def test_a_picture_becomes_a_video_and_then_a_larger_one(server, visit, photo, tmp_path):
    page = visit(server, permissions=['clipboard-read', 'clipboard-write'])
    choose(page, photo)
    fill(page, 'steps', 40)
    fill(page, 'num_frames', 8)
    page.fill('#seed-1 textarea, #seed-1 input', '77')
    page.click('#make-1')
    page.wait_for_selector('#results-1 img.preview')
    assert page.evaluate("document.querySelector('img.preview').naturalWidth") > 0
    said, values, previews = set(), [], set()
    while page.locator('#results-1 .running').count():
        seen = page.evaluate(
            """() => {
              const tile = document.querySelector('#results-1 .running');
              return tile && [tile.querySelector('[role=status]').innerText, tile.querySelector('.details').innerText,
                Number(tile.querySelector('[role=progressbar]').ariaValueNow), tile.querySelector('img')?.src];
            }"""
        )
        if seen:
            said.add(seen[0])
            values.append(seen[2])
            previews.add(seen[3])
            assert not seen[1] or re.search(r'step \d+ of 40', seen[1])
    assert values == sorted(values)
    assert len(set(values)) > 5
    assert len(previews) > 5
    assert 'Sampling' in said
    tile = finished(page)
    assert tile.locator('.facts').inner_text().split('\n') == ['64 × 64, 8 frames, 1 s', 'seed 77']
    assert played(page, '#results-1 video') == [1, pytest.approx(5, abs=4)]
    with page.expect_download() as download:
        tile.get_by_text('Download').click()
    download.value.save_as(tmp_path / 'video.mp4')
    with av.open(tmp_path / 'video.mp4') as container:
        assert len(list(container.decode(video=0))) == 8
    tile.get_by_text('Recipe').click()
    tile.get_by_role('button', name='Copy').first.click()
    copied = page.evaluate('navigator.clipboard.readText()')
    assert copied.startswith('modelscope-i2v image-to-video photo.jpg -o video.mp4')
    assert '--seed 77' in copied
    assert '--steps 40' in copied

    page.click('#make-2')
    larger = finished(page, step=2)
    assert '8 frames' in larger.locator('.facts').inner_text()
    duration, frames = played(page, '#results-2 video.after')
    assert (duration, frames > 0) == (1, True)
    slider = larger.get_by_role('slider')
    slider.focus()
    for _ in range(10):
        page.keyboard.press('ArrowLeft')
    assert larger.locator('.compare').get_attribute('style') == '--at: 40%;'
    page.keyboard.press('Tab')
    for does, paused in (('Pause both', True), ('Play both', False)):
        assert page.evaluate('document.activeElement.innerText') == does
        page.keyboard.press('Enter')
        videos = larger.locator('video').evaluate_all('(videos) => videos.map((video) => video.paused)')
        assert videos == [paused, paused]
        page.wait_for_function(f"document.activeElement.innerText !== '{does}'")
    assert page.locator('.gallery button').count() == 2
    page.reload()
    page.wait_for_function("document.querySelectorAll('.gallery button').length === 2")
    page.locator('.gallery button').last.click()
    assert 'seed 77' in finished(page).locator('.facts').inner_text()


@WHOLE
@pytest.mark.slow
def test_a_page_that_is_opened_again_shows_what_still_runs(server, visit, photo):
    page = visit(server)
    choose(page, photo)
    fill(page, 'steps', 60)
    fill(page, 'num_frames', 16)
    page.fill('#seed-1 textarea, #seed-1 input', '5')
    page.click('#make-1')
    sampling(page)
    page.reload()
    visit.errors.clear()  # Gradio says that the page before has lost its connection
    sampling(page)
    assert 'seed 5' in finished(page).locator('.facts').inner_text()


@WHOLE
@pytest.mark.slow
def test_cancel_frees_the_queue_within_two_seconds(server, visit, photo):
    page = visit(server)
    choose(page, photo)
    fill(page, 'steps', 100)
    fill(page, 'num_frames', 32)
    page.click('#make-1')
    sampling(page)
    began = time.monotonic()
    page.get_by_role('button', name='Cancel').first.click()
    while requests.get(f'{server}/health', timeout=5).json()['running']:
        assert time.monotonic() - began < 2
        time.sleep(0.02)
    page.get_by_text('Cancelled').wait_for()
    page.wait_for_function("!document.querySelector('#make-1').disabled")


@WHOLE
@pytest.mark.slow
def test_variations_have_seeds_of_their_own_and_one_sheet(server, visit, photo):
    page = visit(server)
    choose(page, photo)
    fill(page, 'steps', 2)
    page.fill('#seed-1 textarea, #seed-1 input', '9')
    page.locator('#variations').get_by_text('2', exact=True).click()
    page.click('#make-1')
    tiles = finished(page, count=2)
    assert [re.search(r'seed \d+', text)[0] for text in tiles.locator('.facts').all_inner_texts()] == [
        'seed 9',
        'seed 10',
    ]
    sheet = page.wait_for_selector('.sheet img')
    assert sheet.evaluate('(image) => [image.naturalWidth > 300, image.naturalHeight]') == [True, 132]
    tiles.nth(1).get_by_text('Use this seed').click()
    page.wait_for_function("document.querySelector('#seed-1 textarea, #seed-1 input').value === '10'")
    page.get_by_role('button', name='Again, another seed').click()
    page.wait_for_function("document.querySelectorAll('#results-1 .facts').length === 0")
    finished(page, count=2)
    assert page.input_value('#seed-1 textarea, #seed-1 input') not in ('', '9', '10')


@WHOLE
@pytest.mark.slow
def test_errors_are_said_in_words(server, visit, photo, tmp_path):
    page = visit(server)
    page.click('#make-1')
    assert 'There is no picture yet' in page.locator('#results-1 [role=alert]').inner_text()
    (tmp_path / 'text.png').write_bytes(b'hello')
    page.set_input_files('#picture input[type=file]', tmp_path / 'text.png')
    page.wait_for_timeout(1000)
    page.click('#make-1')
    page.get_by_text('not an image').wait_for()
    take_away(page)
    (tmp_path / 'strip.png').write_bytes(black(60000, 10))
    choose(page, tmp_path / 'strip.png')
    page.click('#make-1')
    page.get_by_text('6,000 times as long as the shorter one').wait_for()
    take_away(page)
    choose(page, photo)
    page.fill('#seed-1 textarea, #seed-1 input', '-1')
    page.click('#make-1')
    page.get_by_text("'seed' must be a whole number").wait_for()
    page.fill('#seed-1 textarea, #seed-1 input', '')
    fill(page, 'steps', 2)
    page.click('#make-1')
    finished(page)


@WHOLE
@pytest.mark.slow
def test_a_long_text_and_a_full_queue_are_refused_in_words(server, visit, photo, picture, clip, tmp_path):
    page = visit(server)
    page.get_by_role('button', name='Use a video of your own').click()
    (tmp_path / 'clip.mp4').write_bytes(clip)
    page.set_input_files('#video input[type=file]', tmp_path / 'clip.mp4')
    page.get_by_text('Your own video will be made larger.').wait_for()
    page.fill('#text-2 textarea', 'a' * 2**20)
    page.click('#make-2')
    page.locator('#results-2 [role=alert]').get_by_text('1,048,576 characters; at most 4,000 are taken').wait_for()

    choose(page, photo)
    sent = {'data': {'steps': 200, 'num_frames': 32}, 'files': {'input_reference': picture}, 'timeout': 60}
    waiting = []
    while (answer := requests.post(f'{server}/v1/videos', **sent)).status_code != 429:
        waiting.append(answer.json()['id'])
    page.click('#make-1')
    page.locator('#results-1 [role=alert]').get_by_text('4 jobs are waiting already').wait_for()
    for job_id in reversed(waiting):
        requests.delete(f'{server}/v1/videos/{job_id}', timeout=60)
    fill(page, 'steps', 2)
    page.click('#make-1')
    finished(page)


@WHOLE
@pytest.mark.slow
def test_errors_are_said_in_chinese(server, visit, photo, tmp_path):
    page = visit(server, locale='zh-CN')
    alert = page.locator('#results-1 [role=alert]')
    page.click('#make-1')
    alert.get_by_text('还没有图片。').wait_for()
    (tmp_path / 'text.png').write_bytes(b'hello')
    page.set_input_files('#picture input[type=file]', tmp_path / 'text.png')
    page.wait_for_timeout(1000)
    page.click('#make-1')
    alert.get_by_text('无法读取这个文件').wait_for()
    page.get_by_text('English').click()
    alert.get_by_text('That did not work').wait_for()
    assert 'not an image' in alert.inner_text()
    assert '无法' not in alert.inner_text()


@WHOLE
@pytest.mark.slow
def test_a_file_that_is_too_large_is_refused_in_both_languages(server, visit, photo, tmp_path):
    with (tmp_path / 'large.png').open('wb') as file:
        file.truncate(200 * 2**20)
    for locale, said in (
        ('en-GB', 'The file is larger than 32 MB. Choose a smaller one.'),
        ('zh-CN', '文件超过 32 MB，请选择小一些的文件。'),
    ):
        page = visit(server, locale=locale)
        page.set_input_files('#picture input[type=file]', tmp_path / 'large.png')
        page.get_by_role('alert').get_by_text(said).wait_for()
        assert not page.locator('#picture img').count()
        choose(page, photo)
        assert not page.get_by_role('alert').count()


@WHOLE
@pytest.mark.slow
def test_the_keyboard_is_enough(server, visit):
    page = visit(server)

    def tab_to(selector):
        for _ in range(80):
            page.keyboard.press('Tab')
            if page.evaluate('(selector) => document.activeElement.matches(selector)', selector):
                return
        raise AssertionError(selector)

    tab_to('[data-action=example]')
    page.keyboard.press('Enter')
    page.wait_for_selector('#picture img')
    tab_to('#make-1')
    page.keyboard.press('Enter')
    finished(page)
    page.locator('#results-1 video').focus()
    tab_to('#make-2')
    page.keyboard.press('Enter')
    finished(page, step=2)


@WHOLE
@pytest.mark.slow
def test_a_text_for_a_model_that_takes_none_names_one_that_does(several, visit, photo):
    page = visit(several)
    choose(page, photo)
    assert not page.locator('#text-1').is_visible()
    page.locator('#model-1 input').click()
    page.get_by_role('option', name='I2VGen-XL').click()
    page.locator('#text-1 textarea').fill('a fox')
    page.locator('#model-1 input').click()
    page.get_by_role('option', name='Image-to-Video').click()
    page.get_by_text('This model takes no text. Empty this field, or choose I2VGen-XL.').wait_for()
    page.click('#make-1')
    said = page.locator('#results-1 [role=alert]').inner_text()
    assert "The model 'Image-to-Video' takes no text" in said
    assert "'I2VGen-XL' takes one" in said


@WHOLE
@pytest.mark.slow
def test_a_video_of_ones_own_becomes_larger(server, visit, clip, tmp_path):
    page = visit(server)
    page.get_by_role('button', name='Use a video of your own').click()
    (tmp_path / 'clip.mp4').write_bytes(clip)
    page.set_input_files('#video input[type=file]', tmp_path / 'clip.mp4')
    page.get_by_text('Your own video will be made larger.').wait_for()
    page.click('#make-2')
    assert '3 frames' in finished(page, step=2).locator('.facts').inner_text()
    assert played(page, '#results-2 video.before')[1] > 0

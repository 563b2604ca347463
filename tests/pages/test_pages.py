"""The pages meet the hub's expectations."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.folders import IMAGE, run_python
from tests.pages.blocks import ROOT

PAGES = sorted(path.parent for path in ROOT.glob('model_card/*/ms_wrapper.py'))
#: The front matter that the hub expects.
REQUIRED = {'tasks', 'widgets', 'domain', 'frameworks', 'backbone', 'metrics', 'license', 'language', 'tags', 'studios'}
ALLOWED = {*REQUIRED, 'model-type', 'datasets', 'customized-quickstart', 'finetune-support'}
RUN = """
import json, sys
from modelscope.pipelines import pipeline

task, folder, input, output = sys.argv[1:]
made = pipeline(task, model=folder, device='cpu', trust_remote_code=True)
assert type(made).__module__.startswith('modelscope_i2v.')
assert made(json.loads(input), output_video=output)['output_video'] == output
"""


def front_matter(page):
    text = (page / 'README.md').read_text(encoding='utf-8')
    found = re.match(r'---\n(.*?)\n---\n', text, re.DOTALL)
    return yaml.safe_load(found[1])


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
class TestPage:
    def test_front_matter(self, page):
        card = front_matter(page)
        assert REQUIRED <= card.keys() <= ALLOWED
        task = json.loads((page / 'configuration.json').read_text())['task']
        assert card['tasks'] == [task] == [widget['task'] for widget in card['widgets']]
        assert card['license'] == 'cc-by-nc-nd-4.0'
        assert set(card['language']) == {'zh', 'en'}
        for name in ('domain', 'frameworks', 'backbone', 'metrics', 'tags', 'studios'):
            assert all(isinstance(value, str) and value for value in card[name]), name
        for widget in card['widgets']:
            inputs = {entry['name'] for entry in widget['inputs']}
            assert inputs <= {'image', 'video_path', 'text'}
            assert all(isinstance(value, int) for value in widget['inferencespec'].values())
            for example in widget.get('examples', []):
                for entry in example['inputs']:
                    assert entry['name'] in inputs
                    assert (page / entry['data'].removeprefix('git://')).is_file()

    def test_both_languages_say_the_same_things(self, page):
        text = (page / 'README.md').read_text(encoding='utf-8')
        chinese, english = text.split('\n## 中文\n')[1].split('\n## English\n')
        english = english.split('\n## Citation\n')[0]
        for pattern in (r'^### ', r'```python\n(.*?)```', r'!\[[^\]]*\]\(([^)]*)\)'):
            found = [re.findall(pattern, half, re.MULTILINE | re.DOTALL) for half in (chinese, english)]
            assert found[0] == found[1] != [], pattern
        # Links, code spans, sizes, versions and amounts of memory do not depend on the language.
        for pattern in (r'\]\(([^)]*)\)', r'(?<!`)`([^`\n]+)`(?!`)', r'\d+x\d+', r'v?\d+\.\d+\.\d+', r'[\d.]+ Gi?B'):
            found = [sorted(set(re.findall(pattern, half))) for half in (chinese, english)]
            assert found[0] == found[1] != [], pattern

    def test_pictures_and_links_are_there(self, page):
        text = (page / 'README.md').read_text(encoding='utf-8')
        local = [link for link in re.findall(r'\]\(([^)#]+)\)', text) if '://' not in link]
        assert 'assets/framework.png' in local
        assert all((page / link).is_file() for link in local)
        assert sum(file.stat().st_size for file in page.rglob('*') if file.is_file()) < 1_000_000

    def test_it_asks_for_this_package_and_runs_one_file(self, page):
        assert re.fullmatch(r'modelscope_i2v>=[\d.]+\n', (page / 'requirements.txt').read_text())
        assert [file.name for file in page.rglob('*.py')] == ['ms_wrapper.py']

    def test_the_folder_is_a_model(self, page, published, tmp_path):
        """By path and with ``trust_remote_code``, as ModelScope does it; its ``ms_wrapper.py`` provides the classes."""
        task = front_matter(page)['tasks'][0]
        given = str(IMAGE)
        if task == 'video-to-video':
            from modelscope_i2v.media.writing.write import write_video
            from tests.media.clips import gradient

            write_video(gradient(3), tmp_path / 'in.mp4', fps=8)
            given = {'video_path': str(tmp_path / 'in.mp4'), 'text': ''}
        output = tmp_path / 'out.mp4'
        folder = published / 'page' / page.name
        run_python(RUN, task, folder, json.dumps(given), output, MODELSCOPE_CACHE=str(tmp_path / 'cache'))
        assert output.stat().st_size > 0


def mean_difference(made, kept, mode):
    """The mean difference of two pictures of the same size, 0..255."""
    pixels = [np.asarray(Image.open(file).convert(mode), np.float32) for file in (made, kept)]
    assert pixels[0].shape == pixels[1].shape
    return np.abs(pixels[0] - pixels[1]).mean()


def test_the_pictures_are_made_by_the_scripts(tmp_path):
    code = (
        'import sys; from pathlib import Path\n'
        'from model_card.pictures.figures import draw_framework, draw_second_generation, draw_unet\n'
        "draw_framework(Path(sys.argv[1], 'framework.png')); draw_unet(Path(sys.argv[1], 'unet.png'))\n"
        "draw_second_generation(Path(sys.argv[1], 'second.png'))"
    )
    subprocess.run([sys.executable, '-c', code, tmp_path], cwd=ROOT, check=True, timeout=120)
    pages = ROOT / 'model_card'
    first, second = pages / 'Image-to-Video' / 'assets', pages / 'I2VGen-XL' / 'assets'
    kept_as = {'framework.png': first / 'framework.png', 'unet.png': first / 'unet.png'}
    for name, kept in {**kept_as, 'second.png': second / 'framework.png'}.items():
        assert (
            mean_difference(tmp_path / name, kept, 'L') < 1.0
        )  # of 255; where a number in a box changes, the difference is 5 times as much


def test_what_pages_share_is_the_same_file():
    first, second = (ROOT / 'model_card' / name / 'assets' for name in ('Image-to-Video', 'Video-to-Video'))
    assert (first / 'framework.png').read_bytes() == (second / 'framework.png').read_bytes()
    assert (first / 'example.jpg').read_bytes() == (ROOT / 'examples' / 'cat.jpg').read_bytes()


@pytest.mark.slow
def test_the_strips_are_of_these_weights(tmp_path):
    code = (
        'import sys; from pathlib import Path; from model_card.pictures.strips import save_strips\n'
        "save_strips(Path(sys.argv[1], 'Image-to-Video.jpg'), Path(sys.argv[1], 'Video-to-Video.jpg'))"
    )
    subprocess.run([sys.executable, '-c', code, tmp_path], cwd=ROOT, check=True, timeout=300)
    for name in ('Image-to-Video', 'Video-to-Video'):
        kept = ROOT / 'model_card' / name / 'assets' / 'strips.jpg'
        assert mean_difference(tmp_path / f'{name}.jpg', kept, 'RGB') < 3.0  # of 255: other weights make other videos

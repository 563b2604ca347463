"""Every command of docs/ runs as it is written; only a training gets fewer steps, smaller clips and float32."""

import json
import re
import shlex
import shutil

import pytest

from tests.hub.client import run
from tests.pages.blocks import ROOT, prepare
from tests.training.tiny import write_data

DOCUMENTS = sorted(ROOT.glob('docs/*.md'))
COMMANDS = [
    line
    for path in DOCUMENTS
    for block in re.findall(r'^```bash\n(.*?)^```$', path.read_text(encoding='utf-8'), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with the files that the commands name."""
    folder = prepare(tmp_path_factory.mktemp('commands'))
    (folder / 'examples').mkdir()
    shutil.copyfile(ROOT / 'examples' / 'cat.jpg', folder / 'examples' / 'cat.jpg')
    shutil.copyfile(folder / 'your_video.mp4', folder / 'video.mp4')
    shutil.copyfile(folder / 'your_video.mp4', folder / 'cat.mp4')
    write_data(folder / 'fox-videos')
    text = (ROOT / 'docs' / 'fine-tuning.md').read_text(encoding='utf-8')
    content = json.loads(re.search(r'^```json\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)[1])
    content['clips'].update({'num_frames': 2, 'height': 64, 'width': 64})
    content['loop'].update({'steps': 2, 'precision': 'fp32'})  # these random weights overflow in bfloat16
    content['dtype'] = 'fp32'
    (folder / 'fox.json').write_text(json.dumps({**content, 'cpu': True, 'validation': {'count': 0}}))
    return folder


def test_the_documents_have_commands():
    assert {shlex.split(command)[0] for command in COMMANDS} == {'modelscope-i2v'}
    verbs = {shlex.split(command)[1] for command in COMMANDS}
    assert verbs >= {'image-to-video', 'video-to-video', 'chain', 'evaluate', 'convert', 'train'}


@pytest.mark.slow
@pytest.mark.parametrize('hub', ['page'], indirect=True)  # commands do not use a page's own code
@pytest.mark.parametrize('number', range(len(COMMANDS)))
def test_every_command_runs(number, hub, cache, folder, tmp_path):
    words = [word.replace('~', str(tmp_path)) for word in shlex.split(COMMANDS[number])[1:]]
    done = run(hub, cache / hub.kind, '-m', 'modelscope_i2v.cli.main', *words, cwd=folder)
    assert done.returncode == 0, f'{COMMANDS[number]}\n{done.stderr}'

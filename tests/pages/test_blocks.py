"""Every Python block of the README, of docs/ and of the model pages runs as it is written, but for the device."""

import pytest

from tests.hub.client import run
from tests.pages.blocks import ROOT, on_cpu, prepare, python_blocks

DOCUMENTS = [ROOT / 'README.md', *sorted(ROOT.glob('docs/*.md')), *sorted(ROOT.glob('model_card/*/README.md'))]
BLOCKS = list(dict.fromkeys(block for path in DOCUMENTS for block in python_blocks(path)))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp('blocks'))


def test_the_documents_have_blocks():
    assert {path.parent.name for path in DOCUMENTS if python_blocks(path)} >= {'Image-to-Video', 'Video-to-Video'}
    assert len(BLOCKS) >= 7


@pytest.mark.slow
@pytest.mark.parametrize('number', range(len(BLOCKS)))
def test_every_block_runs(number, hub, cache, folder):
    """Unchanged on pages with their own code; on older pages with our import added, unless the block has it."""
    block = on_cpu(BLOCKS[number])
    if hub.kind == 'before':
        if 'pipeline(' not in block:
            pytest.skip('needs no page')
        if 'import modelscope_i2v' not in block:
            block = f'import modelscope_i2v\n{block}'
    done = run(hub, cache / hub.kind, '-c', block, cwd=folder)
    assert done.returncode == 0, f'{block}\n{done.stderr}'

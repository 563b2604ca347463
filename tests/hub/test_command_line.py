"""The commands with hub ids: models are downloaded once, then need no network; the hub's errors become one line."""

import json

import pytest

from tests.folders import IMAGE, variant
from tests.hub.client import run
from tests.hub.server import Fault, serving

FIRST, SECOND = 'damo/Image-to-Video', 'damo/Video-to-Video'


def command(hub, cache, *arguments):
    return run(hub, cache, '-m', 'modelscope_i2v.cli.main', *arguments)


@pytest.fixture
def folders(golden_model, golden_model_2, tmp_path):
    changes = {'model.model_cfg.steps': 2, 'model.model_cfg.noise_level': 100}
    changes['model.model_cfg.solver'] = 'dpmpp_2m_sde'
    return {
        FIRST: variant(golden_model, tmp_path / 'hub' / '1', {'model.model_cfg.steps': 2}),
        SECOND: variant(golden_model_2, tmp_path / 'hub' / '2', changes),
    }


@pytest.mark.slow
def test_chain_downloads_both_stages_and_then_needs_no_network(folders, tmp_path):
    chain = ['chain', IMAGE, '--model', FIRST, '--model-revision', 'v1.1.0', '--device', 'cpu', '--seed', 1, '--json']
    with serving() as hub:
        for model, folder in folders.items():
            hub.serve(model, 'v1.1.0', folder)
        done = command(hub, tmp_path / 'cache', *chain, '-o', tmp_path / 'a.mp4', '--num-frames', 3)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)['model_revision'] == 'v1.1.0'
    done = command(hub, tmp_path / 'cache', *chain, '-o', tmp_path / 'b.mp4', '--num-frames', 3, '--offline')
    assert done.returncode == 0, done.stderr
    info = command(hub, tmp_path / 'cache', 'info', tmp_path / 'b.mp4', '--json')
    recipe = json.loads(info.stdout)['recipe']
    assert [(entry['model'], entry['revision']) for entry in recipe] == [(FIRST, 'v1.1.0'), (SECOND, 'v1.1.0')]
    assert (tmp_path / 'a.mp4').read_bytes() == (tmp_path / 'b.mp4').read_bytes()


@pytest.mark.slow
def test_stage_2_has_the_revision_of_stage_1_unless_it_is_given_its_own(folders, tmp_path):
    with serving() as hub:
        for model, folder in folders.items():
            hub.serve(model, 'v1.1.0', folder)
        models = ['--model', FIRST, '--model-revision', 'v1.1.0', '--stage2-model', SECOND]
        arguments = ['chain', IMAGE, '-o', tmp_path / 'a.mp4', '--num-frames', 3, *models]
        done = command(hub, tmp_path / 'cache', *arguments, '--device', 'cpu', '--json')
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)['model_revision'] == 'v1.1.0'
        done = command(hub, tmp_path / 'cache', *arguments, '--stage2-model-revision', 'v9')
        assert (done.returncode, "(revision 'v9')" in done.stderr) == (1, True)


def test_a_download_that_fails_is_one_line(folders, tmp_path):
    with serving() as hub:
        hub.serve(FIRST, 'v1.1.0', folders[FIRST])
        hub.faults.append(Fault('content', 'unet.pth'))
        arguments = [
            'image-to-video',
            IMAGE,
            '-o',
            tmp_path / 'out.mp4',
            '--model',
            FIRST,
            '--model-revision',
            'v1.1.0',
        ]
        done = command(hub, tmp_path / 'cache', *arguments)
    said = done.stderr.replace('\r', '\n').replace('\x1b[A', '')
    lines = [line for line in said.splitlines() if '%|' not in line and line.strip()]  # without progress bars
    assert done.returncode == 1
    assert len(lines) == 1, lines
    assert 'unet.pth' in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--model-revision', 'v9.9.9'], 'Its revisions are v1.1.0.'),
        (['--model', 'damo/nothing'], "'damo/nothing' could not be downloaded"),
        (['--offline'], 'Run once without offline to download it'),
    ],
)
def test_what_goes_wrong_is_one_line(options, message, folders, tmp_path):
    with serving() as hub:
        hub.serve(FIRST, 'v1.1.0', folders[FIRST])
        arguments = ['image-to-video', IMAGE, '-o', tmp_path / 'out.mp4', '--model', FIRST, *options]
        done = command(hub, tmp_path / 'cache', *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert 'Traceback' not in done.stderr
    assert not (tmp_path / 'out.mp4').exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['image-to-video', 'none.png', '-o', 'out.mp4'], 'none.png'),
        (['image-to-video', IMAGE, '-o', 'out.mp4', '--steps', '0'], "'steps'"),
        (['chain', IMAGE, '-o', 'out.mp4', '--noise-level', '1000'], "'noise_level'"),
        (['convert', '-o', '.'], 'nothing is overwritten'),
        (['convert', '-o', 'mine.txt/small'], 'Cannot write'),
    ],
)
def test_nothing_is_downloaded_for_a_call_that_cannot_succeed(arguments, message, folders, tmp_path):
    (tmp_path / 'work').mkdir()
    (tmp_path / 'work' / 'mine.txt').write_text('')
    verb, *rest = arguments
    model = [FIRST] if verb == 'convert' else ['--model', FIRST]
    with serving() as hub:
        hub.serve(FIRST, 'v1.1.0', folders[FIRST])
        command_line = ['-m', 'modelscope_i2v.cli.main', verb, *rest, *model, '--model-revision', 'v1.1.0']
        done = run(hub, tmp_path / 'cache', *command_line, cwd=tmp_path / 'work')
        assert hub.requests == []
    assert done.returncode == 1
    assert message in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['image-to-video', '--height', '250'], "'height' must be a multiple of"),
        (['image-to-video', '--model', SECOND], 'is a model for video-to-video'),
        (['image-to-video', '--lora', 'none.safetensors'], 'none.safetensors'),
        (['image-to-video', '--lora-scale', '0.5'], "'lora_scale' needs 'lora'"),
        (['chain', '--stage2-model', SECOND, '--stage2-lora', 'none.safetensors'], 'none.safetensors'),
    ],
)
def test_no_weights_are_downloaded_for_what_the_model_does_not_take(arguments, message, folders, tmp_path):
    verb, *rest = arguments
    with serving() as hub:
        for model in (FIRST, SECOND):
            hub.serve(model, 'v1.1.0', folders[model])
        given = [IMAGE, '-o', tmp_path / 'out.mp4', '--model', FIRST, *rest, '--model-revision', 'v1.1.0']
        done = command(hub, tmp_path / 'cache', verb, *given)
        assert set(hub.downloads()) == {'configuration.json'}
    assert done.returncode == 1
    assert message in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.slow
def test_convert_takes_a_hub_id(folders, tmp_path):
    model = ['convert', FIRST, '--model-revision', 'v1.1.0', '--json']
    with serving() as hub:
        hub.serve(FIRST, 'v1.1.0', folders[FIRST])
        done = command(hub, tmp_path / 'cache', *model, '-o', tmp_path / 'small')
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)['folder'] == str(tmp_path / 'small')
    done = command(hub, tmp_path / 'cache', *model, '-o', tmp_path / 'again', '--offline')
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / 'small').iterdir():
        assert path.read_bytes() == (tmp_path / 'again' / path.name).read_bytes()
    options = ['--model', tmp_path / 'small', '--num-frames', 1, '--device', 'cpu']
    done = command(hub, tmp_path / 'cache', 'image-to-video', IMAGE, '-o', tmp_path / 'out.mp4', *options)
    assert done.returncode == 0, done.stderr

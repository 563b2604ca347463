"""The verb ``estimate``."""

import json

import pytest

import modelscope_i2v
from modelscope_i2v.cli.main import main
from modelscope_i2v.terms import MEMORY_LEVELS

FOLDER = modelscope_i2v.embedded_model('video-to-video')


def shown(capsys, *arguments):
    try:
        code = main(['estimate', *arguments])
    except SystemExit as left:
        code = left.code
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_what_people_read(capsys):
    code, out, _ = shown(capsys, FOLDER, '--num-frames', '20', '--steps', '3', '--rate', '1T', '--memory', '1GB')
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith(f'{FOLDER}: 20 frames of 256x256, fp16, 3 steps, ')
    assert lines[1].startswith('weights: ')
    assert [line.split()[0] for line in lines[4:8]] == list(MEMORY_LEVELS[1:])
    assert [line.split()[1] == '*' for line in lines[4:8]] == [False, True, False, False]
    assert "On a card of 6 GB or more use memory='full'" in out


def test_what_scripts_read(capsys):
    code, out, _ = shown(capsys, FOLDER, '--json', '--solver', 'heun', '--steps', '3')
    assert code == 0
    found = json.loads(out)
    assert found == json.loads(json.dumps(modelscope_i2v.estimate(FOLDER, solver='heun', steps=3).as_dict()))
    assert [level['level'] for level in found['levels']] == list(MEMORY_LEVELS[1:])


@pytest.mark.parametrize(
    ('options', 'code', 'message'),
    [
        (['no-such-folder'], 1, "There is no model folder 'no-such-folder'"),
        ([FOLDER, '--rate', 'fast'], 1, "'rate' must be a number of operations per second such as '50T'"),
        ([FOLDER, '--solver', 'ddim'], 1, "'solver' must be one of"),
        ([FOLDER, '--height', '102'], 1, 'the nearest legal values are'),
        ([FOLDER, '--image-strength', '0.5'], 1, "Unknown option '--image-strength' of this model."),
        ([FOLDER, '--memory', '6'], 1, "'memory' must be one of"),
        ([FOLDER, '--dtype', 'fp8'], 2, 'invalid choice'),
        ([], 2, 'MODEL'),
    ],
)
def test_what_it_refuses(capsys, options, code, message):
    found, out, err = shown(capsys, *options)
    assert (found, out) == (code, '')
    assert message in err

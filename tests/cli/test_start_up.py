"""What needs no network loads no PyTorch: help, typos, and the verbs that only read."""

from tests.cli.test_help import VERBS
from tests.folders import IMAGE, run_python

#: Packages that take a second or more to import.
HEAVY = ('torch', 'modelscope', 'transformers', 'datasets', 'open_clip')
VIDEO = IMAGE.parents[1] / 'video_5f_96x64.avi'
COMMANDS = [
    ([], 2),
    (['--help'], 0),
    (['--version'], 0),
    *(([verb, '--help'], 0) for verb in VERBS),
    (['image-to-vide', 'a.jpg'], 2),
    (['--hlep'], 2),
    (['image-to-video', 'a.jpg', '-o', 'a.mp4', '--sed', '3'], 2),
    (['image-to-video', 'a.jpg', '-o', 'a.mp4', '--steps', 'many'], 2),
    (['video-to-video', 'a.mp4', '-o', 'b.mp4', '--image-strength', '1'], 2),
    (['chain', 'a.jpg', '-o', 'a.mp4', '--stage1-negative-prompt'], 2),
    (['info', str(VIDEO)], 0),
    (['info', str(VIDEO), '--json'], 0),
    (['info', 'no-such-video.mp4'], 1),
    (['autoload', '--status'], 0),
]
SCRIPT = f"""
import sys
from modelscope_i2v.cli.main import main
for command, expected in {COMMANDS!r}:
    try:
        code = main(command)
    except SystemExit as left:
        code = left.code
    assert code == expected, (command, code)
    loaded = set({HEAVY!r}) & set(sys.modules)
    assert not loaded, (command, loaded)
    if command[:1] not in (['info'], ['autoload']):
        assert 'numpy' not in sys.modules, command
print('DONE')
"""


def test_nothing_heavy_is_loaded():
    assert run_python(SCRIPT).stdout.split()[-1] == 'DONE'

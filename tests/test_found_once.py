"""A command looks things up once: it reads the configuration once per stage and resolves the device once."""

import json

import pytest

from tests.folders import IMAGE, run_python

#: Counts which code opens which configuration.json: ModelScope's own base classes read it, too.
COUNT = """
import collections, json, pathlib, sys
import modelscope_i2v

package = str(pathlib.Path(modelscope_i2v.__file__).parent)
reads, devices, counting = collections.Counter(), [], True

def hook(event, arguments):
    if event != 'open' or not counting or not str(arguments[0]).endswith('configuration.json'):
        return
    frame = sys._getframe(1)
    while 'pathlib' in frame.f_code.co_filename or frame.f_code.co_filename.startswith('<frozen'):
        frame = frame.f_back
    if frame.f_code.co_filename.startswith(package) and arguments[1] == 'r':
        reads[str(arguments[0])] += 1

sys.addaudithook(hook)
import modelscope_i2v.runtime.device as device
real = device.resolve_device
import modelscope_i2v.runtime.execution as execution
execution.resolve_device = lambda name, **options: devices.append(name) or real(name, **options)
from modelscope_i2v.cli.main import main

image, folder, found = sys.argv[1], pathlib.Path(sys.argv[2]), {}
fast = ['--steps', '1', '--no-show-progress']
small = ['--height', '32', '--width', '32']
low, high, both = (str(folder / name) for name in ('low.mp4', 'high.mp4', 'both.mp4'))
commands = {
    'image-to-video': ['image-to-video', image, '-o', low, '--num-frames', '2', *small, *fast],
    'video-to-video': ['video-to-video', low, '-o', high, *small, *fast],
    'chain': ['chain', image, '-o', both, '--num-frames', '2', *small, *fast],
    'chain of several': ['chain', image, '-o', both, '--num-frames', '2', '--variations', '2', *small, *fast],
    'convert': ['convert', modelscope_i2v.embedded_model(), '-o', str(folder / 'small')],
    'info': ['info', both],
    'evaluate': ['evaluate', low],
}
for name, command in commands.items():
    reads.clear(), devices.clear()
    assert main(command) == 0, name
    found[name] = [sorted(reads.values()), len(devices)]
print(json.dumps(found))
"""


@pytest.fixture(scope='module')
def done(tmp_path_factory):
    return run_python(COUNT, IMAGE, tmp_path_factory.mktemp('counted'), CUDA_VISIBLE_DEVICES='')


def test_the_configuration_is_read_once_a_stage(done):
    found = json.loads(done.stdout.splitlines()[-1])
    assert {name: reads for name, (reads, _) in found.items()} == {
        'image-to-video': [1],
        'video-to-video': [1],
        'chain': [1, 1],
        'chain of several': [1, 1],
        'convert': [1],
        'info': [],
        'evaluate': [1],
    }


def test_the_device_is_looked_up_once(done):
    found = json.loads(done.stdout.splitlines()[-1])
    generating = ('image-to-video', 'video-to-video', 'chain', 'chain of several')
    assert {name: found[name][1] for name in generating} == dict.fromkeys(generating, 1)
    assert done.stderr.count('No CUDA GPU is available') == len(generating)

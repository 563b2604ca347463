"""ModelScope finds our classes under the built-in names, whatever was imported first, and logs no warnings."""

import os
from pathlib import Path

import pytest

from tests.folders import ABSENT, IMAGE, run_python, variant

#: Ways to import our package; after each, ``pipeline`` is ModelScope's function.
ORDERS = {
    'plugin first': 'import modelscope_i2v; from modelscope.pipelines import pipeline',
    'modelscope first': 'import modelscope.pipelines; import modelscope_i2v; pipeline = modelscope.pipelines.pipeline',
    'twice': """
import sys, importlib, modelscope_i2v
from modelscope.pipelines import pipeline
import modelscope_i2v.image_to_video.pipeline as first
importlib.reload(modelscope_i2v)
for name in [name for name in sys.modules if name.startswith('modelscope_i2v')]:
    del sys.modules[name]
import modelscope_i2v
assert modelscope_i2v.ImageToVideoPipeline is not first.ImageToVideoPipeline
""",
    'after the built-in failed': """
from modelscope.pipelines import pipeline
try:
    pipeline('image-to-video', model=folder, device='cpu')
except Exception as error:
    assert 'modelscope_i2v' not in sys.modules
else:
    raise AssertionError('the built-in pipeline works: this test is out of date')
import modelscope_i2v
""",
    # The imports of the built-in modules are broken today; this puts stubs in the place of the missing pieces.
    'after the built-in was imported': """
import types
sys.modules['xformers'] = xformers = types.ModuleType('xformers')
sys.modules['xformers.ops'] = xformers.ops = types.ModuleType('xformers.ops')
utils = 'modelscope.models.multi_modal.image_to_video.utils'
sys.modules[f'{utils}.schedule'] = schedule = types.ModuleType('schedule')
schedule.beta_schedule = None
from modelscope.pipelines import pipeline
import modelscope.pipelines.multi_modal.image_to_video_pipeline
import modelscope.models.multi_modal.image_to_video.image_to_video_model
from modelscope.pipelines.builder import PIPELINES
assert PIPELINES.get('image-to-video-task-pipeline', 'image-to-video').__module__.startswith('modelscope.')
del sys.modules['xformers'], sys.modules['xformers.ops']
import modelscope_i2v
""",
}

USE = """
from modelscope.utils.logger import get_logger
print('ORDER DONE', file=sys.stderr)
get_logger().info('a line of its log')
for model in (folder, like_the_hub):
    made = pipeline('image-to-video', model=model, device='cpu', show_progress=False)
    assert type(made) is modelscope_i2v.ImageToVideoPipeline, type(made)
    assert type(made.model) is modelscope_i2v.ImageToVideoModel
    assert type(made.preprocessor) is modelscope_i2v.ImageToVideoPreprocessor
result = made(image, steps=1, num_frames=1, output_type='np')
assert result['output_video'].shape == (1, 64, 64, 3)
made = pipeline('video-to-video', model=folder_2, device='cpu', show_progress=False)
assert type(made) is modelscope_i2v.VideoToVideoPipeline, type(made)
assert type(made.model) is modelscope_i2v.VideoToVideoModel
assert type(made.preprocessor) is modelscope_i2v.VideoToVideoPreprocessor
frames = made({'video_path': result['output_video'], 'text': 'x'}, steps=1, output_type='np')['output_video']
assert frames.shape == (1, 32, 32, 3)
print('DONE')
"""

#: What ModelScope would log about a task that is not in its tables.
COMPLAINTS = ('missing', 'No preprocessor', 'not found in ast index', 'WARNING')


@pytest.fixture(scope='module')
def like_the_hub(stage_1_folder, tmp_path_factory):
    """The hub's own configuration.json has no section for the preprocessor."""
    folder = tmp_path_factory.mktemp('like_the_hub') / 'Image-to-Video'
    return variant(stage_1_folder, folder, {'preprocessor': ABSENT})


@pytest.fixture(scope='module')
def like_the_hub_2(stage_2_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp('like_the_hub') / 'Video-to-Video'
    return variant(stage_2_folder, folder, {'preprocessor': ABSENT})


@pytest.mark.parametrize('order', ORDERS.values(), ids=ORDERS)
def test_import_order(order, stage_1_folder, like_the_hub, like_the_hub_2):
    header = 'import sys; folder, like_the_hub, folder_2, image = sys.argv[1:]\n'
    done = run_python(header + order + USE, stage_1_folder, like_the_hub, like_the_hub_2, IMAGE)
    assert done.stdout.split()[-1] == 'DONE'
    said = done.stderr.partition('ORDER DONE')[2]
    assert 'a line of its log' in said  # so ModelScope's warnings would appear here
    assert [line for line in said.splitlines() if any(complaint in line for complaint in COMPLAINTS)] == []


FROM_PRETRAINED = """
import sys; folder, like_the_hub, image, folder_2, like_the_hub_2 = sys.argv[1:]
import modelscope_i2v, torch
made = modelscope_i2v.load(folder_2, device='cpu', show_progress=False)
assert type(made) is modelscope_i2v.VideoToVideoPipeline, type(made)
made = modelscope_i2v.load(folder, device='cpu', show_progress=False)
assert type(made) is modelscope_i2v.ImageToVideoPipeline, type(made)
from modelscope.models import Model
from modelscope.preprocessors import Preprocessor
for model_dir in (like_the_hub, folder):
    # If a file lacks the section, ModelScope itself warns before it looks for our class.
    print('IMPORTED' if model_dir == folder else '', file=sys.stderr)
    preprocessor = Preprocessor.from_pretrained(model_dir)
    assert type(preprocessor) is modelscope_i2v.ImageToVideoPreprocessor, type(preprocessor)
    pixel_values = preprocessor(image)['pixel_values']
    assert pixel_values.shape == (1, 3, 64, 64) and pixel_values.dtype == torch.float32
model = Model.from_pretrained(folder)
assert type(model) is modelscope_i2v.ImageToVideoModel, type(model)
assert str(Model.from_pretrained(folder, device='cpu').device) == 'cpu'
latents = model(pixel_values)['latents']
assert latents.shape == (1, 4, 16, 8, 8) and latents.isfinite().all()
video = torch.full((2, 8, 8, 3), 99, dtype=torch.uint8)
for model_dir in (like_the_hub_2, folder_2):
    print('IMPORTED' if model_dir == folder_2 else '', file=sys.stderr)
    preprocessor = Preprocessor.from_pretrained(model_dir)
    assert type(preprocessor) is modelscope_i2v.VideoToVideoPreprocessor, type(preprocessor)
    frames = preprocessor({'video_path': video})['video'].frames()
model = Model.from_pretrained(folder_2, device='cpu')
assert type(model) is modelscope_i2v.VideoToVideoModel, type(model)
latents = model(frames)['latents']
assert latents.shape == (1, 4, 2, 4, 4) and latents.isfinite().all()
"""


def test_load_and_from_pretrained(stage_1_folder, like_the_hub, stage_2_folder, like_the_hub_2):
    folders = stage_1_folder, like_the_hub, IMAGE, stage_2_folder, like_the_hub_2
    _, first, second = run_python(FROM_PRETRAINED, *folders).stderr.split('IMPORTED')
    # ModelScope warns about the second folder without the section, too.
    said = first.partition('initialize model')[0] + second
    assert [line for line in said.splitlines() if any(complaint in line for complaint in COMPLAINTS)] == []


LIGHT = """
import sys
import modelscope_i2v
heavy = {'torch', 'modelscope', 'numpy', 'PIL', 'av', 'transformers', 'datasets'}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
own = {name.removeprefix('modelscope_i2v').lstrip('.') for name in sys.modules if name.startswith('modelscope_i2v')}
expected = {'', 'checks', 'errors', 'plugin', 'plugin.after_import', 'plugin.registration', 'stage', 'version'}
assert own == expected, own
"""


FILLED = """
from modelscope.utils.import_utils import LazyImportModule
from modelscope.metainfo import DEFAULT_MODEL_FOR_PIPELINE
index = LazyImportModule.get_ast_index()['index']
for task, name in (('image-to-video', 'image-to-video-model'), ('video-to-video', 'video-to-video-model')):
    assert index['MODELS', task, name]['module'] == f"modelscope_i2v.{task.replace('-', '_')}.model"
    assert task in DEFAULT_MODEL_FOR_PIPELINE
from modelscope.preprocessors.base import PREPROCESSOR_MAP
assert PREPROCESSOR_MAP['video-to-video-model', 'video-to-video'] == 'video-to-video-preprocessor'
print('DONE')
"""


def test_import_is_light_and_each_table_is_filled_when_it_is_loaded():
    assert run_python(LIGHT + FILLED).stdout == 'DONE\n'


THREADS = """
import importlib, sys, threading, time

def look_up(name, seconds):
    begin.wait()
    time.sleep(seconds)
    importlib.import_module(name)
    done.append(name)

# Ours before, and while, ModelScope is loaded. Two of ModelScope's own would fail without us.
names = {'modelscope.preprocessors.base': [0], 'modelscope_i2v': [0, float(sys.argv[1]), 1.0]}
threads = [
    threading.Thread(target=look_up, args=(name, after), daemon=True) for name in names for after in names[name]
]
begin, done = threading.Barrier(len(threads)), []
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(60)
assert len(done) == len(threads), done
"""


def test_threads_that_import_at_once():
    assert run_python(THREADS + FILLED, 0.01).stdout == 'DONE\n'


#: A package that looks like ModelScope as far as registration goes.
LIKE_MODELSCOPE = {
    '__init__.py': 'from modelscope import metainfo',
    'metainfo.py': 'DEFAULT_MODEL_FOR_PIPELINE = {}',
    'utils/__init__.py': '',
    'utils/import_utils.py': """
class LazyImportModule:
    index = {'index': {}}
    get_ast_index = classmethod(lambda cls: cls.index)
""",
    'preprocessors/__init__.py': '',
    'preprocessors/base.py': 'PREPROCESSOR_MAP = {}',
}


def run_with(folder, files, code):
    """Run ``code`` with a ``modelscope`` of these files, made in ``folder``."""
    for name, text in files.items():
        path = folder / 'modelscope' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    root = Path(__file__).parents[2]
    return run_python(code, PYTHONPATH=f'{folder}{os.pathsep}{root}')


BROKEN_TABLE = """
from modelscope.metainfo import DEFAULT_MODEL_FOR_PIPELINE
from modelscope.preprocessors.base import PREPROCESSOR_MAP
import modelscope_i2v
assert PREPROCESSOR_MAP['image-to-video-model', 'image-to-video'] == 'image-to-video-preprocessor'
assert 'image-to-video' in DEFAULT_MODEL_FOR_PIPELINE
"""


@pytest.mark.parametrize('error', ['OSError', 'ImportError'])
def test_a_table_that_cannot_be_imported_does_not_stop_the_others(error, tmp_path):
    files = {**LIKE_MODELSCOPE, '__init__.py': '', 'utils/import_utils.py': f"raise {error}('no such library')"}
    said = run_with(tmp_path, files, BROKEN_TABLE).stderr
    warned = "in modelscope.utils.import_utils, whose import fails: OSError('no such library')" in said
    assert warned == (error == 'OSError'), said


HALF_IMPORTED = """
import sys
try:
    import modelscope
except OSError:
    assert 'modelscope' not in sys.modules and 'modelscope.metainfo' in sys.modules
import modelscope_i2v
assert 'image-to-video' in sys.modules['modelscope.metainfo'].DEFAULT_MODEL_FOR_PIPELINE
assert 'modelscope.preprocessors.base' not in sys.modules
"""


def test_what_a_failed_import_of_modelscope_left_is_filled(tmp_path):
    top = "from modelscope import metainfo\nraise OSError('no such library')"
    run_with(tmp_path, {**LIKE_MODELSCOPE, '__init__.py': top}, HALF_IMPORTED)


PASSED_OVER = """
import sys
from importlib.machinery import PathFinder
before = list(sys.meta_path)
import modelscope_i2v
{happens}
from modelscope.metainfo import DEFAULT_MODEL_FOR_PIPELINE
from modelscope.preprocessors.base import PREPROCESSOR_MAP
assert not DEFAULT_MODEL_FOR_PIPELINE and not PREPROCESSOR_MAP
modelscope_i2v.embedded_model
assert 'image-to-video' in DEFAULT_MODEL_FOR_PIPELINE and PREPROCESSOR_MAP
"""
#: Why the finder is not asked.
HAPPENS = {'another finder is first': 'sys.meta_path.insert(0, PathFinder)', 'restored': 'sys.meta_path[:] = before'}


@pytest.mark.parametrize('happens', HAPPENS.values(), ids=HAPPENS)
def test_using_the_package_registers_where_its_finder_was_not_asked(happens, tmp_path):
    code = PASSED_OVER.format(happens=happens)
    run_with(tmp_path, LIKE_MODELSCOPE, code)


STRANGE = """
import sys
{order}
import modelscope_i2v, modelscope.utils.import_utils
assert modelscope.utils.import_utils.theirs == 1
"""


@pytest.mark.parametrize('order', ['', 'import modelscope'])
def test_a_modelscope_without_the_tables_can_be_imported(order, tmp_path):
    """A future version may keep its names elsewhere. Programs that use it for other things must still start."""
    files = {'__init__.py': '', 'utils/__init__.py': '', 'utils/import_utils.py': 'theirs = 1'}
    done = run_with(tmp_path, files, STRANGE.format(order=order))
    assert 'modelscope_i2v cannot register in modelscope.utils.import_utils: AttributeError' in done.stderr


WITHOUT_MODELSCOPE = """
import sys
from importlib.machinery import PathFinder
class WithoutModelScope(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition('.')[0] == 'modelscope' else PathFinder.find_spec(name, path, target)
sys.meta_path[:] = [WithoutModelScope if finder is PathFinder else finder for finder in sys.meta_path]
import torch
import modelscope_i2v
from modelscope_i2v.networks import ImageToVideoUNet
from modelscope_i2v.weights import build_on_meta, load_weights
from modelscope_i2v.weights.synthetic import synthetic_state_dict
from modelscope_i2v.diffusion import sample_euler, scaled_linear_schedule, v_prediction_denoiser
sizes = dict(model_channels=32, channel_mult=[1, 2], num_res_blocks=1, attention_resolutions=[2], num_heads=2,
             num_head_channels=16, context_dim=32, image_embed_dim=16)
unet = build_on_meta(lambda: ImageToVideoUNet(**sizes))
load_weights(unet, synthetic_state_dict({key: tensor.shape for key, tensor in unet.state_dict().items()}))
embedding, fps, schedule = torch.ones(1, 1, 16), torch.tensor([8.0]), scaled_linear_schedule()
network = lambda x, t: unet(x, torch.tensor([t]), embedding, fps)
sigmas = [*schedule.sigma([999, 500]), 0]
found = sample_euler(v_prediction_denoiser(network, schedule), torch.zeros(1, 4, 2, 4, 4), sigmas)
assert found.shape == (1, 4, 2, 4, 4) and found.isfinite().all()
assert not [name for name in sys.modules if name.partition('.')[0] == 'modelscope']
try:
    modelscope_i2v.ImageToVideoPipeline
except ModuleNotFoundError as error:
    assert error.name == 'modelscope'
else:
    raise AssertionError('a pipeline without ModelScope')
"""


def test_building_blocks_work_without_modelscope():
    run_python(WITHOUT_MODELSCOPE)


def test_tables():
    from modelscope.metainfo import DEFAULT_MODEL_FOR_PIPELINE
    from modelscope.outputs import TASK_OUTPUTS, OutputKeys
    from modelscope.pipeline_inputs import TASK_INPUTS
    from modelscope.preprocessors.base import PREPROCESSOR_MAP
    from modelscope.utils.import_utils import LazyImportModule

    import modelscope_i2v.image_to_video.pipeline
    import modelscope_i2v.video_to_video.pipeline  # noqa: F401

    names = ('image-to-video-task-pipeline', 'damo/Image-to-Video')
    assert DEFAULT_MODEL_FOR_PIPELINE['image-to-video'] == names
    assert PREPROCESSOR_MAP['image-to-video-model', 'image-to-video'] == 'image-to-video-preprocessor'
    assert TASK_OUTPUTS['image-to-video'] == [OutputKeys.OUTPUT_VIDEO]
    assert 'image' in TASK_INPUTS['image-to-video']
    assert {'image': 'image', 'text': 'text'} in TASK_INPUTS['image-to-video']
    index = LazyImportModule.get_ast_index()['index']
    modules = {
        ('MODELS', 'image-to-video', 'image-to-video-model'): 'model',
        ('PIPELINES', 'image-to-video', 'image-to-video-task-pipeline'): 'pipeline',
        ('PREPROCESSORS', 'multi-modal', 'image-to-video-preprocessor'): 'preprocessor',
    }
    for signature, module in modules.items():
        assert index[signature]['module'] == f'modelscope_i2v.image_to_video.{module}'
    names = ('video-to-video-pipeline', 'damo/Video-to-Video')
    assert DEFAULT_MODEL_FOR_PIPELINE['video-to-video'] == names
    assert PREPROCESSOR_MAP['video-to-video-model', 'video-to-video'] == 'video-to-video-preprocessor'
    assert TASK_OUTPUTS['video-to-video'] == [OutputKeys.OUTPUT_VIDEO]
    assert TASK_INPUTS['video-to-video'] == {'video_path': 'video', 'text': 'text'}
    modules = {
        ('MODELS', 'video-to-video', 'video-to-video-model'): 'model',
        ('PIPELINES', 'video-to-video', 'video-to-video-pipeline'): 'pipeline',
        ('PREPROCESSORS', 'multi-modal', 'video-to-video-preprocessor'): 'preprocessor',
    }
    for signature, module in modules.items():
        assert index[signature]['module'] == f'modelscope_i2v.video_to_video.{module}'


def test_load_registers_again():
    from modelscope.preprocessors.base import PREPROCESSOR_MAP

    from modelscope_i2v import ConfigurationError, load

    del PREPROCESSOR_MAP['image-to-video-model', 'image-to-video']
    with pytest.raises(ConfigurationError, match='nowhere'):
        load('nowhere')
    assert PREPROCESSOR_MAP['image-to-video-model', 'image-to-video'] == 'image-to-video-preprocessor'


def test_names_of_the_package():
    import modelscope_i2v

    assert set(modelscope_i2v.__all__) <= set(dir(modelscope_i2v))
    for name in modelscope_i2v.__all__:
        assert getattr(modelscope_i2v, name) is not None
    assert issubclass(modelscope_i2v.InputError, modelscope_i2v.ModelScopeI2VError)
    with pytest.raises(AttributeError, match="no attribute 'ImageToVideo'"):
        modelscope_i2v.ImageToVideo  # noqa: B018

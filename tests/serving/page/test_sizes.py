"""The page offers what the device has the memory for, and a job gets the size that was chosen."""

import pytest

from modelscope_i2v.errors import DeviceError, InputError
from modelscope_i2v.generation.memory import Weights
from modelscope_i2v.serving.engine import Engine
from modelscope_i2v.serving.models import LoadedModels, ServedModel, embedded_models
from modelscope_i2v.serving.page.requests import Wish, submit
from modelscope_i2v.serving.page.sizes import OWN, SHAPE, Sizes, size_arguments

#: Bytes that the models here have to themselves, enough for their small videos.
ROOM = 2**28


def wish(tmp_path, picture, model, size):
    (tmp_path / 'photo.png').write_bytes(picture)
    options = {'steps': 1, 'num_frames': 3}
    photo = str(tmp_path / 'photo.png')
    return Wish(photo, None, model.name, '', seed='1', size=size, variations=1, options=options)


def free(monkeypatch, room):
    monkeypatch.setattr('modelscope_i2v.generation.memory_check.free_memory', lambda device: room)


def test_a_chosen_size_is_made_although_memory_is_busy(models, picture, tmp_path, monkeypatch):
    free(monkeypatch, ROOM)
    with Engine(models, tmp_path / 'results', devices=['cpu']) as engine:
        sizes = Sizes(engine)
        offered = sizes.choices(models[0], 'en')
        assert ('128 × 128', '128x128') in offered
        free(monkeypatch, 1)  # a job that runs needs all the rest
        assert sizes.choices(models[0], 'en') == offered
        (job_id,) = submit(engine, wish(tmp_path, picture, models[0], '128x128'))
        job = engine.job(job_id)
        assert (job.width, job.height) == (128, 128)
        engine.cancel(job_id)


def test_a_size_for_which_there_is_no_memory_is_refused_and_not_offered(models, picture, tmp_path, monkeypatch):
    free(monkeypatch, 1)
    with Engine(models, tmp_path / 'results', devices=['cpu']) as engine:
        assert [name for _, name in Sizes(engine).choices(models[0], 'en')] == [OWN, SHAPE]
        with pytest.raises(DeviceError, match='3 frames of 128 x 128 pixels would take about'):
            submit(engine, wish(tmp_path, picture, models[0], '128x128'))


def test_the_weights_of_the_model_count(models, tmp_path, monkeypatch):
    free(monkeypatch, ROOM)
    with Engine(models[:1], tmp_path, devices=['cpu']) as engine:
        sizes = Sizes(engine)
        monkeypatch.setattr(LoadedModels, 'weights', lambda self, model: Weights(unet=ROOM))
        assert [name for _, name in sizes.choices(models[0], 'en')] == [OWN, SHAPE]


def test_the_text_of_a_size_is_true(models, i2vgen_folder, tmp_path):
    # The first generation has a size of its own, the second follows the picture, and the last step the video.
    served = [models[0], ServedModel.find(str(i2vgen_folder)), models[1]]
    with Engine(served, tmp_path, devices=['cpu']) as engine:
        sizes = Sizes(engine)
        first, second, larger = ([text for text, _ in sizes.choices(model, 'en')] for model in served)
        assert first[:2] == ['64 × 64, as trained', 'Shape of the picture']
        assert second[0] == 'As trained, in the shape of the picture'
        assert 'Shape of the picture' not in second
        assert larger[0] == 'As trained, in the shape of the video'
        assert all(text.endswith(' pixels high') for text in larger[1:])
        assert sizes.choices(served[1], 'zh')[0][0] == '训练尺寸，与图片形状一致'


def test_arguments_follow_from_the_name_alone():
    first, larger = embedded_models()
    assert size_arguments(first, OWN) == {}
    assert size_arguments(first, SHAPE) == {'fit': 'keep'}
    assert size_arguments(first, '256x128') == {'width': 256, 'height': 128}
    assert size_arguments(larger, '256x128') == {'height': 128}
    with pytest.raises(InputError, match="There is no size '256'"):
        size_arguments(first, '256')

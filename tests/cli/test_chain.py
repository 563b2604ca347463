"""``chain`` and ``video-to-video`` in this process, on the small models of the first generation."""

import dataclasses
import json
import re

import av
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import modelscope_i2v
from benchmarks.first_generation import MODELS
from modelscope_i2v.cli.main import main
from modelscope_i2v.media.reading.info import probe_video, read_recipe
from modelscope_i2v.media.reading.open import open_video
from tests.calls import build, build_2, latents_of
from tests.folders import variant
from tests.golden import DATA
from tests.media.clips import beeps, gradient, record

IMAGE = str(DATA / 'images' / 'gray_333x500.png')
#: Options that make it fast.
OPTIONS = ['--num-frames', '2', '--stage1-height', '32', '--stage1-width', '48', '--height', '32', '--steps', '1']
COMMON = ['--device', 'cpu', '--no-show-progress']
SMALL = ['--model', MODELS['image-to-video'], '--stage2-model', MODELS['video-to-video']]


def decoded(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)])


@pytest.fixture(scope='module')
def chained(tmp_path_factory):
    """The chain's video, and the first stage's video that it kept."""
    folder = tmp_path_factory.mktemp('chain')
    out, kept = folder / 'out.mp4', folder / 'kept.mp4'
    words = ['--seed', '5', '--fps', '6', '--stage1-solver', 'unipc', '--stage2-steps', '2', '--text', 'a cat']
    assert main(['chain', IMAGE, '-o', str(out), '--keep-stage1', str(kept), *OPTIONS, *words, *COMMON, *SMALL]) == 0
    return out, kept


def test_both_recipes(chained):
    out, kept = chained
    (first,), (repeated, second) = read_recipe(kept), read_recipe(out)
    assert first == repeated
    stage1 = {'stage': 'image-to-video', 'seed': 5, 'steps': 1, 'solver': 'unipc', 'fps': 6, 'num_frames': 2}
    assert {**stage1, 'height': 32, 'width': 48}.items() <= first.items()
    stage2 = {'stage': 'video-to-video', 'seed': 5, 'steps': 2, 'text': 'a cat', 'num_frames': 2, 'output_fps': 6}
    assert {**stage2, 'height': 32, 'width': 48}.items() <= second.items()


def test_sizes_and_rates(chained):
    for path in chained:
        info = probe_video(path)
        assert (info.width, info.height, info.frames, info.fps, info.has_audio) == (48, 32, 2, 6, False)


def test_stage_2_gets_the_frames_not_the_lossy_file(chained, tmp_path):
    out, kept = chained
    first = modelscope_i2v.load(MODELS['image-to-video'], device='cpu', show_progress=False)
    second = modelscope_i2v.load(MODELS['video-to-video'], device='cpu', show_progress=False)
    size = {'height': 32, 'width': 48}
    frames = first(IMAGE, seed=5, steps=1, num_frames=2, fps=6, solver='unipc', output_type='np', **size)[
        'output_video'
    ]
    call = {'seed': 5, 'steps': 2, 'height': 32, 'text': 'a cat'}
    video = dataclasses.replace(open_video(frames), fps=6.0, recipe=read_recipe(kept))
    second(video, output_video=tmp_path / 'again.mp4', **call)
    assert (tmp_path / 'again.mp4').read_bytes() == out.read_bytes()
    second(kept, output_video=tmp_path / 'lossy.mp4', **call)
    assert not np.array_equal(decoded(tmp_path / 'lossy.mp4'), decoded(out))


def test_one_json_line_and_no_kept_file(tmp_path, capsys):
    out = tmp_path / 'out.mp4'
    assert main(['chain', IMAGE, '-o', str(out), '--json', *OPTIONS, *COMMON, *SMALL]) == 0
    printed = json.loads(capsys.readouterr().out)
    low = printed.pop('stage1')
    assert printed == {'output_video': str(out), 'seed': printed['seed'], 'model_revision': None}
    assert low == {'output_video': None, 'seed': low['seed'], 'model_revision': None}
    assert [entry['seed'] for entry in read_recipe(out)] == [low['seed'], printed['seed']]
    assert list(tmp_path.iterdir()) == [out]


def test_what_it_prints_makes_the_same_video_again(tmp_path, capsys):
    first, again = tmp_path / 'first.mp4', tmp_path / 'again.mp4'
    assert main(['chain', IMAGE, '-o', str(first), *OPTIONS, *COMMON, *SMALL]) == 0
    name, seeds = re.fullmatch(r'(.*)  \((--stage1-seed \d+ --stage2-seed \d+)\)\n', capsys.readouterr().out).groups()
    assert name == str(first)
    assert main(['chain', IMAGE, '-o', str(again), *seeds.split(), *OPTIONS, *COMMON, *SMALL]) == 0
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--model', 'nobody/nothing'], "'nobody/nothing' has no known counterpart for stage 2.*--stage2-model"),
        (['-o', 'a.avi'], r'\.avi'),
        (['--keep-stage1', 'a.avi'], r'\.avi'),
        (['--stage1-height', '100'], '96 and 112'),
        (['--noise-level', '1000', '--keep-stage1', 'kept.mp4'], "'noise_level'"),  # before stage 1 runs
        (['--stage2-steps', '6', '--noise-level', '5'], "'steps'"),
        (['--keep-stage1', 'out.mp4'], 'the same file'),
        (['--keep-stage1', 'kept.mp4', '--stage2-model', '/nope/x'], '/nope/x'),
        (['--keep-stage1', 'kept.mp4', '--height', '100'], '96 and 104'),
        (['--keep-stage1', 'kept.mp4', '--window-overlap', '31'], "'window_overlap'"),
        (['--keep-stage1', 'kept.mp4', '--stage2-device', 'cuda:7'], 'cuda:7'),
    ],
)
def test_bad_usage(tmp_path, monkeypatch, capsys, options, said):
    monkeypatch.chdir(tmp_path)
    models = [] if '--model' in options else SMALL
    assert main(['chain', IMAGE, '-o', 'out.mp4', *OPTIONS, *COMMON, *models, *options]) == 1
    printed = capsys.readouterr()
    assert not list(tmp_path.iterdir())
    assert 'Traceback' not in printed.err
    assert printed.out == ''

    assert re.search(said, printed.err)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU here')
def test_stages_on_two_devices(stage_1_folder, stage_2_folder, tmp_path):
    out, models = tmp_path / 'out.mp4', ['--model', str(stage_1_folder), '--stage2-model', str(stage_2_folder)]
    devices = ['--device', 'cpu', '--stage2-device', 'cuda:0']
    assert main(['chain', IMAGE, '-o', str(out), *OPTIONS[:6], '--steps', '1', *models, *COMMON, *devices]) == 0
    assert [entry['stage'] for entry in read_recipe(out)] == ['image-to-video', 'video-to-video']
    first = modelscope_i2v.load(stage_1_folder, device='cpu', show_progress=False)
    second = modelscope_i2v.load(stage_2_folder, device='cuda:0', show_progress=False)
    assert second.model.share_autoencoder(first.model) is False
    assert next(second.model.autoencoder.parameters()).device.type == 'cuda'


def test_models_by_folder(stage_1_folder, stage_2_folder, tmp_path):
    out = tmp_path / 'out.mp4'
    models = ['--model', str(stage_1_folder), '--stage2-model', str(stage_2_folder)]
    assert main(['chain', IMAGE, '-o', str(out), *OPTIONS[:6], '--steps', '1', *models, *COMMON]) == 0
    assert probe_video(out).height * probe_video(out).width < 2 * 32 * 32  # the configured size of stage_2


def test_video_to_video(tmp_path, capsys):
    video = record(tmp_path / 'a.mp4', gradient(3), sound=beeps(0.2))
    out = tmp_path / 'out.mp4'
    words = ['--text', 'a fox', '--noise-level', '300', '--solver-mode', 'fast', '--seed', '3', '--json']
    assert main(['video-to-video', str(video), '-o', str(out), '--steps', '1', '--width', '32', *words, *COMMON]) == 0
    assert json.loads(capsys.readouterr().out) == {'output_video': str(out), 'seed': 3, 'model_revision': None}
    info = probe_video(out)
    assert (info.width, info.height, info.frames, info.fps, info.has_audio) == (32, 24, 3, 25, True)
    (entry,) = read_recipe(out)
    given = {'text': 'a fox', 'noise_level': 300, 'solver': 'dpmpp_2m_sde', 'steps': 1}
    assert given.items() <= entry.items()
    assert main(['info', str(out)]) == 0
    assert 'stage 1: video-to-video' in capsys.readouterr().out


def test_the_same_autoencoder_is_shared(stage_1_folder, stage_2_folder, tmp_path):
    # The scale of the latents belongs to the UNets, not to the autoencoder.
    scaled = variant(stage_1_folder, tmp_path / 'scaled', {'model.model_cfg.autoencoder.scale_factor': 0.1})
    first, second = build(scaled), build_2(stage_2_folder, steps=1)
    before = latents_of(second, seed=1)
    assert second.model.share_autoencoder(first.model) is True
    assert second.model.autoencoder is first.model.autoencoder
    assert bool((latents_of(second, seed=1) == before).all())

    weights = load_file(stage_2_folder / 'autoencoder.safetensors')
    name = next(iter(weights))
    weights[name] = weights[name] + 1
    folder = variant(stage_2_folder, tmp_path / 'other')
    (folder / 'autoencoder.safetensors').unlink()
    save_file(weights, folder / 'autoencoder.safetensors')
    other = build_2(folder)
    own = other.model.autoencoder
    assert other.model.share_autoencoder(first.model) is False
    assert other.model.autoencoder is own


def test_autoencoders_of_other_sizes_are_not_shared(stage_1, golden_model_2):
    other = build_2(golden_model_2)
    assert other.model.share_autoencoder(stage_1.model) is False

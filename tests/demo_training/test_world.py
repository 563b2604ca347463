"""The generator against the specification of the embedded world, tests/data/embedded_world.py."""

import dataclasses
import importlib.util

import numpy as np
import pytest
import torch

from demo_training.scenes.layouts import HELD_OUT_PICTURES, TRAINING_PICTURES
from demo_training.scenes.shapes import SHAPES, UNSEEN_SHAPES
from demo_training.scenes.sprites import MARGIN, MOTIONS
from demo_training.world import SHARES, make_clip, make_sprite, sprite_of_clip
from modelscope_i2v.errors import InputError
from tests.golden import DATA


@pytest.fixture(scope='module')
def specification():
    spec = importlib.util.spec_from_file_location('embedded_world', DATA / 'embedded_world.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_silhouettes_are_those_of_the_specification(specification):
    assert list(SHAPES) == specification.SHAPES
    grid = torch.linspace(-1.5, 1.5, 301)
    y, x = torch.meshgrid(grid, grid, indexing='ij')
    for number, silhouette in enumerate(SHAPES.values()):
        expected = specification.sdf1(number, x, y).numpy()
        found = silhouette(x.numpy(), y.numpy())
        near = abs(expected) < 0.1
        assert np.abs(found - expected)[near].max() < 1e-3, list(SHAPES)[number]
        assert (found[~near] < 0).tolist() == (expected[~near] < 0).tolist()


def test_speeds_sizes_and_colours_are_those_of_the_specification(specification):
    _, attributes = specification.sample(400, 1_000_000)
    sprites = [make_sprite(seed) for seed in range(400)]
    times = np.arange(8.0)
    path = np.stack([sprite.positions(times) for sprite in sprites])
    ours, theirs = (np.linalg.norm(np.diff(p, axis=1), axis=2) for p in (path, attributes['pos'].numpy()))
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.06)
    radius = np.array([sprite.radius for sprite in sprites])
    assert radius.mean() == pytest.approx(float(attributes['rad'].mean()), rel=0.03)
    assert radius.min() >= 9
    assert radius.max() <= 14
    colour = np.stack([sprite.colour for sprite in sprites])
    assert colour.mean(axis=0) == pytest.approx(attributes['col'].numpy().mean(axis=0), abs=0.08)
    ends = np.stack([sprite.background for sprite in sprites])
    assert ends.mean() == pytest.approx(float(torch.stack([attributes['c1'], attributes['c2']]).mean()), abs=0.03)
    shares = {name: sum(sprite.motion == name for sprite in sprites) / 400 for name in MOTIONS}
    assert min(shares.values()) > 0.25


def test_a_sprite_is_drawn_where_it_says():
    for seed in range(12):
        sprite = make_sprite(seed)
        frames = sprite.render(np.arange(8.0), 64).astype(float) / 255
        empty = make_background(sprite)
        for frame, position in zip(frames, sprite.positions(np.arange(8.0)), strict=True):
            difference = np.abs(frame - empty).sum(axis=2)
            mask = difference > 0.5 * difference.max()
            y, x = np.nonzero(mask)
            assert np.hypot(x.mean() + 0.5 - position[0], y.mean() + 0.5 - position[1]) < 0.35 * sprite.radius
            low, high = MARGIN + sprite.radius, 64 - MARGIN - sprite.radius
            assert (position >= low - 10).all()
            assert (position <= high + 10).all()


def make_background(sprite):
    from demo_training.scenes.canvas import linear_gradient

    return linear_gradient(64, *sprite.background, sprite.angle)


def test_the_sprite_of_a_clip_and_its_silhouette_are_what_the_clip_shows():
    kinds = set()
    for seed in range(12):
        sprite = sprite_of_clip(seed)
        kinds.add(sprite is None)
        if sprite is None:
            assert 'gradient' not in make_clip(seed, num_frames=1).text
            continue
        assert np.array_equal(sprite.render(np.zeros(1), 64), make_clip(seed, num_frames=1).frames)
        black = (np.zeros(3), np.zeros(3))
        middle = dataclasses.replace(
            sprite, colour=np.ones(3), background=black, start=np.full(2, 32.0), motion='linear', velocity=np.zeros(2)
        )
        seen = middle.render(np.zeros(1), 64)[0, :, :, 0] / 255
        assert np.array_equal(middle.silhouette(64, 64) > 0.01, seen > 0.008)
        # A window half as wide shows the middle, twice as fine.
        fine = middle.silhouette(64, 32.0).reshape(32, 2, 32, 2).mean(axis=(1, 3))
        assert abs(fine - middle.silhouette(64, 64.0)[16:48, 16:48]).mean() < 0.02
    assert kinds == {True, False}


def test_a_clip_is_a_function_of_its_seed():
    for seed in range(6):
        assert np.array_equal(make_clip(seed).frames, make_clip(seed).frames)
    assert not np.array_equal(make_clip(1).frames, make_clip(2).frames)


@pytest.mark.parametrize('kind', SHARES)
def test_a_scene_is_the_same_at_every_size_and_frame_rate(kind):
    for seed in range(4):
        small, large = (make_clip(seed, num_frames=4, size=size, kind=kind) for size in (64, 128))
        halved = large.frames.reshape(4, 64, 2, 64, 2, 3).mean(axis=(2, 4))
        assert np.abs(halved - small.frames).mean() < 4
        slow, fast = (make_clip(seed, num_frames=n, fps=fps, kind=kind) for n, fps in ((4, 4), (7, 8)))
        assert np.array_equal(slow.frames, fast.frames[::2])


@pytest.mark.parametrize('kind', SHARES)
def test_everything_moves(kind):
    for seed in range(8):
        frames = make_clip(seed, num_frames=8, kind=kind).frames.astype(int)
        assert np.abs(np.diff(frames, axis=0)).mean() > 0.05


def test_captions_tell_what_is_seen():
    sprite = make_sprite(3)
    clip = make_clip(3, kind='sprite')
    words = [word for word in clip.text.replace(',', '').split() if word in SHAPES]
    assert len(words) == 1
    assert sprite.shape in sprite.caption
    assert MOTIONS[sprite.motion] in sprite.caption
    assert ('turning' in sprite.caption) == bool(sprite.spin)


def test_the_kinds_are_drawn_as_often_as_said_and_no_unseen_shape_ever():
    texts = [make_clip(seed, num_frames=1, size=8).text for seed in range(400)]
    sprites = sum('gradient' in text for text in texts) / 400
    assert sprites == pytest.approx(SHARES['sprite'], abs=0.08)
    assert not any(name in text for name in UNSEEN_SHAPES for text in texts)
    assert not set(TRAINING_PICTURES) & set(HELD_OUT_PICTURES)


@pytest.mark.parametrize(
    ('change', 'word'),
    [({'seed': -1}, 'seed'), ({'kind': 'sprit'}, 'sprite'), ({'fps': 0}, 'fps'), ({'size': 4}, 'size')],
)
def test_impossible_clips_are_refused(change, word):
    with pytest.raises(InputError, match=word):
        make_clip(**{'seed': 0, **change})

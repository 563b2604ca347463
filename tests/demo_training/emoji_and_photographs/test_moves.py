"""What moves ask for: where a point of the first frame is seen in later ones."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from demo_training.emoji_and_photographs.captions import MOVES, PHRASES
from demo_training.emoji_and_photographs.moves import (
    ANIMATED,
    BOUNCE,
    CAMERA,
    DRIFT,
    HOP,
    NUM_FRAMES,
    PAN,
    SPIN,
    SPRITE,
    TURN,
    ZOOM,
    camera_maps,
    chained,
    sprite_maps,
)
from demo_training.emoji_and_photographs.scenes import draw_scene
from demo_training.emoji_and_photographs.world import make_clip, render


def seen_at(maps, point):
    """Where ``point`` of what a map leads to is seen, in every frame."""
    linear, shift = maps[..., :2], maps[..., 2]
    return torch.linalg.solve(linear, torch.tensor(point) - shift)


@pytest.mark.parametrize(
    ('move', 'moved'),
    {
        'pan left': (PAN, 0),
        'pan right': (-PAN, 0),
        'pan up': (0, PAN),
        'pan down': (0, -PAN),
    }.items(),
)
def test_what_is_seen_moves_against_the_camera(move, moved):
    path = seen_at(camera_maps(move), (0.1, 0.2))
    assert torch.allclose(path[0], torch.tensor([0.1, 0.2]))
    assert torch.allclose(path[-1] - path[0], torch.tensor(moved, dtype=torch.float32), atol=1e-6)


def test_zooming_in_enlarges_and_zooming_out_is_the_reverse():
    assert torch.allclose(seen_at(camera_maps('zoom in'), (0.1, 0.2))[-1], torch.tensor([0.1, 0.2]) / ZOOM)
    assert torch.allclose(seen_at(camera_maps('zoom out'), (0.1, 0.2))[-1], torch.tensor([0.1, 0.2]) * ZOOM)


@pytest.mark.parametrize(('move', 'sign'), [('rotate left', 1), ('rotate right', -1)])
def test_rotating_left_turns_what_is_seen_clockwise(move, sign):
    # A point at the top, since y points down.
    end = seen_at(camera_maps(move), (0.0, -0.5))[-1]
    assert torch.allclose(end, 0.5 * torch.tensor([sign * math.sin(TURN), -math.cos(TURN)]), atol=1e-6)


@pytest.mark.parametrize(
    ('move', 'moved'),
    {
        'drift left': (-DRIFT, 0),
        'drift right': (DRIFT, 0),
        'drift up': (0, -DRIFT),
        'drift down': (0, DRIFT),
    }.items(),
)
def test_a_sprite_drifts_where_it_is_told(move, moved):
    path = seen_at(sprite_maps(move, (0.1, 0.2), 0.5), (0.0, 0.0))
    assert torch.allclose(path[0], torch.tensor([0.1, 0.2]))
    assert torch.allclose(path[-1] - path[0], torch.tensor(moved, dtype=torch.float32), atol=1e-6)


@pytest.mark.parametrize(('move', 'highest'), [('bounce', BOUNCE), (ANIMATED, HOP)])
def test_a_sprite_bounces_twice_and_is_never_below_its_ground(move, highest):
    path = seen_at(sprite_maps(move, (0.1, 0.2), 0.5), (0.0, 0.0))
    height = 0.2 - path[:, 1]
    assert torch.allclose(path[:, 0], torch.tensor(0.1))
    assert torch.allclose(height[[0, 4, 8, 12]], torch.tensor([0, highest, 0, highest]), atol=1e-6)
    assert height.min() > -1e-6


def test_a_sprite_spins_clockwise_about_itself():
    maps = sprite_maps('spin', (0.1, 0.2), 0.5)
    assert torch.allclose(seen_at(maps, (0.0, 0.0)), torch.tensor([0.1, 0.2]), atol=1e-6)
    top = seen_at(maps, (0.0, -1.0)) - torch.tensor([0.1, 0.2])
    assert top[1, 0] > 0.01
    angles = torch.arange(NUM_FRAMES) * SPIN / (NUM_FRAMES - 1)
    assert torch.allclose(top, 0.5 * torch.stack([angles.sin(), -angles.cos()], dim=1), atol=1e-5)


def test_chained_maps_are_applied_one_after_the_other():
    first, second = camera_maps('pan left')[-1:], camera_maps('rotate left')[-1:]
    point = torch.tensor([0.3, -0.4, 1.0])
    between = torch.cat([first[0] @ point, torch.ones(1)])
    assert torch.allclose(chained(first, second)[0] @ point, second[0] @ between, atol=1e-6)


def test_every_move_has_a_name_and_other_words():
    assert set(MOVES) == {*CAMERA, *SPRITE, ANIMATED} == set(PHRASES)


@pytest.mark.parametrize('move', CAMERA)
def test_drawn_clips_move_as_their_maps_say(tiny, move):
    """A bright dot in a photograph is tracked."""
    scene = draw_scene(tiny, np.random.default_rng(1), move, emoji=False)
    index, part = scene.crop
    crops = np.zeros_like(tiny.photographs.crops)
    # Where the middle of the view is, in pixels of the crop.
    across, down = ((1 + place) * 128 for place in part.centre)
    across = 256 - across if part.mirrored else across
    dots = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1) + 0.5
    near = np.hypot(dots[..., 0] - across, dots[..., 1] - down + 25 * part.scale) < 8 * part.scale
    crops[index][near] = 255
    world = replace(tiny, photographs=replace(tiny.photographs, crops=crops))
    frames = render(world, scene).frames[..., 0].astype(float)
    places = np.stack(np.meshgrid(np.arange(128), np.arange(128)), -1) + 0.5
    tracked = (frames[..., None] * places).sum(axis=(1, 2)) / frames.sum(axis=(1, 2))[:, None] / 64 - 1
    expected = seen_at(camera_maps(move), tuple(tracked[0].astype(np.float32).tolist()))
    assert np.abs(tracked - expected.numpy())[:12].max() < 0.03


def test_a_clip_is_a_function_of_its_seed_and_its_first_frame_is_the_picture(tiny):
    clip = make_clip(tiny, 3)
    assert clip.frames.shape == (16, 128, 128, 3)
    assert clip.fps == 8
    again = make_clip(tiny, 3, num_frames=1)
    assert np.array_equal(again.frames[0], clip.frames[0])
    assert again.text == clip.text


def test_nothing_moves_in_a_still_clip_and_only_the_emoji_in_its_own_animation(tiny):
    still = render(tiny, draw_scene(tiny, np.random.default_rng(0), 'still', emoji=True)).frames
    assert (still == still[:1]).all()
    scene = draw_scene(tiny, np.random.default_rng(0), ANIMATED, emoji=True)
    frames = render(tiny, scene).frames
    assert (frames != frames[:1]).any()
    # Between two hops, it is where it was, eight frames later in its animation.
    index, first, place = scene.emoji
    later = render(tiny, replace(scene, emoji=(index, (first + 8) % tiny.emoji.length(index), place))).frames
    assert np.array_equal(frames[8], later[0])

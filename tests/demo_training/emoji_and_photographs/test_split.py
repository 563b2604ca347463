from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo_training.emoji_and_photographs.emoji import Emoji, is_wanted
from demo_training.emoji_and_photographs.photographs import (
    SIDE,
    SIZES,
    Photographs,
    chosen_files,
    crops_of,
    picture_name,
)
from demo_training.emoji_and_photographs.split import (
    crop_indices,
    emoji_indices,
    held_out_emoji,
    held_out_pictures,
    unlisted_emoji,
)


def test_sixty_one_emoji_are_held_out_and_unlisted_ones_are_not_used():
    assert len(held_out_emoji()) == 61
    assert len(unlisted_emoji()) == 35
    assert {'1f428', '1f406', '1f384'} < held_out_emoji()
    assert all(is_wanted(name) for name in held_out_emoji() | unlisted_emoji())
    assert not is_wanted('1f44b-1f3fd')


def test_emoji_are_either_trained_on_or_held_out():
    names = ('1f406', '1f407', '1f428', '1f44a')
    emoji = Emoji(names, (0, 1, 2, 3, 4), np.zeros((4, 1, 1, 4), np.uint8))
    assert emoji_indices(emoji, held_out=True) == [0, 2]
    assert emoji_indices(emoji, held_out=False) == [1, 3]


def test_every_tenth_picture_is_held_out_with_all_its_crops():
    names = tuple(f'{index // 3:02}' for index in range(90))
    photographs = Photographs(names, np.zeros((90, 1, 1, 3), np.uint8))
    assert held_out_pictures(photographs.pictures) == {'03', '13', '23'}
    held_out, trained = (crop_indices(photographs, held_out=held_out) for held_out in (True, False))
    assert held_out == [9, 10, 11, 39, 40, 41, 69, 70, 71]
    assert sorted(held_out + trained) == list(range(90))
    assert not {names[index] for index in held_out} & {names[index] for index in trained}


@pytest.mark.parametrize(
    ('path', 'name'),
    {
        'usr/share/wallpapers/Kay/contents/images_dark/5120x2880.png': 'Kay',
        'usr/share/wallpapers/Kay/contents/images/5120x2880.png': 'Kay',
        'usr/share/backgrounds/mate/abstract/Elephants_3840x2160.jpg': 'Elephants',
        'usr/share/backgrounds/gnome/wood-d.webp': 'wood',
        'usr/share/backgrounds/gnome/wood-l.webp': 'wood',
        'usr/share/backgrounds/Wine_by_Jakkub_Mede.jpg': 'Wine_by_Jakkub_Mede',
    }.items(),
)
def test_sizes_and_shades_of_a_picture_are_one_picture(path, name):
    assert picture_name(Path(path)) == name


def test_the_largest_file_of_each_shade_is_taken(tmp_path):
    for name, size in {
        'One/contents/images/500x500.png': 500,
        'One/contents/images/600x600.png': 600,
        'One/contents/images_dark/500x500.png': 500,
        'One/contents/screenshot.png': 700,
        'Small/contents/images/100x100.png': 100,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (size, size)).save(tmp_path / name)
    (tmp_path / 'link.png').symlink_to(tmp_path / 'One/contents/images/500x500.png')
    chosen = {str(path.relative_to(tmp_path)): name for path, name in chosen_files(tmp_path).items()}
    assert chosen == {'One/contents/images/600x600.png': 'One', 'One/contents/images_dark/500x500.png': 'One'}


def test_crops_are_of_all_sizes_and_flat_ones_are_left_out():
    noise = np.random.default_rng(0).integers(0, 256, size=(500, 800, 3), dtype=np.uint8)
    crops = list(crops_of(Image.fromarray(noise)))
    assert [crop.shape for crop in crops] == [(SIDE, SIDE, 3)] * sum(SIZES.values())
    assert np.array_equal(crops[0], next(crops_of(Image.fromarray(noise))))
    assert not list(crops_of(Image.new('RGB', (500, 800), (10, 20, 30))))

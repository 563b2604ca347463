import itertools
from collections import Counter

import pytest

from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.training.data.mixture import BatchPlan, Mixture, MixtureSettings

VIDEOS, IMAGES = [0, 2, 4, 6, 8], [1, 3, 5]


def served(mixture, kind, count):
    """The first ``count`` examples of a kind with their epochs, in order."""
    plans = (mixture.batch(number) for number in itertools.count())
    pairs = (pair for plan in plans if plan.kind == kind for pair in zip(plan.examples, plan.epochs, strict=True))
    return list(itertools.islice(pairs, count))


def test_seven_batches_of_videos_then_one_of_images():
    mixture = Mixture(VIDEOS, IMAGES, MixtureSettings(batch_size=2, image_batch_size=4))
    plans = [mixture.batch(number) for number in range(800)]
    assert [plan.kind for plan in plans] == (['video'] * 7 + ['image']) * 100
    assert {(plan.kind, len(plan.examples), len(plan.epochs)) for plan in plans} == {('video', 2, 2), ('image', 4, 4)}


@pytest.mark.parametrize(('kind', 'pool'), [('video', VIDEOS), ('image', IMAGES)])
def test_an_epoch_serves_every_example_once_and_each_in_another_order(kind, pool):
    mixture = Mixture(VIDEOS, IMAGES, MixtureSettings(batch_size=2, seed=3))
    pairs = served(mixture, kind, 20 * len(pool))
    orders = [pairs[first : first + len(pool)] for first in range(0, len(pairs), len(pool))]
    assert [sorted(order) for order in orders] == [[(index, epoch) for index in pool] for epoch in range(20)]
    # Of the 6 orders of three pictures, 20 draws miss all but two with a chance below one in a million.
    assert len({tuple(index for index, _ in order) for order in orders}) > 2


def test_the_order_depends_on_the_seed_alone():
    first, same, other = (Mixture(range(50), IMAGES, MixtureSettings(seed=seed)) for seed in (1, 1, 2))
    # Backwards gives the same: there is no state.
    assert [first.batch(number) for number in range(60)] == [same.batch(number) for number in reversed(range(60))][::-1]
    assert served(first, 'video', 50) != served(other, 'video', 50)


def test_any_ratio():
    mixture = Mixture(VIDEOS, IMAGES, MixtureSettings(video_to_image=[2, 3]))
    assert [mixture.batch(number).kind for number in range(10)] == (['video'] * 2 + ['image'] * 3) * 2
    assert Counter(index for index, _ in served(mixture, 'image', 9)) == dict.fromkeys(IMAGES, 3)


def test_videos_stand_in_for_images():
    mixture = Mixture(VIDEOS, [], MixtureSettings())
    assert [mixture.batch(number).kind for number in range(8)] == ['video'] * 7 + ['image']
    assert sorted(index for index, _ in served(mixture, 'image', 5)) == VIDEOS


def test_without_videos_all_batches_are_of_images():
    mixture = Mixture([], [7], MixtureSettings())
    assert [mixture.batch(number) for number in range(9)] == [BatchPlan('image', (7,), (epoch,)) for epoch in range(9)]
    with pytest.raises(InputError, match=r'3 pictures and no videos.*\(1, 0\)'):
        Mixture([], IMAGES, MixtureSettings(video_to_image=(1, 0)))
    with pytest.raises(InputError, match='no examples'):
        Mixture([], [], MixtureSettings())


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'video_to_image': (0, 0)}, 'no batches'),
        ({'video_to_image': '7:1'}, "two whole numbers such as .7, 1., found '7:1'"),
        ({'video_to_image': (7, -1)}, r"'video_to_image\[1\]'.*at least 0"),
        ({'batch_size': 0}, "'batch_size'.*at least 1, found 0"),
        ({'image_batch_size': 1.5}, "'image_batch_size'"),
    ],
)
def test_impossible_settings_are_named(settings, words):
    with pytest.raises(ConfigurationError, match=words):
        MixtureSettings(**settings)

"""A call ends between two layers, and the pipeline is as it was."""

import itertools

import numpy as np
import pytest

from modelscope_i2v.errors import Interrupted
from modelscope_i2v.serving.interruption import interruptible
from tests.folders import IMAGE


@pytest.mark.parametrize('after', [0, 1, 100, 400])
def test_a_step_is_interrupted_and_the_next_call_gives_the_same_video(stage_1, after):
    def call():
        return stage_1(IMAGE, steps=1, num_frames=4, seed=1, output_type='np')['output_video']

    count = itertools.count()

    def check():
        if next(count) == after:
            raise Interrupted('The job was cancelled.')

    whole = call()
    with pytest.raises(Interrupted), interruptible(stage_1.model, check):
        call()
    assert next(count) == after + 1  # nothing computed after that
    assert np.array_equal(call(), whole)
    assert next(count) == after + 2  # nobody asks any more

"""Shapes and sizes at the edge."""

import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest

from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.geometry import Grid, keep_aspect
from modelscope_i2v.media import open_video
from tests.calls import VIDEO
from tests.field.documented import documented
from tests.media.clips import gradient

FULL_SIZE, SMALL, TINY = (Grid(64, 16, 64), 720 * 1280), (Grid(16, 8, 16), 128 * 128), (Grid(16, 0, 16), 32 * 48)


@documented('Panoramas and ribbons', 'the shape stays within 2 %, or is refused')
@pytest.mark.parametrize(('grid', 'area'), [FULL_SIZE, SMALL, TINY])
def test_every_shape_is_kept_or_refused(grid, area):
    refused = 0
    for aspect in [*np.geomspace(1 / 2000, 2000, 801), 100, 16 / 9]:
        try:
            placed = keep_aspect(aspect, grid, area=area)
        except InputError:
            refused += 1
            continue
        assert placed.width / placed.height == pytest.approx(aspect, rel=0.02)
        grid.check(placed.canvas_height, placed.canvas_width)
        assert placed.height <= placed.canvas_height
        assert placed.width <= placed.canvas_width
    assert refused < 400


@pytest.mark.parametrize('side', ['height', 'width'])
def test_a_given_side_keeps_the_shape_or_is_refused(side):
    grid, area = SMALL
    given = {'height': 8, 'width': 16}[side]
    for aspect in np.geomspace(1 / 200, 200, 101):
        with suppress(InputError):
            placed = keep_aspect(aspect, grid, area=area, **{side: given})
            assert placed.width / placed.height == pytest.approx(aspect, rel=0.02)


def test_a_ribbon_that_would_vanish_is_refused():
    grid, area = SMALL
    with pytest.raises(InputError, match='would become 1 x 40 pixels, which distorts it. Crop it first'):
        keep_aspect(1 / 100, grid, area=area, height=40)


def test_a_hundred_to_one_through_stage_2(stage_2):
    ribbon = np.stack([np.repeat(picture[:2], 25, axis=1)[:, :200] for picture in gradient(2, 2, 64)])
    assert ribbon.shape == (2, 2, 200, 3)
    options = {'steps': 1, 'guidance_scale': 1.0, 'solver': 'dpmpp_2m', 'seed': 1, 'output_type': 'np'}
    _, height, width, _ = stage_2(ribbon, **options)[VIDEO].shape
    assert width / height == pytest.approx(100, rel=0.02)


_GROWTH = """
import sys
from modelscope_i2v.media import open_video
from modelscope_i2v.generation.geometry import Grid, keep_aspect
from modelscope_i2v.video_to_video.preprocessor import PreparedVideo

def peak():
    with open('/proc/self/status') as status:
        return next(int(line.split()[1]) for line in status if line.startswith('VmHWM')) / 1024

before = peak()
video = open_video(sys.argv[1])
prepared = PreparedVideo(video, keep_aspect(video.aspect, Grid(16, 8, 16), area=256 * 256), None)
print(len(list(prepared.frames())), video.aspect, peak() - before)
"""


@documented('Frames of more than 36 megapixels', 'reduced as they are decoded')
def test_huge_frames_take_little_memory(tmp_path):
    if sys.platform != 'linux':
        pytest.skip('reads /proc')
    from fractions import Fraction

    import av

    path = tmp_path / 'huge.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=8, options={'preset': 'ultrafast'})
        stream.width = stream.height = 8190
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.thread_count = 1
        for index in range(6):
            frame = av.VideoFrame(8190, 8190, 'yuv420p')
            for plane, value in zip(frame.planes, (100 + index, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = index, Fraction(1, 8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert path.stat().st_size < 4e6
    out = subprocess.run([sys.executable, '-c', _GROWTH, path], capture_output=True, text=True, check=True).stdout
    count, aspect, growth = out.split()
    assert (int(count), float(aspect)) == (6, 1)
    assert float(growth) < 1000  # MiB; it was 2900
    assert next(open_video(path).frames()).pixels[5, 5].tolist() == pytest.approx([98, 98, 98], abs=2)

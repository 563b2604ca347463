"""Whatever colours a video codes, the pixels are those that an ordinary screen shows."""

import logging

import av
import numpy as np
import pytest

from modelscope_i2v.errors import InputError
from modelscope_i2v.media import open_video
from tests.field.documented import documented
from tests.field.videos.coded import coded, flat_video

COLOURS = [(255, 255, 255), (128, 128, 128), (10, 10, 10), (255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40)]


def seen(path, **options):
    """The colour in the middle of the second frame."""
    return list(open_video(path, **options).frames())[1].pixels[32, 32].astype(int)


def check(tmp_path, codes, tolerance, pixels='yuv420p10le', bits=10, full_range=False, colours=COLOURS):
    matrix, primaries, transfer = codes
    for rgb in colours:
        path = flat_video(
            tmp_path / 'a.mkv',
            coded(rgb, *codes, full_range, bits),
            pixels=pixels,
            matrix=matrix,
            primaries=primaries,
            transfer=transfer,
            full_range=full_range,
        )
        np.testing.assert_allclose(seen(path), rgb, atol=tolerance, err_msg=str((codes, rgb)))


@documented('HDR10: PQ, BT.2020', 'tone-mapped to BT.709, with white at 203 cd/m2; a line says so')
@pytest.mark.parametrize('full_range', [False, True])
def test_pq(tmp_path, full_range):
    # Ten bits are coarse in the dark: one step of red in pure green is 13 levels.
    check(tmp_path, (9, 9, 16), tolerance=13, full_range=full_range)
    check(tmp_path, (9, 9, 16), tolerance=2, full_range=full_range, colours=[(255, 0, 0), (128, 128, 128)])
    path = flat_video(tmp_path / 'w.mkv', coded((255, 255, 255), 9, 9, 16), matrix=9, primaries=9, transfer=16)
    assert seen(path).tolist() == [255, 255, 255]


@documented('HLG, BT.2020', 'tone-mapped like HDR10, for a display of 1000 cd/m2')
def test_hlg(tmp_path):
    check(tmp_path, (9, 9, 18), tolerance=12)


@documented('ICtCp (Dolby Vision profile 5 excepted)', 'tone-mapped like HDR10 or HLG')
@pytest.mark.parametrize('transfer', [16, 18])
def test_ictcp(tmp_path, transfer):
    check(tmp_path, (14, 9, transfer), tolerance=12)


def test_light_beyond_white_stays_bright(tmp_path):
    import colour

    for nits in (300, 1000, 4000, 10_000):
        level = float(colour.models.eotf_inverse_ST2084(nits))
        values = [round(64 + 876 * level), 512, 512]
        path = flat_video(tmp_path / 'a.mkv', values, matrix=9, primaries=9, transfer=16)
        assert seen(path).tolist() == [255, 255, 255]


def test_a_bright_sunset_stays_orange(tmp_path):
    import colour

    light = np.array([4.0, 2.0, 0.2])
    levels = colour.models.eotf_inverse_ST2084(light * 203)
    values = colour.RGB_to_YCbCr(
        levels, K=colour.WEIGHTS_YCBCR['ITU-R BT.2020'], out_bits=10, out_legal=True, out_int=True
    )
    path = flat_video(tmp_path / 'a.mkv', [int(v) for v in values], matrix=9, primaries=9, transfer=16)
    red, green, blue = seen(path)
    assert red == 255
    assert 150 < green < 250
    assert blue < green - 50


def test_hdr_is_said_once(tmp_path, caplog):
    path = flat_video(tmp_path / 'a.mkv', [940, 512, 512], matrix=9, primaries=9, transfer=16)
    with caplog.at_level(logging.WARNING):
        list(open_video(path).frames())
    assert [record.getMessage() for record in caplog.records if 'HDR' in record.getMessage()] == [
        f"The video file '{path}' is HDR; its colours are converted to those of an ordinary screen."
    ]


@documented('SDR in BT.2020, Display P3 or DCI-P3', 'converted to BT.709; greys keep their values')
@pytest.mark.parametrize(
    ('codes', 'colours'),
    [
        ((9, 9, 13), COLOURS),
        ((1, 12, 13), COLOURS),
        ((1, 11, 13), [(255, 255, 255), (200, 120, 40), (90, 140, 200)]),
        ((1, 4, 13), [(255, 255, 255), (200, 120, 40), (90, 140, 200)]),
    ],
)
def test_wide_gamuts(tmp_path, codes, colours):
    check(tmp_path, codes, tolerance=4, colours=colours)


@pytest.mark.parametrize('codes', [(9, 9, 1), (1, 12, 1)])
def test_greys_of_ordinary_curves_stay(tmp_path, codes):
    matrix, primaries, transfer = codes
    for level in (0, 64, 128, 255):
        path = flat_video(
            tmp_path / 'a.mkv',
            [round(64 + 876 * level / 255), 512, 512],
            matrix=matrix,
            primaries=primaries,
            transfer=transfer,
        )
        np.testing.assert_allclose(seen(path), [level] * 3, atol=1)


@documented('Linear light, gamma 2.8, SMPTE 428', 'converted to sRGB')
@pytest.mark.parametrize('transfer', [5, 8, 17])
def test_unusual_curves(tmp_path, transfer):
    check(tmp_path, (1, 1, transfer), tolerance=4, colours=[(255, 255, 255), (128, 128, 128), (200, 120, 90)])


@documented('Logarithmic curves', 'refused')
@pytest.mark.parametrize('transfer', [9, 10])
def test_logarithmic_curves_are_refused(tmp_path, transfer):
    path = flat_video(tmp_path / 'a.mkv', [500, 512, 512], matrix=1, primaries=1, transfer=transfer)
    with pytest.raises(InputError, match=f'the transfer curve {transfer}, which cannot be converted'):
        open_video(path)


@documented('YCgCo', 'converted')
@pytest.mark.parametrize('full_range', [False, True])
def test_ycgco(tmp_path, full_range):
    check(tmp_path, (8, 1, 13), tolerance=1, full_range=full_range)
    check(tmp_path, (8, 1, 13), tolerance=2, pixels='yuv444p', bits=8, full_range=full_range)


def test_a_matrix_that_follows_from_the_primaries(tmp_path):
    for rgb in COLOURS:
        path = flat_video(tmp_path / 'a.mkv', coded(rgb, 1, 1, 13), matrix=12, primaries=1, transfer=13)
        np.testing.assert_allclose(seen(path), rgb, atol=2)


@documented('Other matrices: constant luminance, ST 2085, IPT-C2, YCgCo-R', 'refused')
@pytest.mark.parametrize('matrix', range(18))
def test_every_matrix_in_h264_is_converted_or_refused(tmp_path, matrix):
    """As x264 writes them. It knows the matrices up to 14; the others come out untagged."""
    with av.open(str(tmp_path / 'y.mp4'), 'w') as container:
        stream = container.add_stream('libx264', rate=8)
        stream.width = stream.height = 64
        stream.pix_fmt = 'yuv444p'
        stream.codec_context.colorspace = matrix
        for index in range(3):
            frame = av.VideoFrame(64, 64, 'yuv444p')
            for plane, value in zip(frame.planes, (120, 100, 140), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if matrix in (10, 11, 13, 14):
        with pytest.raises(InputError, match=f'the colour matrix {matrix}, which cannot be converted'):
            open_video(tmp_path / 'y.mp4')
    else:
        assert 30 < seen(tmp_path / 'y.mp4').mean() < 220


@documented('Packed formats of four bits a pixel (rgb4, bgr4)', 'refused')
@pytest.mark.parametrize('pixels', ['rgb4', 'bgr4'])
def test_pixel_formats_that_ffmpeg_cannot_convert(tmp_path, pixels):
    with av.open(str(tmp_path / 'a.nut'), 'w') as container:
        stream = container.add_stream('rawvideo', rate=8)
        stream.width = stream.height = 64
        stream.pix_fmt = pixels
        for index in range(3):
            frame = av.VideoFrame(64, 64, pixels)
            frame.pts = index
            container.mux(stream.encode(frame))
    with pytest.raises(InputError, match=f'the pixel format {pixels!r}, which cannot be converted'):
        open_video(tmp_path / 'a.nut')


@documented('No colour tags', 'BT.709 from 720 rows on, BT.601 below, as players assume')
@pytest.mark.parametrize(('size', 'matrix'), [((1280, 720), 1), ((1920, 1080), 1), ((640, 360), 5), ((1024, 576), 5)])
def test_untagged_videos(tmp_path, size, matrix):
    for rgb in ((200, 30, 90), (20, 220, 60)):
        values = coded(rgb, matrix, 1, 13, bits=8)
        path = flat_video(tmp_path / 'a.mkv', values, pixels='yuv420p', size=size, count=2)
        np.testing.assert_allclose(seen(path), rgb, atol=2)


def test_codes_that_mean_nothing(tmp_path):
    """ProRes from cameras has zeros in its frame headers."""
    path = flat_video(tmp_path / 'a.mov', [500, 600, 400], 'prores_ks', 'yuv422p10le', size=(128, 96))
    before = seen(path)
    data = bytearray(path.read_bytes())
    place = data.find(b'icpf')
    while place >= 0:
        data[place + 18 : place + 21] = bytes(3)
        place = data.find(b'icpf', place + 4)
    path.write_bytes(data)
    np.testing.assert_array_equal(seen(path), before)


@documented('8-bit to 16-bit SDR in BT.601 or BT.709', 'as they are, bit for bit as OpenCV reads them')
@pytest.mark.parametrize('matrix', [1, 5, 6])
@pytest.mark.parametrize('full_range', [False, True])
@pytest.mark.parametrize('pixels', ['yuv420p', 'yuv422p', 'yuv444p', 'yuv420p10le'])
def test_tagged_videos_are_converted_by_ffmpeg_alone(tmp_path, matrix, full_range, pixels):
    from av.video.reformatter import Interpolation

    wide = pixels.endswith('10le')
    values = [500, 600, 400] if wide else [120, 150, 100]
    path = flat_video(
        tmp_path / 'a.mkv', values, pixels=pixels, matrix=matrix, primaries=matrix, transfer=1, full_range=full_range
    )
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        wanted = frame.reformat(format='rgb24', interpolation=Interpolation.BICUBIC, threads=1).to_ndarray()
    np.testing.assert_array_equal(next(open_video(path).frames()).pixels, wanted)

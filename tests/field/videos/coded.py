"""Videos of one colour, coded by independent implementations of the standards."""

from fractions import Fraction

import av
import colour
import numpy as np

#: Codes of ITU-T H.273 -> names of colour-science.
PRIMARIES = {
    1: 'ITU-R BT.709',
    4: 'NTSC (1953)',
    9: 'ITU-R BT.2020',
    11: 'DCI-P3',
    12: 'Display P3',
}
#: Matrix -> name of its weights in colour-science.
WEIGHTS = {1: 'ITU-R BT.709', 5: 'ITU-R BT.601', 6: 'ITU-R BT.601', 7: 'SMPTE-240M', 9: 'ITU-R BT.2020'}
WHITE = 203.0


def light_of(rgb):
    """sRGB levels 0..255 -> linear light, 1 at white."""
    return np.asarray(colour.cctf_decoding(np.array(rgb) / 255, function='sRGB'))


def encoded_light(light, transfer):
    """Linear light with 1 at white -> encoded RGB."""
    light = np.maximum(light, 0)
    if transfer == 16:
        return colour.models.eotf_inverse_ST2084(light * WHITE)
    if transfer == 18:
        return colour.models.eotf_inverse_BT2100_HLG(light * WHITE)
    if transfer == 13:
        return colour.cctf_encoding(light, function='sRGB')
    if transfer == 8:
        return light
    if transfer == 17:
        return (light * 48 / 52.37) ** (1 / 2.6)
    return light ** (1 / (2.8 if transfer == 5 else 2.4))


def coded(rgb, matrix, primaries, transfer, full_range=False, bits=10):
    """The numbers Y, Cb, Cr of an sRGB colour, as a camera would record it with 203 cd/m2 for white."""
    light = light_of(rgb)
    if PRIMARIES[primaries] != 'ITU-R BT.709':
        light = colour.RGB_to_RGB(light, 'sRGB', PRIMARIES[primaries], chromatic_adaptation_transform='Bradford')
    if matrix == 14:
        method = {16: 'ITU-R BT.2100-2 PQ', 18: 'ITU-R BT.2100-2 HLG'}[transfer]
        light = np.maximum(light, 0) * WHITE
        scene = colour.models.ootf_inverse_BT2100_HLG(light) if transfer == 18 else light
        luma, *differences = colour.RGB_to_ICtCp(scene, method=method)
    elif matrix == 8:
        red, green, blue = encoded_light(light, transfer)
        luma = red / 4 + green / 2 + blue / 4
        differences = [green / 2 - red / 4 - blue / 4, red / 2 - blue / 2]
    else:
        weights = colour.WEIGHTS_YCBCR[WEIGHTS[matrix]]
        values = colour.RGB_to_YCbCr(
            encoded_light(light, transfer), K=weights, out_bits=bits, out_legal=not full_range, out_int=True
        )
        return [int(value) for value in values]
    unit = 2 ** (bits - 8)
    if full_range:
        scales, zeros = [2**bits - 1] * 3, [0, 128 * unit, 128 * unit]
    else:
        scales, zeros = [219 * unit, 224 * unit, 224 * unit], [16 * unit, 128 * unit, 128 * unit]
    values = zip(zeros, scales, [luma, *differences], strict=True)
    return [min(round(zero + scale * float(value)), 2**bits - 1) for zero, scale, value in values]


def flat_video(
    path, values, codec='ffv1', pixels='yuv420p10le', size=(64, 64), count=3, *, matrix=2, primaries=2, transfer=2,
    full_range=None,
):  # fmt: skip
    """A video of ``count`` frames whose planes hold one of ``values`` each, with the tags given."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=8)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = matrix, primaries, transfer
        if full_range is not None:
            context.color_range = 2 if full_range else 1
        for index in range(count):
            frame = av.VideoFrame(*size, pixels)
            for plane, value in zip(frame.planes, values, strict=True):
                wide = frame.format.components[0].bits > 8
                kind = np.uint16 if wide else np.uint8
                plane.update(np.full(plane.buffer_size // kind().itemsize, value, kind).tobytes())
            frame.pts, frame.time_base = index, Fraction(1, 8)
            frame.colorspace, frame.color_primaries, frame.color_trc = matrix, primaries, transfer
            if full_range is not None:
                frame.color_range = 2 if full_range else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path

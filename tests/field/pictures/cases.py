"""Kinds of pictures, what happens to each, and the right pixels, as data: tests and documents are made from it."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageCms

from modelscope_i2v.media import load_image
from tests.field.pictures import files
from tests.field.pictures.files import encoded, gama, image, photo, png


@dataclass(frozen=True)
class Case:
    """One kind of picture.

    Attributes:
        title: what the file is.
        how: what happens to it, in a clause.
        make: makes what ``load_image`` takes.
        right: the right pixels, RGB [H, W, 3] or anything that broadcasts to it.
        within: how many levels pixels may be off.
        background: the argument of that name.
        warning: words of the warning that comes with it.
    """

    title: str
    how: str
    make: Callable[[], Any]
    right: Callable[[], Any]
    within: int = 0
    background: Any = 'white'
    warning: str = ''


RAMP16 = np.arange(65536, dtype=np.uint16).reshape(256, 256)


def grey(levels):
    return np.repeat(np.asarray(levels, float).round()[..., None], 3, axis=2)


def stretched(values, low, high):
    return grey(np.clip((np.asarray(values, float) - low) / (high - low), 0, 1) * 255)


def managed(source, profile, mode='RGB'):
    """What a colour-managed viewer shows: Little CMS, through Pillow's own one-step function."""
    return np.asarray(
        ImageCms.profileToProfile(
            source, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile('sRGB'), outputMode=mode
        )
    )


def srgb_of_light(light):
    """Levels 0..255 of light 0..1, from IEC 61966-2-1."""
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def over(rgb, alpha, background=(255, 255, 255)):
    share = np.asarray(alpha, float)[..., None] / 255
    return (np.asarray(rgb) * share + np.array(background) * (1 - share)).round()


def alpha():
    return np.tile(np.arange(0, 256, 4, np.uint8), (48, 1))


def rgba():
    return Image.fromarray(np.dstack([photo(), alpha()]))


def palette_picture():
    return image().quantize(16, dither=Image.Dither.NONE)


def with_transparent_index(index):
    """A palette picture, and where it is transparent."""
    picture = palette_picture()
    return picture, np.where(np.asarray(picture) == index, 0, 255)


# 16-bit and 32-bit values.


def depth16(colour, channels):
    """A 16-bit PNG with noise, and the 8-bit PNG of the same picture."""
    values = np.random.default_rng(0).integers(0, 65536, (16, 16, channels))
    return png(values, 16, colour), png((values / 257).round(), 8, colour)


def twin(colour, channels, background='white'):
    return np.asarray(load_image(depth16(colour, channels)[1], background))


INTEGERS = np.array([[0, 1, 100], [254, 255, 7]])
FLOATS = np.array([[0, 0.25, 0.5], [0.75, 1, 0.1]], np.float32)
WILD = np.array([[np.nan, np.inf, -np.inf], [-3.0, 1.0, 5.0]], np.float32)


def tiff_of(values, dtype, sample_format, photometric=1):
    data = np.asarray(values).astype(np.dtype(dtype).newbyteorder('<'))
    height, width = data.shape
    return files.tiff(
        data.tobytes(), width, height, 8 * data.itemsize, sample_format=sample_format, photometric=photometric
    )


def tiff12():
    """Two values of 12 bits in three bytes, most significant first."""
    return files.tiff(bytes((0x00, 0x08, 0x00, 0xFF, 0xF4, 0x00)), 4, 1, 12)


def pgm(largest, values):
    data = np.asarray(values, '>u2')
    return b'P5 %d %d %d\n' % (data.shape[1], data.shape[0], largest) + data.tobytes()


DEPTH = [
    Case(
        '16-bit grey PNG', 'scaled to 8 bits: value / 257, rounded',
        lambda: encoded(Image.fromarray(np.full((8, 8), 32896, np.uint16))), lambda: 128,
    ),
    Case(
        '16-bit grey PNG with every value', 'keeps 256 levels',
        lambda: encoded(Image.fromarray(RAMP16)), lambda: grey(RAMP16 / 257),
    ),
    Case(
        '16-bit RGB PNG', 'the upper 8 bits', lambda: depth16(2, 3)[0], lambda: twin(2, 3), 1,
    ),
    Case(
        '16-bit grey PNG with alpha', 'the upper 8 bits, shown over `background`',
        lambda: depth16(4, 2)[0], lambda: twin(4, 2), 2,  # colour and alpha may be off by one each
    ),
    Case(
        '16-bit RGB PNG with alpha', 'the upper 8 bits, shown over `background`',
        lambda: depth16(6, 4)[0], lambda: twin(6, 4), 2,
    ),
    Case(
        '16-bit RGB PNG with alpha and no background', 'the upper 8 bits; alpha is dropped',
        lambda: depth16(6, 4)[0], lambda: twin(6, 4, None), 1, None,
    ),
    Case(
        '16-bit grey TIFF', 'scaled to 8 bits: value / 257, rounded',
        lambda: tiff_of(RAMP16, np.uint16, 1), lambda: grey(RAMP16 / 257),
    ),
    Case(
        '16-bit grey TIFF where 0 is white', 'inverted, and scaled to 8 bits',
        lambda: tiff_of(RAMP16, np.uint16, 1, photometric=0), lambda: grey(255 - RAMP16 / 257),
    ),
    Case('12-bit grey TIFF', 'scaled to 8 bits: 4095 is white', tiff12, lambda: grey([[0, 128, 255, 64]])),
    Case(
        '16-bit PGM', 'scaled to 8 bits: its largest value is white',
        lambda: pgm(65535, RAMP16), lambda: grey(RAMP16 / 257),
    ),
    Case('10-bit PGM', 'scaled to 8 bits: its largest value is white', lambda: pgm(1023, [[0, 512, 1023]]),
         lambda: grey([[0, 127.6, 255]])),
    Case(
        '16-bit TIFF with a sign, all values in 0..255', 'values are levels',
        lambda: tiff_of(INTEGERS, np.int16, 2), lambda: grey(INTEGERS),
    ),
    Case(
        '32-bit integer TIFF, all values in 0..255', 'values are levels',
        lambda: tiff_of(INTEGERS, np.int32, 2), lambda: grey(INTEGERS),
    ),
    Case(
        '32-bit integer TIFF, all values in 0..65535', 'scaled to 8 bits: value / 257, rounded',
        lambda: tiff_of(INTEGERS * 257, np.int32, 2), lambda: grey(INTEGERS),
    ),
    Case(
        '32-bit integer TIFF with larger or negative values', 'its smallest value is black, its largest white',
        lambda: tiff_of(INTEGERS * 1000 - 5000, np.int32, 2), lambda: grey(INTEGERS),
    ),
    Case(
        '32-bit integer TIFF without a sign', 'its smallest value is black, its largest white',
        lambda: tiff_of(INTEGERS * 16_000_000, np.uint32, 1), lambda: grey(INTEGERS),
    ),
    Case(
        'floating point TIFF, all values in 0..1', '0 is black, 1 is white',
        lambda: tiff_of(FLOATS, np.float32, 3), lambda: stretched(FLOATS, 0, 1),
    ),
    Case(
        'floating point TIFF with values beyond 0..1', 'its smallest value is black, its largest white',
        lambda: tiff_of(FLOATS * 900 - 100, np.float32, 3), lambda: stretched(FLOATS, 0, 1),
    ),
    Case(
        'floating point TIFF with NaN and infinite values',
        'scaled by the finite values; NaN is black, infinite values are black or white',
        lambda: tiff_of(WILD, np.float32, 3), lambda: grey([[0, 255, 0], [0, 127.5, 255]]),
    ),
    Case(
        'floating point TIFF of a single value beyond 0..1', 'mid grey',
        lambda: tiff_of(FLOATS * 0 + 7, np.float32, 3), lambda: 128,
    ),
    Case(
        'Pillow image of mode I;16', 'scaled to 8 bits: value / 257, rounded',
        lambda: Image.fromarray(RAMP16), lambda: grey(RAMP16 / 257),
    ),
    Case('Pillow image of mode F', '0 is black, 1 is white', lambda: Image.fromarray(FLOATS),
         lambda: stretched(FLOATS, 0, 1)),
    Case(
        'uint16 array, grey', 'scaled to 8 bits: value / 257, rounded', lambda: RAMP16, lambda: grey(RAMP16 / 257),
    ),
    Case(
        'uint16 array, BGR', 'scaled to 8 bits: value / 257, rounded',
        lambda: photo()[..., ::-1].astype(np.uint16) * 257, photo,
    ),
    Case('uint8 tensor', 'values are levels', lambda: torch.from_numpy(photo()).permute(2, 0, 1), photo),
    Case(
        'uint16 tensor', 'scaled to 8 bits: value / 257, rounded',
        lambda: torch.from_numpy(photo().astype(np.uint16) * 257).permute(2, 0, 1), photo,
    ),
]  # fmt: skip


# Profiles and the colours of PNG.


def seen_as(colour):
    """A picture of Display P3 that shows ``colour``."""
    p3 = ImageCms.ImageCmsProfile(io.BytesIO(files.DISPLAY_P3))
    seen = Image.new('RGB', (8, 8), colour)
    shown = ImageCms.profileToProfile(seen, ImageCms.createProfile('sRGB'), p3)
    return encoded(shown, icc_profile=files.DISPLAY_P3)


def cmyk():
    y, x = np.mgrid[0:48, 0:64]
    return Image.fromarray(np.stack([x * 4, y * 5, 255 - x * 2 - y, x + y], axis=-1).astype(np.uint8), 'CMYK')


def grey_image():
    return image().convert('L')


def muted():
    return photo() // 4 + 96


def light_grey(gamma):
    """Right values for every 8-bit level of a grey that is encoded with a power."""
    return grey(srgb_of_light((np.asarray(grey_image()) / 255) ** gamma))


def p3_palette():
    picture = palette_picture()
    return encoded(picture, icc_profile=files.DISPLAY_P3), managed(picture.convert('RGB'), files.DISPLAY_P3)


def png_of(*chunks):
    return png(photo(), 8, 2, *chunks)


BRIGHT = np.array([[[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128], [255, 200, 150]]])


def hdr(colours):
    """Colours of sRGB as SMPTE ST 2084 has them, with white at 203 cd/m2, in BT.2020."""
    levels = np.asarray(colours) / 255
    light = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    # ITU-R BT.2087, annex 2: from BT.709 to BT.2020.
    matrix = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    power = (light @ matrix.T * 203 / 10000) ** (2610 / 16384)
    share = (3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)
    return (255 * share ** (2523 / 32)).round()


P3_POINTS = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
SRGB_POINTS = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
#: Adobe RGB with all lights moved to the white of D50, as ICC has them, which is another white than sRGB's.
WIDE_D50_POINTS = (0.34570, 0.35854, 0.64843, 0.33086, 0.23016, 0.70150, 0.15590, 0.06605)
IGNORED = 'is ignored'

COLOUR = [
    Case('PNG with a profile of Display P3, red', 'converted to sRGB', lambda: seen_as((234, 51, 35)),
         lambda: (234, 51, 35), 4),
    Case('PNG with a profile of Display P3, green', 'converted to sRGB', lambda: seen_as((117, 251, 76)),
         lambda: (117, 251, 76), 4),
    Case('PNG with a profile of Adobe RGB', 'converted to sRGB',
         lambda: encoded(image(), icc_profile=files.ADOBE_RGB), lambda: managed(image(), files.ADOBE_RGB), 1),
    Case('RGB picture with alpha and a profile', 'converted to sRGB, shown over `background`',
         lambda: encoded(rgba(), icc_profile=files.DISPLAY_P3),
         lambda: over(managed(image(), files.DISPLAY_P3), alpha()), 1),
    Case('palette picture with a profile', 'converted to sRGB',
         lambda: p3_palette()[0], lambda: p3_palette()[1], 1),
    Case('CMYK picture with a profile', 'converted to sRGB',
         lambda: encoded(cmyk(), 'TIFF', icc_profile=files.cmyk_profile()),
         lambda: managed(cmyk(), files.cmyk_profile()), 1),
    Case('CMYK picture without a profile', "Pillow's plain conversion", lambda: encoded(cmyk(), 'TIFF'),
         lambda: np.asarray(cmyk().convert('RGB'))),
    Case('picture of CIE Lab', 'converted to sRGB',
         lambda: encoded(Image.fromarray(muted()).convert('LAB'), 'TIFF'), muted, 6),
    Case('grey picture with a profile of gamma 1.8', 'converted to sRGB',
         lambda: encoded(grey_image(), icc_profile=files.grey_profile(files.power_curve(1.8))),
         lambda: light_grey(1.8), 1),
    Case('grey picture with a profile of linear light', 'converted to sRGB',
         lambda: encoded(grey_image(), icc_profile=files.grey_profile(files.power_curve(1))),
         lambda: light_grey(1), 1),
    Case('16-bit grey picture with a profile of linear light', 'converted to sRGB before it is scaled to 8 bits',
         lambda: encoded(Image.fromarray(RAMP16), icc_profile=files.grey_profile(files.power_curve(1))),
         lambda: grey(srgb_of_light(RAMP16 / 65535)), 1),
    Case('grey picture with alpha and a profile', 'converted to sRGB, shown over `background`',
         lambda: encoded(Image.merge('LA', (grey_image(), Image.fromarray(alpha()))),
                         icc_profile=files.grey_profile(files.power_curve(1.8))),
         lambda: over(light_grey(1.8), alpha()), 1),
    Case('grey picture with a profile for RGB', 'converted to sRGB as R = G = B',
         lambda: encoded(grey_image(), icc_profile=files.LINEAR_RGB), lambda: light_grey(1), 1),
    Case('picture with a profile that is sRGB', 'left as it is, bit for bit',
         lambda: encoded(image(), icc_profile=files.SRGB), photo),
    Case("picture with Little CMS's own profile of sRGB", 'left as it is, bit for bit',
         lambda: encoded(image(), icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()),
         photo),
    Case('grey picture with a profile of the curve of sRGB', 'left as it is, bit for bit',
         lambda: encoded(grey_image(), icc_profile=files.grey_profile(files.SRGB_CURVE)),
         lambda: np.asarray(grey_image())[..., None]),
    Case('picture with a broken profile', 'the profile is ignored, with a warning',
         lambda: encoded(image(), icc_profile=files.DISPLAY_P3[:200]), photo, warning=IGNORED),
    Case('RGB picture with a profile for grey', 'the profile is ignored, with a warning',
         lambda: encoded(image(), icc_profile=files.grey_profile(files.power_curve(1.8))), photo, warning=IGNORED),
    Case('PNG with gAMA 1.0', 'converted to sRGB', lambda: png_of(gama(1.0)),
         lambda: srgb_of_light(photo() / 255).round(), 1),
    Case('16-bit grey PNG with gAMA 1.0', 'converted to sRGB before it is scaled to 8 bits',
         lambda: png(RAMP16[..., None], 16, 0, gama(1.0)), lambda: grey(srgb_of_light(RAMP16 / 65535))),
    Case('PNG with gAMA 1/2.2', 'left as it is, bit for bit', lambda: png_of(gama(1 / 2.2)), photo),
    Case('PNG with gAMA and cHRM of sRGB', 'left as it is, bit for bit',
         lambda: png_of(gama(0.45455), files.chrm(*SRGB_POINTS)), photo),
    Case('PNG with cHRM of Display P3', 'converted to sRGB', lambda: png_of(files.chrm(*P3_POINTS)),
         lambda: managed(image(), files.DISPLAY_P3), 1),
    Case('PNG with gAMA and cHRM of Adobe RGB at another white', 'converted to sRGB, white stays white',
         lambda: png_of(gama(1 / 2.19921875), files.chrm(*WIDE_D50_POINTS)),
         lambda: managed(image(), files.ADOBE_RGB), 1),
    Case('PNG with sRGB beside another gAMA', 'left as it is, bit for bit: sRGB wins',
         lambda: png_of((b'sRGB', b'\0'), gama(1.0)), photo),
    Case('PNG with a profile beside gAMA', 'converted to sRGB: the profile wins',
         lambda: png_of(files.iccp(files.DISPLAY_P3), gama(1.0)), lambda: managed(image(), files.DISPLAY_P3), 1),
    Case('PNG with cICP of Display P3', 'converted to sRGB', lambda: png_of(files.cicp(12, 13)),
         lambda: managed(image(), files.DISPLAY_P3), 1),
    Case('PNG with cICP of BT.2020 and the curve of sRGB', 'converted to sRGB', lambda: png_of(files.cicp(9, 13)),
         lambda: managed(image(), files.BT_2020), 1),
    Case('PNG with cICP of sRGB beside a profile', 'left as it is, bit for bit: cICP wins',
         lambda: png_of(files.cicp(1, 13), files.iccp(files.DISPLAY_P3)), photo),
    Case('PNG with cICP of HDR (PQ, BT.2020)', 'converted to sRGB, with white at 203 cd/m2; a line says so',
         lambda: png(hdr(BRIGHT), 8, 2, files.cicp(9, 16)), lambda: BRIGHT, 12, warning='is HDR'),
    Case('PNG with cICP of a logarithmic curve', 'taken as sRGB, with a warning',
         lambda: png_of(files.cicp(1, 9)), photo, warning='cannot be converted'),
    Case('PNG with a broken cHRM', 'the chunk is ignored, with a warning',
         lambda: png_of(files.chrm(*[0.3] * 8)), photo, warning=IGNORED),
]  # fmt: skip


# Transparency.


def palette_bytes():
    """A palette picture with an alpha for each colour."""
    picture = palette_picture()
    alphas = bytes(range(0, 256, 16))
    return picture, alphas, np.frombuffer(alphas, np.uint8)[np.asarray(picture)]


def palette_with_alpha():
    picture = Image.merge('PA', (palette_picture(), Image.fromarray(alpha())))
    picture.putpalette(palette_picture().getpalette())
    return picture


def indexed():
    picture, opaque = with_transparent_index(3)
    return encoded(picture, transparency=3), over(np.asarray(picture.convert('RGB')), opaque)


def gif():
    picture, opaque = with_transparent_index(3)
    return encoded(picture, 'GIF', transparency=3), over(np.asarray(picture.convert('RGB')), opaque)


def keyed(values, bits, colour, key):
    """A PNG one of whose colours is transparent."""
    return png(values, bits, colour, (b'tRNS', struct.pack(f'>{len(key)}H', *key)))


STEPS = np.array([[0, 1], [2, 3]])
PINK = np.array([[[255, 0, 128], [10, 20, 30]]])
HIDDEN = 'shown over `background`'

ALPHA = [
    Case('RGB picture with alpha', HIDDEN, lambda: encoded(rgba()), lambda: over(photo(), alpha())),
    Case('RGB picture with alpha over another colour', HIDDEN, lambda: encoded(rgba()),
         lambda: over(photo(), alpha(), (18, 52, 86)), background='#123456'),
    Case('RGB picture with alpha and no background', 'alpha is dropped; hidden colours appear',
         lambda: encoded(rgba()), photo, background=None),
    Case('grey picture with alpha', HIDDEN,
         lambda: encoded(Image.merge('LA', (grey_image(), Image.fromarray(alpha())))),
         lambda: over(grey(np.asarray(grey_image())), alpha())),
    Case('palette picture with an alpha for each colour', HIDDEN,
         lambda: encoded(palette_bytes()[0], transparency=palette_bytes()[1]),
         lambda: over(np.asarray(palette_bytes()[0].convert('RGB')), palette_bytes()[2])),
    Case('palette picture with one transparent colour', HIDDEN, lambda: indexed()[0], lambda: indexed()[1]),
    Case('GIF with a transparent colour', HIDDEN, lambda: gif()[0], lambda: gif()[1]),
    Case('WebP with alpha', HIDDEN, lambda: encoded(rgba(), 'WEBP', lossless=True, exact=True),
         lambda: over(photo(), alpha())),
    Case('Pillow image of mode PA', HIDDEN, palette_with_alpha,
         lambda: over(np.asarray(palette_picture().convert('RGB')), alpha())),
    Case('Pillow image with alpha already multiplied', HIDDEN, lambda: rgba().convert('RGBa'),
         lambda: over(photo(), alpha()), 1),
    Case('RGB PNG with a transparent colour', HIDDEN, lambda: keyed(PINK, 8, 2, (255, 0, 128)),
         lambda: [[[255, 255, 255], [10, 20, 30]]]),
    Case('16-bit RGB PNG with a transparent colour', HIDDEN,
         lambda: keyed(PINK * 257, 16, 2, (65535, 0, 128 * 257)), lambda: [[[255, 255, 255], [10, 20, 30]]]),
    Case('16-bit RGB PNG with a dark transparent colour', HIDDEN,
         lambda: keyed(PINK * 0 + 5, 16, 2, (5, 5, 5)), lambda: 255),
    Case('16-bit grey PNG with a transparent value', HIDDEN, lambda: keyed(STEPS[..., None] * 9000, 16, 0, (9000,)),
         lambda: grey([[0, 255], [18000 / 257, 27000 / 257]])),
    Case('8-bit grey PNG with a transparent value', HIDDEN, lambda: keyed(STEPS[..., None] * 50, 8, 0, (50,)),
         lambda: grey([[0, 255], [100, 150]])),
    Case('4-bit grey PNG with a transparent value', HIDDEN, lambda: keyed(STEPS[..., None], 4, 0, (2,)),
         lambda: grey([[0, 17], [255, 51]])),
    Case('2-bit grey PNG with a transparent value', HIDDEN, lambda: keyed(STEPS[..., None], 2, 0, (1,)),
         lambda: grey([[0, 255], [170, 255]])),
    Case('1-bit PNG with a transparent value', HIDDEN, lambda: keyed(STEPS[..., None] % 2, 1, 0, (0,)), lambda: 255),
    Case('uint8 array, BGRA', HIDDEN, lambda: np.asarray(rgba())[..., [2, 1, 0, 3]],
         lambda: over(photo(), alpha())),
    Case('RGBA tensor', HIDDEN,
         lambda: torch.from_numpy(np.asarray(rgba()).copy()).permute(2, 0, 1).float() / 255,
         lambda: over(photo(), alpha())),
]  # fmt: skip


# Formats that take a plug-in.


def heic(**options):
    import pillow_heif

    heif = pillow_heif.from_pillow(image())
    buffer = io.BytesIO()
    heif.save(buffer, quality=100, chroma=444, **options)
    return buffer.getvalue()


def jpeg_xl(**options):
    import pillow_jxl  # noqa: F401

    return encoded(image(), 'JXL', lossless=True, **options)


FORMATS = [
    Case('HEIC', 'read, with the package pillow-heif', heic, photo, 6),
    Case('HEIC with a profile of Display P3', 'converted to sRGB, with the package pillow-heif',
         lambda: heic(icc_profile=files.DISPLAY_P3), lambda: managed(image(), files.DISPLAY_P3), 12),
    Case('HEIC with code points of Display P3', 'converted to sRGB, with the package pillow-heif',
         lambda: heic(color_primaries=12, transfer_characteristic=13), lambda: managed(image(), files.DISPLAY_P3), 12),
    Case('AVIF', 'read, with Pillow 11.3 or newer',
         lambda: encoded(image(), 'AVIF', quality=100, subsampling='4:4:4'), photo, 6),
    Case('JPEG XL', 'read, with the package pillow-jxl-plugin', jpeg_xl, photo),
    Case('WebP', 'read', lambda: encoded(image(), 'WEBP', lossless=True), photo),
    Case('animated picture (GIF, APNG, WebP)', 'the first frame', lambda: encoded(
        image(), save_all=True, append_images=[Image.new('RGB', (64, 48))]), photo),
]  # fmt: skip

CASES = [*DEPTH, *COLOUR, *ALPHA, *FORMATS]

#: What stands for all files that end in the same way, where a list would be long.
SUMMARIES = {
    'scaled to 8 bits: value / 257, rounded': '16-bit grey PNG or TIFF; 32-bit integer TIFF, all values in 0..65535; '
    'uint16 array or tensor',
    'converted to sRGB': 'picture with a colour profile (Display P3, Adobe RGB, grey, CMYK and any other), in any '
    'mode; CIE Lab; PNG with gAMA, cHRM or cICP',
    'left as it is, bit for bit': 'picture of 8 bits without a profile, or with one that is sRGB; PNG with gAMA 1/2.2 '
    'or with cHRM of sRGB',
    HIDDEN: 'transparent picture: with alpha, with a palette, with one transparent colour, of any depth; GIF; WebP; '
    'BGRA array; RGBA tensor',
}

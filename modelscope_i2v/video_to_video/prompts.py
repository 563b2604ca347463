"""The default prompts, which go with the user's text."""

from __future__ import annotations

#: The suffix that the checkpoint was used with; it follows the user's text.
POSITIVE_PROMPT = (
    ', cinematic, High Contrast, highly detailed, unreal engine, taken using a Canon EOS R camera, hyper detailed '
    'photo - realistic maximum detail, 32k, Color Grading, ultra HD, extreme meticulous detailing, skin pore '
    'detailing, hyper sharpness, perfect without deformations, Unreal Engine 5, 4k render'
)
NEGATIVE_PROMPT = (
    'worst quality, normal quality, low quality, low res, blurry, text, watermark, logo, banner, extra digits, '
    'cropped, jpeg artifacts, signature, username, error, sketch ,duplicate, ugly, monochrome, horror, geometry, '
    'mutation, disgusting'
)

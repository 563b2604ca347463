"""``evaluate``: measure the quality of a video."""

from __future__ import annotations

import argparse
import dataclasses
import math
from typing import TYPE_CHECKING, Any

from modelscope_i2v.cli.options import add_device_option, add_json_option, add_offline_option
from modelscope_i2v.cli.parser import add_verb
from modelscope_i2v.cli.terminal import complain, say, say_json
from modelscope_i2v.errors import InputError

if TYPE_CHECKING:
    from modelscope_i2v.metrics import Evaluation, Similarity


def register(subparsers: Any) -> None:
    """Add the verb to a parser."""
    parser = add_verb(
        subparsers,
        'evaluate',
        usage='VIDEO [options]',
        summary='measure a video',
        description='Measure a video: similarity to its source, consistency, motion, flicker and sharpness.',
        examples=['video.mp4 --image photo.jpg', 'sharper.mp4 --source video.mp4'],
    )
    parser.add_argument('video', metavar='VIDEO', help='path or URL of the video')
    parser.add_argument('--image', metavar='IMAGE', help='the picture that the video was made from (default: none)')
    parser.add_argument(
        '--source', metavar='VIDEO', help="the video that it was made from; needs the extra 'train' (default: none)"
    )
    add_json_option(parser)
    group = parser.add_argument_group('encoder')
    group.add_argument(
        '--model', help='stage-1 model whose CLIP tower encodes, a folder or hub id (default: the embedded model)'
    )
    group.add_argument(
        '--model-revision', help="revision on the hub, for example v1.1.0 (default: the hub's default branch)"
    )
    add_offline_option(group)
    add_device_option(group)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and report."""
    from modelscope_i2v.media.images.load import load_image
    from modelscope_i2v.media.reading.open import open_video
    from modelscope_i2v.metrics import evaluate, load_image_encoder
    from modelscope_i2v.metrics.fidelity import check_torchmetrics

    video = open_video(arguments.video)
    image = None if arguments.image is None else load_image(arguments.image)
    source = None if arguments.source is None else open_video(arguments.source)
    if source is not None:
        check_torchmetrics()
    if arguments.model is None and arguments.model_revision is not None:
        raise InputError("'--model-revision' needs '--model': the embedded model has no revisions.")
    encoder = load_image_encoder(
        arguments.model, arguments.model_revision, offline=arguments.offline, device=arguments.device
    )
    evaluation = evaluate(video, encoder, image=image, source=source)
    name = arguments.model or 'embedded'
    if arguments.json:
        about = {'video': arguments.video, 'encoder': name, 'frozen': _frozen(evaluation)}
        say_json(_finite({**about, **dataclasses.asdict(evaluation)}))
    else:
        _print(arguments.video, evaluation)
        knows = 'sees only colours and their places; --model damo/Image-to-Video recognises content'
        say(f'{"encoder":24}{name:38}{"" if arguments.model else knows}'.rstrip())
    _warn(evaluation)
    return 0


def _print(name: str, found: Evaluation) -> None:
    say(f'{name}: {found.width}x{found.height}, {found.frames} frames')
    for label, value, meaning in _rows(found):
        say(f'{label:24}{value:38}{meaning}'.rstrip())


def _rows(found: Evaluation) -> list[tuple[str, str, str]]:
    rows = []
    if found.image_video_similarity is not None:
        value = _similarity(found.image_video_similarity)
        rows.append(('image-video similarity', value, '-1..1, 1: the encoder finds every frame equal to the picture'))
    if found.comparison is not None:
        value = _similarity(found.comparison.similarity)
        rows += [
            ('video-video similarity', value, '-1..1, 1: the encoder finds every frame equal to the source'),
            ('PSNR', f'{found.comparison.psnr:.2f} dB', '0 and up, higher: closer to the source'),
            ('SSIM', f'{found.comparison.ssim:.4f}', '-1..1, 1: identical to the source'),
        ]
    rows.append(('temporal consistency', _number(found.temporal_consistency), '-1..1, 1: steady, or frozen'))
    if found.motion is not None:
        rows += [
            ('motion', f'{found.motion.flow:.3f} pixels per frame', '0: frozen'),
            ('frame difference', _number(found.motion.difference), '0..1, 0: frozen'),
            ('motion coherence', _number(found.motion.coherence), '0..1, share of change due to motion; 0: frozen'),
        ]
    rows.append(('flicker', _number(found.flicker), '0..2, 0: static or changing steadily'))
    rows.append(('sharpness', _number(found.sharpness), '0..16, higher: more fine detail'))
    return rows


def _similarity(found: Similarity) -> str:
    return f'mean {found.mean:.4f}  min {found.min:.4f}  first {found.first:.4f}'


def _number(value: float | None) -> str:
    return 'too few frames' if value is None else f'{value:.5f}'


def _frozen(found: Evaluation) -> bool:
    return found.motion is None or found.motion.frozen


def _warn(found: Evaluation) -> None:
    """Warn about anything that makes the numbers misleading."""
    if _frozen(found):
        complain('warning: nothing moves in this clip, so its similarity, consistency and flicker prove nothing.')
    if found.comparison is not None and not found.comparison.same_length:
        complain(f'warning: --source differs in length; only the first {found.comparison.frames} frames were compared.')


def _finite(value: Any) -> Any:
    """``value`` with null for infinity (the PSNR of equal videos), which JSON cannot represent."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value

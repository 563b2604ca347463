"""What image_strength does: likeness to the picture against motion. Writes the tables of docs/likeness.md.

    python -m benchmarks.image_strength

About eight minutes on one core. It measures the small model of the first generation on pictures that it has never
seen, and compares three ways in which the latents of a picture can take part in the initial noise:

* SDEdit (arXiv 2108.01073): sampling starts from the noised picture, at a lower noise level. This is image_strength.
* FrameInit (ConsistI2V, arXiv 2402.04324, section 3.3): sampling starts from pure noise, whose low frequencies are
  those of the noised picture.
* SDEdit of low frequencies only: sampling starts at a lower noise level, from the noised and blurred picture.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import modelscope_i2v
from benchmarks.first_generation import FIRST_GENERATION
from benchmarks.quality.held_out import as_uint8, world_clips
from demo_training.world import FIRST_HELD_OUT_SEED
from modelscope_i2v.diffusion import add_noise
from modelscope_i2v.metrics import image_video_similarity, load_image_encoder, motion

ROOT = Path(__file__).parents[1]
PAGE = ROOT / 'docs' / 'likeness.md'
CAT = ROOT / 'examples' / 'cat.jpg'
KINDS = ('sprite', 'landscape', 'layout')
EACH = 3
CALL = {'solver': 'dpmpp_2m', 'steps': 12, 'output_type': 'latent', 'show_progress': False}
STRENGTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
#: Timestep to which FrameInit noises the picture, and its cut-off frequency (Nyquist's is 1).
FRAME_INITS = ((850, 0.25), (700, 0.5), (400, 0.5))
#: ``image_strength`` and the cut-off frequency of the blur.
BLURRED = ((0.2, 0.5), (0.4, 0.5))
COLUMNS = ('PSNR, first frame (dB)', 'PSNR, all frames (dB)', 'CLIP similarity', 'flow (pixels)', 'coherence')

#: ``picture -> latents of its video``.
Method = Callable[[Image.Image, int], torch.Tensor]


def low_pass(values: torch.Tensor, cutoff: float) -> torch.Tensor:
    """The low frequencies of ``values`` ``[..., F, H, W]`` in time and space: those of a Gaussian filter.

    Frequencies count from 0 to 1, Nyquist's, in each direction; ``cutoff`` is the filter's standard deviation.
    """
    axes = [2 * torch.fft.fftfreq(size) for size in values.shape[-3:]]
    squared = sum(
        axis.square().view([-1 if place == own else 1 for place in range(3)]) for own, axis in enumerate(axes)
    )
    gain = torch.exp(-torch.as_tensor(squared) / (2 * cutoff**2))
    return torch.fft.ifftn(torch.fft.fftn(values, dim=(-3, -2, -1)) * gain, dim=(-3, -2, -1)).real


def frame_init(picture: torch.Tensor, noise: torch.Tensor, sigma: float, cutoff: float) -> torch.Tensor:
    """ConsistI2V, equations 6 to 8: low frequencies of the noised ``picture``, high ones of the ``noise``.

    Args:
        picture: latents, repeated over the frames; noised with the same ``noise`` up to ``sigma``.
        noise: ``[B, C, F, h, w]``.
    """
    return noise + low_pass(add_noise(picture, noise, sigma) - noise, cutoff)


@dataclass(frozen=True)
class Bench:
    """A pipeline, and the ways in which it makes a video of a picture."""

    pipeline: Any

    def sdedit(self, strength: float) -> Method:
        """What ``image_strength`` does."""
        return lambda picture, seed: self._video(picture, seed, {'image_strength': strength})

    def frame_init(self, timestep: int, cutoff: float) -> Method:
        """All steps, from noise with the picture's low frequencies."""

        def run(picture: Image.Image, seed: int) -> torch.Tensor:
            arguments, inputs = self._prepared(picture, seed, {})
            model = self.pipeline.model
            latents = model.encode_picture(inputs['frame']).expand(-1, -1, arguments.num_frames, -1, -1)
            noise = model.initial_latents(tuple(latents.shape), arguments, arguments.generator())
            sigma = float(model.schedule.sigmas[timestep])
            return self._video(picture, seed, {'latents': frame_init(latents, noise, sigma, cutoff)})

        return run

    def blurred(self, strength: float, cutoff: float) -> Method:
        """As :meth:`sdedit`, but of the picture's low frequencies. CLIP sees it sharp."""
        factor = self.pipeline.model.configuration.autoencoder.downsampling_factor

        def run(picture: Image.Image, seed: int) -> torch.Tensor:
            arguments, inputs = self._prepared(picture, seed, {'image_strength': strength})
            frame = low_pass(inputs['frame'].unsqueeze(2), cutoff / factor).squeeze(2)
            latents: torch.Tensor = self.pipeline.model(inputs['pixel_values'], arguments, frame=frame)['latents']
            return latents

        return run

    def measure(self, method: Method, pictures: Mapping[str, Image.Image], encoder: Any) -> list[float]:
        """The mean of each column over ``pictures``."""
        rows = []
        for index, (name, picture) in enumerate(pictures.items()):
            print(f'  {name}', file=sys.stderr, flush=True)
            with torch.no_grad():
                video = torch.cat(list(self.pipeline.model.decode(method(picture, index)))).add(1).div(2).clamp(0, 1)
            target = self.pipeline.preprocessor(picture)['frame'].add(1).div(2)
            moved = motion(video)
            similarity = image_video_similarity(target, video, encoder).mean
            rows.append([psnr(video[:1], target), psnr(video, target), similarity, moved.flow, moved.coherence])
        return torch.tensor(rows).mean(dim=0).tolist()

    def _prepared(self, picture: Image.Image, seed: int, call: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        arguments = self.pipeline.resolve_arguments({**CALL, 'seed': seed, **call})
        return arguments, self.pipeline.preprocess(picture, arguments)

    def _video(self, picture: Image.Image, seed: int, call: Mapping[str, Any]) -> torch.Tensor:
        latents: torch.Tensor = self.pipeline(picture, **{**CALL, 'seed': seed, **call})['output_video']
        return latents


def psnr(video: torch.Tensor, target: torch.Tensor) -> float:
    """Of ``[F, 3, H, W]`` in 0..1 against the picture ``[1, 3, H, W]``, in dB."""
    return float(-10 * torch.log10((video - target).square().mean()))


def held_out_pictures() -> dict[str, Image.Image]:
    """Pictures of every kind that the small model was trained on, and a photograph; none of them was seen."""
    seeds = range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + EACH)
    clips = {kind: world_clips(kind, seeds, 1)[:, 0] for kind in KINDS}
    pictures = {
        f'{kind} {number}': Image.fromarray(as_uint8(frame))
        for kind, frames in clips.items()
        for number, frame in enumerate(frames)
    }
    with Image.open(CAT) as cat:
        return {**pictures, 'cat': cat.convert('RGB')}


def table(name: str, rows: Mapping[str, list[float]]) -> str:
    """A Markdown table."""
    lines = [f'| {name} | {" | ".join(COLUMNS)} |', '|---' * (1 + len(COLUMNS)) + '|']
    for label, values in rows.items():
        numbers = [f'{value:.1f}' for value in values[:2]] + [f'{value:.3f}' for value in values[2:3]]
        lines.append(f'| {label} | {" | ".join([*numbers, *(f"{value:.2f}" for value in values[3:])])} |')
    return '\n'.join(lines)


def with_table(text: str, name: str, content: str) -> str:
    """``text`` with a table between its markers."""
    marked = re.compile(rf'(<!-- {name} -->\n).*?(<!-- end -->)', re.DOTALL)
    return marked.sub(lambda found: f'{found[1]}\n{content}\n\n{found[2]}', text)


def main() -> None:
    """Measure, and write both tables."""
    torch.set_num_threads(1)
    bench = Bench(modelscope_i2v.load(FIRST_GENERATION, device='cpu', show_progress=False))
    pictures, encoder = held_out_pictures(), load_image_encoder(FIRST_GENERATION)

    def measured(methods: Mapping[str, Method]) -> dict[str, list[float]]:
        rows = {}
        for label, method in methods.items():
            print(label, file=sys.stderr, flush=True)
            rows[label] = bench.measure(method, pictures, encoder)
            print(' '.join(f'{value:.3f}' for value in rows[label]), file=sys.stderr, flush=True)
        return rows

    strengths = measured({f'{strength:g}': bench.sdedit(strength) for strength in STRENGTHS})
    others = measured(
        {
            **{f'FrameInit, timestep {t}, cut-off {cutoff}': bench.frame_init(t, cutoff) for t, cutoff in FRAME_INITS},
            **{
                f'SDEdit {strength}, blurred at {cutoff}': bench.blurred(strength, cutoff)
                for strength, cutoff in BLURRED
            },
        }
    )
    beside = {f'SDEdit {strength}': strengths[strength] for strength in ('0.2', '0.4')}
    text = PAGE.read_text(encoding='utf-8')
    text = with_table(text, 'strengths', table('`image_strength`', strengths))
    text = with_table(text, 'methods', table('method', {**beside, **others}))
    PAGE.write_text(text, encoding='utf-8')
    print(text)


if __name__ == '__main__':
    main()

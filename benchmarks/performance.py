"""What the options for speed cost and save, measured, as the tables of docs/performance.md.

    python -m benchmarks.performance [--write] [PART ...]

PART is ``cards``, ``cards-in-short``, ``levels``, ``fp8-levels`` or ``operations``, which are estimated, within a
minute, or ``equal``, ``fp8``, ``image-to-video``, ``video-to-video`` or ``little-noise``, which are measured, or
``passes``, ``loops`` or ``loading``, which are measured beside the original. Without any, it is all of them, which
takes about half an hour of one CPU core, 8 GiB of memory and 8 GB of disk. Times are CPU seconds of one thread, the
least of several runs in turn in ``equal`` and ``fp8``, medians in ``passes`` and ``loading``, and of single runs in the
others. Distances are between latents, relative to their own size (root mean square).
``--write`` puts the tables between their markers in docs/performance.md, that of ``cards-in-short`` in README.md.

Distances are to the converged solution: 'dpmpp_2m' with 200 steps (or as many as there are noise levels) and 'trailing'
timesteps. Guidance is on everywhere.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import modelscope_i2v
from benchmarks import beside_original, estimates, resting_weights
from benchmarks.first_generation import MODELS
from benchmarks.measures import distance, seconds_in_turn
from modelscope_i2v.networks import ImageToVideoUNet
from modelscope_i2v.networks.layers import FrameConvolution
from modelscope_i2v.runtime.device import has_native_bf16

ROOT = Path(__file__).parents[1]
#: Where the markers of tables are.
PAGES = (ROOT / 'docs' / 'performance.md', ROOT / 'README.md')
PICTURE = ROOT / 'examples' / 'cat.jpg'
CONVERGED = {'solver': 'dpmpp_2m', 'timestep_spacing': 'trailing'}
EVERYWHERE = {'guidance_min_timestep': 0, 'guidance_max_timestep': 999}

Call = Mapping[str, Any]
#: What is compared, by part; the first one is the reference's default.
CALLS: Mapping[str, tuple[Call, ...]] = {
    'image-to-video': (
        {'solver': 'ddim', 'steps': 50, 'timestep_spacing': 'leading'},
        {'speed': 'balanced'},
        {'speed': 'fast'},
        {'solver': 'ddim', 'steps': 50, 'timestep_spacing': 'trailing'},
        {'solver': 'dpmpp_2m', 'steps': 10, 'timestep_spacing': 'trailing'},
        {'solver': 'unipc', 'steps': 10, 'timestep_spacing': 'trailing'},
        {'solver': 'unipc', 'steps': 10, 'timestep_spacing': 'karras'},
        {'speed': 'balanced', 'guidance_max_timestep': 900},
        {'speed': 'balanced', 'guidance_min_timestep': 200},
        {'speed': 'balanced', 'cache_interval': 2},
        {'solver': 'ddim', 'steps': 50, 'timestep_spacing': 'trailing', 'cache_interval': 2},
        {'solver': 'ddim', 'steps': 50, 'timestep_spacing': 'trailing', 'cache_interval': 3},
    ),
    'video-to-video': (
        {'solver': 'heun', 'steps': 50},
        {'solver': 'dpmpp_2m_sde', 'steps': 30},
        {'speed': 'balanced'},
        {'speed': 'fast'},
        {'solver': 'dpmpp_2m', 'steps': 20, 'timestep_spacing': 'trailing'},
        {'solver': 'unipc', 'steps': 20, 'timestep_spacing': 'trailing'},
    ),
    'little-noise': (
        {'solver': 'heun', 'steps': 50},
        {'speed': 'balanced'},
        {'speed': 'fast'},
        {'solver': 'dpmpp_2m', 'steps': 12, 'timestep_spacing': 'trailing'},
    ),
}
#: The task of each part.
TASKS = {'image-to-video': 'image-to-video', 'video-to-video': 'video-to-video', 'little-noise': 'video-to-video'}
#: The settings of the original, where the small model has others.
ORIGINAL: Mapping[str, Call] = {
    'image-to-video': {'num_frames': 16, 'steps': 50},
    'video-to-video': {
        'num_frames': 2,
        'steps': 50,
        'noise_level': 600,
        'guidance_scale': 7.5,
        'guidance_rescale': 0.2,
        'text': 'a cat',
    },
    'little-noise': {'num_frames': 2, 'steps': 50, 'noise_level': 100, 'text': 'a cat'},
}
SEEDS = {'image-to-video': (0, 1), 'video-to-video': (0, 1, 2), 'little-noise': (0, 1)}


def clip() -> np.ndarray:
    """Two frames of a camera that moves over the example picture, uint8 ``[2, 128, 128, 3]``."""
    with Image.open(PICTURE) as picture:
        pixels = np.asarray(picture.convert('RGB').resize((160, 160)))
    return np.stack([pixels[16:144, 8 * index : 8 * index + 128] for index in range(2)])


def speeds(part: str) -> list[str]:
    """The rows of a table: arguments, passes of the network, CPU seconds and distance, means over seeds."""
    task, original = TASKS[part], ORIGINAL[part]
    pipeline = modelscope_i2v.load(MODELS[task], device='cpu', show_progress=False, output_type='latent', **original)
    source = str(PICTURE) if task == 'image-to-video' else clip()
    passes: list[int] = []
    pipeline.model.unet.register_forward_pre_hook(lambda *_: passes.append(1))

    def run(call: Call, seed: int) -> torch.Tensor:
        latents: torch.Tensor = pipeline(source, seed=seed, **{**EVERYWHERE, **call})['output_video']
        return latents

    steps = min(200, original.get('noise_level', 200))
    exact = {seed: run({**CONVERGED, 'steps': steps}, seed) for seed in SEEDS[part]}
    rows = ['| arguments | passes | CPU time | distance |', '|---|---|---|---|']
    whole = 0.0
    for call in CALLS[part]:
        distances, seconds = [], []
        for seed in SEEDS[part]:
            passes.clear()
            start = time.process_time()
            distances.append(distance(run(call, seed), exact[seed]))
            seconds.append(time.process_time() - start)
        whole = whole or sum(seconds)
        said = ', '.join(f'{name}={value!r}' for name, value in call.items())
        row = f'| `{said}` | {len(passes)} | {sum(seconds) / whole:.2f} | {statistics.mean(distances):.3f} |'
        print(row, flush=True)
        rows.append(row)
    return rows


@torch.no_grad()
def equal() -> list[str]:
    """The rows of the table of options that give the same numbers, or nearly so."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    def add(what: str, ratio: float, apart: float) -> None:
        row = f'| {what} | {ratio:.2f} | {apart:.0e} |'
        print(row, flush=True)
        rows.append(row)

    rows = ['| what | time | distance |', '|---|---|---|']
    for channels, height, width in ((320, 32, 56), (640, 16, 28), (48, 16, 16)):
        convolution = FrameConvolution(channels, channels, (3, 1, 1), padding=(1, 0, 0)).requires_grad_(False)
        x = draw(1, channels, 8, height, width)

        def three(x: torch.Tensor = x, convolution: FrameConvolution = convolution) -> torch.Tensor:
            return F.conv3d(x, convolution.weight, convolution.bias, padding=(1, 0, 0))

        def two(x: torch.Tensor = x, convolution: FrameConvolution = convolution) -> torch.Tensor:
            return convolution(x)

        best = seconds_in_turn({'three': three, 'two': two}, 7)
        what = f'convolution over frames in two dimensions instead of three, {channels} channels of {width}x{height}'
        add(what, best['two'] / best['three'], distance(two(), three()))
    unet = ImageToVideoUNet(model_channels=128, num_heads=4).eval().requires_grad_(False)
    x, embedding = draw(1, 4, 4, 32, 56), draw(1, 1, 1024)
    sides = [embedding, torch.zeros_like(embedding)]
    t, fps = torch.tensor([500]), torch.tensor([8])

    def separate() -> torch.Tensor:
        return torch.cat([unet(x, t, side, fps) for side in sides])

    def together() -> torch.Tensor:
        out: torch.Tensor = unet(torch.cat([x, x]), t.repeat(2), torch.cat(sides), fps)
        return out

    best = seconds_in_turn({'separate': separate, 'together': together}, 3)
    add('both passes of guidance in one batch', best['together'] / best['separate'], distance(together(), separate()))
    if has_native_bf16(torch.device('cpu')):
        full = separate()
        unet.bfloat16()
        half = seconds_in_turn({'half': separate}, 3)['half']
        add("`dtype='bf16'` on a CPU that computes in it", half / best['separate'], distance(separate().float(), full))
    return rows


def fp8() -> list[str]:
    """The rows of the table of weights that rest in fp8."""
    return resting_weights.rows(
        (
            ('image-to-video', 'first generation', str(PICTURE), {'speed': 'balanced', 'num_frames': 16}),
            ('video-to-video', 'video-to-video', clip(), {'speed': 'balanced', **ORIGINAL['little-noise']}),
        )
    )


def with_table(text: str, name: str, rows: list[str]) -> str:
    """``text`` with a table between its markers, if it has them."""
    marked = re.compile(rf'(<!-- {name} -->\n).*?(<!-- end -->)', re.DOTALL)
    table = '\n'.join(rows)
    return marked.sub(lambda found: f'{found[1]}\n{table}\n\n{found[2]}', text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    estimated = {
        'cards': estimates.cards,
        'cards-in-short': estimates.cards_in_short,
        'levels': estimates.levels,
        'fp8-levels': estimates.fp8_levels,
        'operations': estimates.operations,
    }
    parts = {
        **estimated,
        'equal': equal,
        'fp8': fp8,
        **{part: lambda part=part: speeds(part) for part in CALLS},
        **{part: lambda part=part: beside_original.rows(part) for part in beside_original.PARTS},
    }
    parser.add_argument('parts', nargs='*', metavar='PART', help=f'of {", ".join(parts)}; by default all')
    parser.add_argument('--write', action='store_true', help='put the tables into docs/performance.md and README.md')
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.parts) - set(parts)):
        parser.error(f'unknown parts {unknown}; choose from {", ".join(parts)}')
    torch.set_num_threads(1)
    for name in arguments.parts or parts:
        print(f'\n{name}', flush=True)
        rows = parts[name]()
        if name in estimated:
            print('\n'.join(rows), flush=True)
        for page in PAGES if arguments.write else ():
            page.write_text(with_table(page.read_text(encoding='utf-8'), name, rows), encoding='utf-8')


if __name__ == '__main__':
    main()

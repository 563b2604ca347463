"""Our stage-1 UNet against ModelScope's, run in turn in one process on the CPU: seconds and their ratio.

    python -m benchmarks.unet_vs_reference [--frames 8] [--size 16] [--rounds 5]

ModelScope's UNet needs fairscale and rotary-embedding-torch. Its attention is replaced by SDPA, so that both use SDPA.
"""

import argparse
import statistics
import time

import pytest
import torch

from modelscope_i2v.networks import ImageToVideoUNet
from modelscope_i2v.weights import build_on_meta, load_weights
from tests.golden import UNET_TINY
from tests.reference.live import build, reference_file

REFERENCE_TINY = {
    'in_dim': 4,
    'out_dim': 4,
    'context_dim': 1024,
    'num_tokens': 4,
    'dim': 64,
    'y_dim': 64,
    'input_dim': 64,
    'dim_mult': [1, 2, 4, 4],
    'num_heads': 8,
    'head_dim': 16,
    'num_res_blocks': 2,
    'attn_scales': [1.0, 0.5, 0.25],
    'use_checkpoint': False,
}


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--frames', type=int, default=8)
    parser.add_argument('--size', type=int, default=16, help='height and width of the latents, a multiple of 8')
    parser.add_argument('--rounds', type=int, default=5)
    arguments = parser.parse_args()
    with pytest.MonkeyPatch.context() as monkeypatch:
        module = reference_file(monkeypatch, 'image_to_video/modules/unet_i2v.py')
    reference = build(lambda: module.Img2VidSDUNet(**REFERENCE_TINY))
    ours = load_weights(build_on_meta(lambda: ImageToVideoUNet(**UNET_TINY)), reference.state_dict()).eval()
    x = torch.randn(1, 4, arguments.frames, arguments.size, arguments.size)
    inputs = (x, torch.tensor([500]), torch.randn(1, 1, 64), torch.tensor([8]))
    calls = {'reference': lambda: reference(*inputs[:3], fps=inputs[3]), 'ours': lambda: ours(*inputs)}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for index in range(arguments.rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if index:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f'{name:10} {median:.3f} s')
    print(f'ours / reference = {medians["ours"] / medians["reference"]:.2f}')


if __name__ == '__main__':
    main()

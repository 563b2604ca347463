"""Peak memory of activations of stage 2 for 32 and for 100 frames, and their ratio.

    python -m benchmarks.video_to_video_memory [--height 720 --width 1280]

runs the full-size UNet under temporal windows (one guided evaluation and a step of the sampler) on fake tensors: every
operator is dispatched and every allocation counted, but nothing is computed, so it needs seconds and no memory.
Weights are left out of the counts. With --embedded it runs the embedded model, for real, from frames to latents.
"""

import argparse
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.activation_memory import measured


def peak_activations(model: Any, num_frames: int, height: int, width: int, *, encode: bool = True) -> int:
    """Peak bytes while a real stage-2 ``model`` generates latents for ``num_frames`` streamed frames.

    The autoencoder encodes a fixed number of pixels at a time, so many small frames. Without ``encode`` it is skipped.
    """
    from modelscope_i2v.video_to_video.arguments import VideoToVideoArguments

    frames = (torch.zeros(3, height, width) for _ in range(num_frames))
    latents = None if encode else torch.zeros(1, 4, num_frames, height // 8, width // 8)
    arguments = VideoToVideoArguments(steps=4, solver='dpmpp_2m_sde', seed=0, latents=latents)
    return measured(lambda: model(frames, arguments), *model.state_dict().values())


def full_size_peak(num_frames: int, height: int, width: int, dtype: torch.dtype) -> int:
    """Peak bytes of one guided, windowed evaluation of the full-size UNet and the solver's step."""
    from modelscope_i2v.diffusion import classifier_free_guidance, sample_dpmpp_2m, temporal_windows
    from modelscope_i2v.networks import VideoToVideoUNet

    with FakeTensorMode():
        torch.set_default_dtype(dtype)  # fake parameters cannot be converted afterwards
        unet = VideoToVideoUNet()
        torch.set_default_dtype(torch.float32)
        x = torch.zeros(1, 4, num_frames, height // 8, width // 8)
        text, t = torch.zeros(1, 77, 1024), torch.zeros(1, dtype=torch.long)

        def network(latents: torch.Tensor, timestep: int) -> torch.Tensor:
            return unet(latents, t, text).float()

        guided = classifier_free_guidance(network, network, guidance_scale=7.5)

        def denoiser(x: torch.Tensor, sigma: float) -> torch.Tensor:
            return 0.5 * x - 0.5 * guided(0.5 * x, 599)  # the schedule's table cannot be read under fake tensors

        windowed = temporal_windows(denoiser, num_frames, 32, 8)
        return measured(lambda: sample_dpmpp_2m(windowed, x, [4.0, 1.0, 0.0]), *unet.state_dict().values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--height', type=int, default=720)
    parser.add_argument('--width', type=int, default=1280)
    parser.add_argument('--dtype', choices=('float32', 'float16', 'bfloat16'), default='float16')
    parser.add_argument('--embedded', action='store_true', help='really run the embedded model, at its own size')
    arguments = parser.parse_args()
    if arguments.embedded:
        from modelscope_i2v import embedded_model, load

        model = load(embedded_model('video-to-video'), device='cpu', show_progress=False).model
        peaks = [peak_activations(model, num_frames, 128, 128) for num_frames in (32, 100)]
    else:
        size = arguments.height, arguments.width, getattr(torch, arguments.dtype)
        peaks = [full_size_peak(num_frames, *size) for num_frames in (32, 100)]
    print(f'32 frames: {peaks[0] / 2**20:.1f} MiB, 100 frames: {peaks[1] / 2**20:.1f} MiB')
    print(f'ratio {peaks[1] / peaks[0]:.3f}')


if __name__ == '__main__':
    main()

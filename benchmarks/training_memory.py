"""Peak memory of one training step of the full-size networks: LoRA or all weights, with and without checkpointing.

    python -m benchmarks.training_memory [--stage image-to-video] [--frames 16 --height 256 --width 448]

runs forward pass, loss and backward pass on the meta device: every operator is dispatched and every allocation counted,
but nothing is computed, so it needs seconds and no memory. Attention counts as the fused kernels of GPUs need it. What
other kernels need for themselves is left out, and so are the encoders, which the latent cache leaves idle but loaded.
"""

import argparse
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.activation_memory import LiveMemory, fused_attention
from modelscope_i2v.diffusion import logsnr_cosine_interp_schedule, scaled_linear_schedule
from modelscope_i2v.networks import ImageToVideoUNet, VideoToVideoUNet
from modelscope_i2v.training.lora import LoraSettings, add_lora
from modelscope_i2v.training.objective import Objective

GIB = 2**30
STAGES = {'image-to-video': ImageToVideoUNet, 'video-to-video': VideoToVideoUNet}
#: Gradient, both moments of Adam and the moving average, all float32.
BYTES_PER_TRAINED = 4 * 4


@dataclass(frozen=True)
class Step:
    """The measurements of a training step.

    Attributes:
        unet: with its gradients.
        weights: bytes of all parameters.
        peak: bytes that the step allocated at most, gradients included.
        trained: number of parameters that are trained.
    """

    unet: nn.Module
    weights: int
    peak: int
    trained: int

    @property
    def total(self) -> int:
        """Bytes of a step, including all training state; the peak already includes the gradients."""
        return self.weights + self.peak + (BYTES_PER_TRAINED - 4) * self.trained


def full_size_unet(stage: str, lora: LoraSettings | None) -> Any:
    """The UNet on the meta device: bfloat16 under a LoRA, float32 if all weights are trained."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(default if lora is None else torch.bfloat16)
    try:
        with torch.device('meta'):
            unet = STAGES[stage]()
    finally:
        torch.set_default_dtype(default)
    return unet if lora is None else add_lora(unet, lora)


def training_step(
    stage: str, lora: LoraSettings | None, num_frames: int, height: int, width: int, *, checkpointing: bool = False
) -> Step:
    """One step on one clip of ``num_frames`` frames of ``height`` x ``width`` pixels."""
    unet = full_size_unet(stage, lora).train()
    unet.activation_checkpointing = checkpointing
    shape = (1, 4, num_frames, height // 8, width // 8)
    first = stage == 'image-to-video'
    tokens, channels = (1, 1024) if first else (77, 1024)
    batch = {
        'mean': torch.zeros(shape, dtype=torch.float16, device='meta'),
        'logvar': torch.zeros(shape, dtype=torch.float16, device='meta'),
        'condition': torch.zeros(1, tokens, channels, dtype=torch.float16, device='meta'),
        'fps': torch.zeros(1, device='meta'),
    }
    objective = Objective(
        schedule=scaled_linear_schedule() if first else logsnr_cosine_interp_schedule(),
        unconditional=torch.zeros(tokens, channels),
        scale_factor=0.18215,
        takes_fps=first,
    )
    memory = LiveMemory(*unet.state_dict().values())
    with memory, fused_attention():
        objective(unet, batch, torch.Generator().manual_seed(0))['loss'].backward()
    parameters = list(unet.parameters())
    return Step(
        unet,
        weights=sum(parameter.nbytes for parameter in parameters),
        peak=memory.peak,
        trained=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--stage', choices=tuple(STAGES), default='image-to-video')
    parser.add_argument('--frames', type=int, default=16)
    parser.add_argument('--height', type=int, default=256)
    parser.add_argument('--width', type=int, default=448)
    parser.add_argument('--rank', type=int, default=16)
    arguments = parser.parse_args()
    size = arguments.frames, arguments.height, arguments.width
    print('| trained | checkpointing | weights | step | with optimiser and average |\n|---|---|---|---|---|')
    for lora, name in ((LoraSettings(rank=arguments.rank), f'LoRA, rank {arguments.rank}, bf16'), (None, 'all, fp32')):
        for checkpointing in (False, True):
            step = training_step(arguments.stage, lora, *size, checkpointing=checkpointing)
            numbers = ' | '.join(f'{value / GIB:.2f} GiB' for value in (step.weights, step.peak, step.total))
            print(f'| {name} ({step.trained / 1e6:.1f} M) | {"yes" if checkpointing else "no"} | {numbers} |')


if __name__ == '__main__':
    main()

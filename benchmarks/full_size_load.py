"""Load a synthetic full-size checkpoint set: true names, wrappers and layout, random values.

    python -m benchmarks.full_size_load FOLDER

takes those of stage 1; with --stage i2vgen-xl, those of the second generation. It writes about 5 GB (float16) into
FOLDER (once), loads it through ModelScope's pipeline() in a fresh process, reads every page of its weights, and reports
seconds and peak resident memory there. With --generate it also makes one tiny video with the full networks. With
--as-on-the-hub the files are float32 and have what no stage uses, 15 GB in all; with --convert they are then converted.
With --original, the original's class loads the files of stage 1. It holds its UNet twice and everything else besides,
more than 16 GiB for files of the real size. With --reduced, networks are narrower or have fewer layers, and all files
have 0.38 of the size. --dtype is the precision to load to, float32 by default.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parent.parent
MANIFESTS = ROOT / 'tests' / 'data' / 'manifests.json'


#: The UNet's manifest and the page of each stage.
STAGES = {'image-to-video': ('unet_i2v', 'Image-to-Video'), 'i2vgen-xl': ('unet_i2vgen', 'I2VGen-XL')}
#: Parameters in Stable Diffusion 2.1's file besides the autoencoder: its own UNet and text encoder.
OTHER_PARAMETERS = 1_220_000_000
#: A reduced set: UNets of 192 channels instead of 320, and fewer layers of CLIP's two towers.
REDUCED_CHANNELS, CHANNELS = 192, 320
REDUCED_LAYERS = {'visual.transformer.resblocks.': 11, 'transformer.resblocks.': 8}
REDUCED_SHARE = 0.36


def reduced_unet(shapes: dict[str, list[int]]) -> dict[str, list[int]]:
    """The shapes of a narrower UNet. Widths that do not follow its channels are no multiples of them."""

    def narrower(side: int) -> int:
        return side * REDUCED_CHANNELS // CHANNELS if side % CHANNELS == 0 else side

    return {key: [narrower(side) for side in shape] for key, shape in shapes.items()}


def reduced_clip(shapes: dict[str, list[int]]) -> dict[str, list[int]]:
    """The shapes of a CLIP with fewer layers."""

    def kept(key: str) -> bool:
        return all(
            int(key.removeprefix(place).partition('.')[0]) < layers
            for place, layers in REDUCED_LAYERS.items()
            if key.startswith(place)
        )

    return {key: shape for key, shape in shapes.items() if kept(key)}


def reduced_clip_configuration() -> dict[str, Any]:
    """That of the CLIP of :func:`reduced_clip`, as open_clip and the section ``clip`` of a model have it."""
    from open_clip import get_model_config

    found = get_model_config('ViT-H-14')
    layers = REDUCED_LAYERS.values()
    towers = zip(('vision_cfg', 'text_cfg'), layers, strict=True)
    return {**found, **{tower: {**found[tower], 'layers': count} for tower, count in towers}}


def random_weights(shapes: dict[str, list[int]], prefix: str, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Values as small as those of an initialised network, so that activations stay finite."""
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for key, shape in shapes.items():
        tensor = torch.empty(shape, dtype=dtype)
        fan_in = max(1, tensor[0].numel()) if len(shape) > 1 else 1
        if len(shape) == 1:
            tensor.fill_(1.0 if key.endswith('weight') else 0.0)
        else:
            tensor.uniform_(-1, 1, generator=generator).mul_((3 / fan_in) ** 0.5)
        weights[prefix + key] = tensor
    return weights


def write(folder: Path, stage: str, as_on_the_hub: bool, reduced: bool) -> None:
    dtype = torch.float32 if as_on_the_hub else torch.float16
    manifests = json.loads(MANIFESTS.read_text())
    manifest, page = STAGES[stage]
    published = json.loads((ROOT / 'model_card' / page / 'configuration.json').read_text())
    del published['allow_remote']  # refers to the code on the model's page, which is not here
    folder.mkdir(parents=True, exist_ok=True)
    shapes, clip = manifests[manifest], manifests['clip_full']
    if reduced:
        shapes, clip = reduced_unet(shapes), reduced_clip(clip)
        published['model']['model_cfg']['unet'] = {'model_channels': REDUCED_CHANNELS}
        published['model']['model_cfg']['clip'] = reduced_clip_configuration()
    unet = {'state_dict': random_weights(shapes, '', dtype), 'step': 0}
    torch.save(unet, folder / published['model']['model_args']['ckpt_unet'])
    del unet
    torch.save(random_weights(clip, '', dtype), folder / 'open_clip_pytorch_model.bin')
    autoencoder = random_weights(manifests['autoencoder'], 'first_stage_model.', dtype)
    if as_on_the_hub:
        autoencoder['model.diffusion_model.and_the_rest'] = torch.zeros(
            int(OTHER_PARAMETERS * (REDUCED_SHARE if reduced else 1))
        )
    torch.save({'state_dict': autoencoder, 'global_step': 0}, folder / 'v2-1_512-ema-pruned.ckpt')
    (folder / 'configuration.json').write_text(json.dumps(published))


def convert(folder: Path) -> None:
    from modelscope_i2v.cli.main import main

    start = time.perf_counter()
    code = main(['convert', str(folder), '-o', f'{folder}-fp16'])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f'exit code {code}, converted in {time.perf_counter() - start:.1f} s, peak resident {peak:.2f} GiB')


def report(began: tuple[float, float], weights: Iterable[torch.Tensor]) -> str:
    """Wall and CPU seconds since ``began``, and the memory at the peak, once all ``weights`` are read.

    Files may be mapped into memory, and are read when somebody looks.
    """
    for weight in weights:
        weight.flatten()[::512].sum()  # at least one value of each page
    seconds, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return f'loaded in {seconds:.1f} s, {cpu:.2f} CPU s, peak resident {peak:.2f} GiB'


def load(folder: Path, generate: bool, dtype: str) -> None:
    from modelscope.pipelines import pipeline

    import modelscope_i2v  # noqa: F401

    began = time.perf_counter(), time.process_time()
    made = pipeline('image-to-video', model=str(folder.resolve()), device='cpu', dtype=dtype, show_progress=False)
    weights = made.model.state_dict().values()
    size = sum(weight.numel() * weight.element_size() for weight in weights) / 2**30
    print(f'{report(began, weights)}, {dtype} weights {size:.2f} GiB')
    if generate:
        start = time.perf_counter()
        image = str(ROOT / 'examples' / 'cat.jpg')
        frames = made(image, steps=1, num_frames=2, height=128, width=128, output_type='np')['output_video']
        print(f'one step, {frames.shape} in {time.perf_counter() - start:.1f} s, std {frames.std():.1f}')
        print(f'peak resident {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB')


def load_original(folder: Path, reduced: bool) -> None:
    utils = 'modelscope.models.multi_modal.image_to_video.utils'
    from benchmarks.run.reference import stand_in_for_xformers

    # Its class cannot be imported as it is: it looks for this file under the name that it should have.
    sys.modules[f'{utils}.schedule'] = import_module(f'{utils}.shedule')
    with stand_in_for_xformers():
        from modelscope.models.multi_modal.image_to_video.image_to_video_model import ImageToVideo
    if reduced:
        import open_clip
        from modelscope.models.multi_modal.image_to_video.utils.config import cfg

        cfg.UNet.dim = REDUCED_CHANNELS
        open_clip.factory._MODEL_CONFIGS['ViT-H-14'] = reduced_clip_configuration()  # its class asks for that name
    began = time.perf_counter(), time.process_time()
    made = ImageToVideo(str(folder.resolve()), device='cpu')
    parts = made.clip_encoder, made.generator, made.autoencoder
    print(report(began, [weight for part in parts for weight in part.state_dict().values()]))


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--stage', choices=STAGES, default='image-to-video')
    parser.add_argument('--generate', action='store_true')
    parser.add_argument('--as-on-the-hub', action='store_true')
    parser.add_argument('--convert', action='store_true')
    parser.add_argument('--original', action='store_true')
    parser.add_argument('--reduced', action='store_true')
    parser.add_argument('--dtype', default='fp32')
    parser.add_argument('--in-process', action='store_true', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_process and arguments.convert:
        convert(arguments.folder)
    elif arguments.in_process and arguments.original:
        load_original(arguments.folder, arguments.reduced)
    elif arguments.in_process:
        load(arguments.folder, arguments.generate, arguments.dtype)
    else:
        if not (arguments.folder / 'configuration.json').exists():
            write(arguments.folder, arguments.stage, arguments.as_on_the_hub, arguments.reduced)
        subprocess.run([sys.executable, '-m', 'benchmarks.full_size_load', '--in-process', *sys.argv[1:]], check=True)

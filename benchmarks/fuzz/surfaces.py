"""The surfaces: each function prepares a folder and returns what one case does."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import pickle
import random
import shutil
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

import modelscope_i2v
from benchmarks.first_generation import FIRST_GENERATION, MODELS
from benchmarks.fuzz.mutations import damaged, odd_json, odd_value
from benchmarks.fuzz.running import Case, ExitError
from modelscope_i2v.errors import Interrupted
from modelscope_i2v.media import load_image, open_video, write_video
from modelscope_i2v.media.writing.write import encode_video

_SIDE = 24


def pictures(_folder: Path) -> Case:
    """Damaged pictures of every common format, as bytes and as base64; odd tensors and arrays."""
    pixels = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
    seeds = []
    for kind, mode, options in (
        ('PNG', 'RGB', {}), ('PNG', 'P', {}), ('PNG', 'I;16', {}), ('JPEG', 'RGB', {}), ('JPEG', 'CMYK', {}),
        ('GIF', 'P', {}), ('BMP', 'RGB', {}), ('WEBP', 'RGB', {}), ('WEBP', 'RGBA', {'lossless': True}),
        ('TIFF', 'RGB', {'compression': 'tiff_lzw'}), ('ICO', 'RGBA', {}), ('PPM', 'RGB', {}), ('TGA', 'RGB', {}),
        ('JPEG2000', 'RGB', {}), ('DDS', 'RGB', {}), ('PCX', 'RGB', {}),
    ):  # fmt: skip
        file = io.BytesIO()
        picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257) if mode == 'I;16' else Image.fromarray(pixels)
        (picture if mode == 'I;16' else picture.convert(mode)).save(file, kind, **options)
        seeds.append(file.getvalue())

    def case(draw: random.Random) -> object:
        if draw.random() < 0.1:
            return load_image(_odd_array(draw))
        data = damaged(draw.choice(seeds), draw)
        return load_image(base64.b64encode(data).decode() if draw.random() < 0.2 else data)

    return case


def videos(folder: Path) -> Case:
    """Damaged videos of every common container, from memory and from files; all frames are read."""
    seeds = {}
    for name, codec in (('a.mp4', 'libx264'), ('a.mkv', 'mpeg4'), ('a.webm', 'libvpx'), ('a.avi', 'mpeg4'),
                        ('a.mov', 'mjpeg'), ('a.gif', 'gif'), ('a.ts', 'mpeg2video')):  # fmt: skip
        with av.open(str(folder / name), 'w') as file:
            stream: Any = file.add_stream(codec, rate=25)
            stream.width = stream.height = 32
            stream.pix_fmt = {'gif': 'rgb8', 'mjpeg': 'yuvj420p'}.get(codec, 'yuv420p')
            file.metadata['comment'] = json.dumps([{'version': 1, 'stage': 'x'}])
            kind = {'a.mp4': 'aac', 'a.mkv': 'pcm_s16le', 'a.avi': 'pcm_s16le'}.get(name)
            sound: Any = file.add_stream(kind, rate=16_000) if kind else None
            for level in range(5):
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), level * 40, np.uint8), format='rgb24')
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
            if sound is not None:
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 3200), np.int16), format='s16', layout='mono')
                samples.sample_rate = 16_000
                file.mux([*sound.encode(samples), *sound.encode(None)])
        seeds[name] = (folder / name).read_bytes()

    def case(draw: random.Random) -> object:
        name = draw.choice(sorted(seeds))
        data = damaged(seeds[name], draw)
        if draw.random() < 0.1:
            return open_video(_odd_array(draw))
        if draw.random() < 0.2:
            source = open_video(data)
            return encode_video([np.zeros((16, 16, 3), np.uint8)] * 3, fps=8, sound=source)
        if draw.random() < 0.5:
            return sum(1 for _ in open_video(data).frames())
        from modelscope_i2v.media.reading.info import probe_video, read_recipe

        path = folder / f'damaged{Path(name).suffix}'
        path.write_bytes(data)
        return probe_video(path), read_recipe(path)

    return case


def configuration(folder: Path) -> Case:
    """Odd configurations of both stages; the networks are built, but no weights are read."""
    from modelscope_i2v.model_folder import ModelFolder

    contents = [
        json.loads((Path(folder) / 'configuration.json').read_text())
        for folder in (*MODELS.values(), modelscope_i2v.embedded_model('image-to-video'))
    ]

    def case(draw: random.Random) -> object:
        (folder / 'configuration.json').write_bytes(odd_json(draw.choice(contents), draw))
        model = ModelFolder.read(folder)
        model.call_defaults()
        model.stage.preprocessor_class(model)
        return model.build_networks()

    return case


def checkpoints(folder: Path) -> Case:
    """Damaged and composed files of ``torch.save`` and safetensors, loaded into a network."""
    from modelscope_i2v.networks import AutoencoderKL
    from modelscope_i2v.weights import build_on_meta, load_weights

    sizes = {'channels': 8, 'channel_mult': [1], 'num_res_blocks': 1, 'norm_num_groups': 4}
    shapes = {key: value.shape for key, value in build_on_meta(lambda: AutoencoderKL(**sizes)).state_dict().items()}
    weights = {key: torch.zeros(shape) for key, shape in shapes.items()}
    paths = [folder / name for name in ('zip.pth', 'legacy.pth', 'packed.pth', 'a.safetensors')]
    torch.save({'state_dict': weights, 'epoch': 3}, paths[0])
    torch.save(weights, paths[1], _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(paths[0]) as source, zipfile.ZipFile(paths[2], 'w', zipfile.ZIP_DEFLATED) as target:
        programs = {name: source.read(name) for name in source.namelist()}
        for name, content in programs.items():
            target.writestr(name, content)
    save_file(weights, paths[3])
    seeds = [path.read_bytes() for path in paths]
    program = next(content for name, content in programs.items() if name.endswith('data.pkl'))

    def case(draw: random.Random) -> object:
        kind = draw.randrange(6)
        path = folder / ('case.safetensors' if kind == 3 else 'case.pth')
        if kind < 4:
            data = damaged(seeds[kind], draw)
            if draw.random() < 0.3 and kind < 2:  # near the program, which is small beside the numbers
                place = seeds[kind].find(b'state_dict') + draw.randrange(2000)
                data = seeds[kind][:place] + damaged(seeds[kind][place : place + 64], draw) + seeds[kind][place + 64 :]
            path.write_bytes(data)
        else:
            text = damaged(program, draw) if kind == 4 else _program(draw)
            with zipfile.ZipFile(path, 'w', draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as file:
                for name, content in programs.items():
                    file.writestr(name, text if name.endswith('data.pkl') else content)
        return load_weights(build_on_meta(lambda: AutoencoderKL(**sizes)), path)

    return case


def _program(draw: random.Random) -> bytes:
    """A pickle of random opcodes with arguments that fit."""
    opcodes = [
        b'(', b'.', b'0', b'1', b'2', b')', b']', b'}', b'\x8f', b'N', b'\x88', b'K\x01', b'K\x00', b't', b'\x85',
        b'\x86', b'\x87', b'l', b'd', b'a', b'e', b's', b'u', b'\x90', b'\x91', b'R', b'\x81', b'\x92', b'b', b'o',
        b'Q', b'\x94',
        b'q\x00', b'q\x01', b'h\x00', b'h\x01', b'X\x01\x00\x00\x00a', b'X\x07\x00\x00\x00storage', b'C\x01a',
        b'cos\nsystem\n', b'ctorch\nFloatStorage\n', b'ctorch._utils\n_rebuild_tensor_v2\n', b'ctorch\nSize\n',
        b'ccollections\nOrderedDict\n', b'c__builtin__\nset\n', b'\x8a\x09' + b'\xff' * 8 + b'\0', b'\x93',
        b'J\xff\xff\xff\x7f', b'G' + struct.pack('>d', 1e300), b'\x8b' + struct.pack('<i', 100) + b'\x7f' * 100,
    ]  # fmt: skip
    length = draw.choice((5, 20, 100, 1000, 20_000))
    body = b''.join(draw.choices(opcodes, k=length)).replace(b'.', b'') if draw.random() < 0.8 else b''
    repeated = b''.join(draw.choices(opcodes, k=draw.randrange(1, 6))).replace(b'.', b'') * draw.choice(
        (10, 1000, 50_000)
    )
    return (
        b'\x80\x02'
        + draw.choice((b'', b'}', b'](', b'}(', b'('))
        + body
        + repeated
        + draw.choice((b'.', b'e.', b'u.', b''))
    )


def lora(folder: Path) -> Case:
    """Damaged LoRA files, and ones with odd metadata, element types and shapes."""
    from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
    from modelscope_i2v.model_folder import ModelFolder
    from modelscope_i2v.weights.lora.apply import read_lora
    from modelscope_i2v.weights.lora.file import LoraDescription, unet_parameters
    from modelscope_i2v.weights.lora.layers import lora_shapes

    model = ModelFolder.read(FIRST_GENERATION)
    unet = model.build_networks()['ckpt_unet']
    groups = ('attention', 'temporal')
    made = LoraDescription(
        task=IMAGE_TO_VIDEO.lora_key, rank=2, alpha=4.0, layers=groups, unet=unet_parameters(unet)
    ).to_metadata()
    tensors = {key: torch.zeros(shape) for key, shape in lora_shapes(unet, groups, 2).items()}
    path = folder / 'lora.safetensors'
    save_file(tensors, path, made)
    seed = path.read_bytes()
    kinds = [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn]

    def case(draw: random.Random) -> object:
        if draw.random() < 0.3:
            end = 8 + struct.unpack('<Q', seed[:8])[0]
            place = draw.randrange(end)
            path.write_bytes(seed[:place] + damaged(seed[place:end], draw)[: end - place] + seed[end:])
        elif draw.random() < 0.3:
            path.write_bytes(damaged(seed, draw))
        else:
            metadata = {**made, draw.choice(sorted(made)): odd_json({'a': 1}, draw).decode(errors='replace')}
            changed = dict(tensors)
            if draw.random() < 0.5:
                name = draw.choice(sorted(changed))
                changed[name] = changed[name].to(draw.choice(kinds))
            if draw.random() < 0.3:
                changed[draw.choice(sorted(changed))] = torch.full((draw.randrange(3), 2), float('nan'))
            save_file(changed, path, metadata if draw.random() < 0.7 else made)
        return read_lora(unet, path, key=IMAGE_TO_VIDEO.lora_key)

    return case


def json_lines(folder: Path) -> Case:
    """Odd lists of training examples."""
    from modelscope_i2v.training.data.sources import find_examples

    (folder / 'a.mp4').write_bytes(b'x')
    (folder / 'b.png').write_bytes(b'x')
    lines = [{'video': 'a.mp4', 'text': 'a fox', 'start': 2, 'end': 7.5}, {'image': 'b.png', 'text': 'x'}]

    def case(draw: random.Random) -> object:
        chosen = [odd_json(draw.choice(lines), draw) for _ in range(draw.randrange(4))]
        (folder / 'list.jsonl').write_bytes(b'\n'.join([*chosen, json.dumps(lines[0]).encode()]))
        return find_examples(folder / 'list.jsonl')

    return case


def training_files(folder: Path) -> Case:
    """Odd training configurations, and damaged checkpoints and latents of a training."""
    from modelscope_i2v.training.configuration import read_training_configuration
    from modelscope_i2v.training.data.latent_cache import EncodedClip, LatentCache
    from modelscope_i2v.training.loop.checkpoint import load_checkpoint, save_checkpoint
    from modelscope_i2v.training.loop.ema import MovingAverage

    content = {
        'model': 'model', 'data': 'data', 'output': 'out', 'dtype': 'auto', 'variants': 4, 'offset_noise': 0.1,
        'clips': {'num_frames': 8, 'height': 64, 'width': 64, 'fps': [8, 4], 'crop': 'random', 'flip': 0.5},
        'mixture': {'video_to_image': [7, 1], 'batch_size': 1, 'image_batch_size': 2, 'seed': 0},
        'loop': {'steps': 10, 'learning_rate': 1e-4, 'schedule': 'cosine', 'precision': 'fp32', 'ema_decay': 0.99},
        'validation': {'count': 2, 'data': 'v', 'steps': 3, 'guidance_scale': 2.0, 'seed': 1},
        'lora': {'rank': 4, 'alpha': 8, 'layers': ['attention']},
    }  # fmt: skip
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    average = MovingAverage(model, 0.9)
    save_checkpoint(folder, 7, model, optimizer, average, {'identity': {'steps': 10}})
    checkpoint = folder / 'checkpoint-000000007.pt'
    seed = checkpoint.read_bytes()
    cache = LatentCache(folder / 'cache', 'f')
    key = 'ab' * 32
    zeros = torch.zeros(4, 2, 4, 4)
    cache.put(key, EncodedClip.of(zeros, zeros, torch.zeros(1, 8), 8.0))
    latents = cache.path(key).read_bytes()

    def case(draw: random.Random) -> object:
        kind = draw.randrange(3)
        if kind == 0:
            (folder / 'train.json').write_bytes(odd_json(content, draw))
            return read_training_configuration(folder / 'train.json')
        if kind == 1:
            checkpoint.write_bytes(damaged(seed, draw))
            return load_checkpoint(folder, model, optimizer, average, {'steps': 10})
        cache.path(key).write_bytes(damaged(latents, draw))
        return cache.get(key)

    return case


def call_arguments(folder: Path) -> Case:
    """Calls of both pipelines with odd arguments; those that are accepted run for one step."""
    pipelines = [
        modelscope_i2v.load(given, device='cpu', show_progress=False, steps=1)
        for given in (*MODELS.values(), modelscope_i2v.embedded_model('image-to-video'))
    ]
    grey = np.zeros((8, 8, 3), np.uint8)
    picture, video = [grey, {'image': grey}], [grey[None], {'video_path': grey[None], 'text': 'a'}]
    inputs: list[list[Any]] = [picture, video, picture]
    fine = {'num_frames': 1, 'height': 64, 'width': 64, 'steps': 1, 'seed': 3}

    def stop(*_: Any) -> None:
        raise Interrupted('one step is enough')

    def case(draw: random.Random) -> object:
        stage = draw.randrange(3)
        pipe: Any = pipelines[stage]
        names = [*pipe.stage.arguments.__dataclass_fields__, 'stpes', 'lora']
        chosen = {name: _odd_argument(draw) for name in draw.sample(names, draw.choice((0, 1, 1, 1, 2)))}
        given = _odd_argument(draw) if draw.random() < 0.2 else draw.choice(inputs[stage])
        small = {name: value for name, value in fine.items() if stage == 0 or name in ('steps', 'seed', 'num_frames')}
        arguments = {**small, 'callback_on_step_end': stop, **chosen}
        for name, most in (('num_frames', 8), ('height', 128), ('width', 128)):  # larger ones are right, but slow
            value = arguments.get(name)
            if isinstance(value, int) and most < value < 10**6:
                arguments[name] = most
        with _inside(folder), contextlib.suppress(Interrupted):  # some values are names of files to write
            return pipe(given, **arguments)
        return None

    return case


def command_line(folder: Path) -> Case:
    """Odd words after ``modelscope-i2v``, in this process."""
    from modelscope_i2v.cli.main import main

    Image.new('RGB', (8, 8)).save(folder / 'a.png')
    write_video([np.zeros((16, 16, 3), np.uint8)] * 2, folder / 'a.mp4', fps=8)
    (folder / 'train.json').write_text('{"model": 1}')
    (folder / 'zero').symlink_to('/dev/zero')
    verbs = {
        'info': [['a.mp4'], ['a.mp4', '--json']],
        'evaluate': [['a.mp4', '--device', 'cpu', '--source', 'a.mp4']],
        'image-to-video': [['a.png', '-o', 'x.mp4', '--steps', '1', '--num-frames', '1', '--device', 'cpu']],
        'video-to-video': [['a.mp4', '-o', 'x.mp4', '--noise-level', '3', '--device', 'cpu', '--text', 'a']],
        'chain': [['a.png', '-o', 'x.mp4', '--steps', '1', '--seed', '1', '--num-frames', '1', '--device', 'cpu']],
        'train': [['train.json']],
        'convert': [['.', '-o', 'out']],
        'autoload': [['--status']],
    }
    words = [
        '',
        ' ',
        '-',
        '--',
        '-o',
        '--json',
        '--seed',
        '--model',
        '--offline',
        '--lora',
        '--fps',
        '9' * 5000,
        '1e400',
        'nan',
        '-1',
        'a.png',
        'a.mp4',
        'zero',
        '.',
        '/',
        'x' * 300,
        'a/b',
        '\udcff',
        '\x1b[31m',
        '\n',
        'cuda:' + '9' * 5000,
        'inf',
        'data:,',
        'http://127.0.0.1:9/a',
        'file:///dev/zero',
        '--help',
        '--steps=0',
        '--device=cpu:1',
        '\ud800',
        '--=',
    ]

    def case(draw: random.Random) -> object:
        verb = draw.choice(sorted(verbs))
        line = [verb, *draw.choice(verbs[verb])]
        for _ in range(draw.choice((0, 1, 1, 1, 2))):  # mostly in place of a word: most others are refused at once
            place = draw.randrange(len(line) + 1) if draw.random() < 0.1 else draw.randrange(1, len(line))
            line[place : place + draw.choice((0, 1, 1, 1, 1))] = [draw.choice(words)]
        out, error = io.StringIO(), io.StringIO()
        try:
            with _inside(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
                code: Any = main(line)
        except SystemExit as left:
            code = left.code
        shutil.rmtree(folder / 'out', ignore_errors=True)
        if code not in (0, 1, 2) or '\x1b' in out.getvalue() + error.getvalue() or 'Traceback' in error.getvalue():
            raise RuntimeError(f'{line!r:.300} gave code {code} and {error.getvalue()!r:.300}')
        if code:
            raise ExitError(f'exit code {code}')
        return code

    return case


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Make ``folder`` the current one."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def cache_record(folder: Path) -> Case:
    """Odd records of a model in the cache."""
    from modelscope_i2v.hub.snapshots import cached_snapshot
    from modelscope_i2v.hub.verified import RECORD, record_verified, verified_hash

    source = Path(modelscope_i2v.embedded_model())
    place = folder / 'models' / 'owner--name' / 'snapshots' / 'v1'
    shutil.copytree(source, place)
    names = [path.name for path in place.iterdir()]
    record_verified(place, dict.fromkeys(names, 'ab' * 32), branch=False)
    content = json.loads((place / RECORD).read_text())

    def case(draw: random.Random) -> object:
        os.environ['MODELSCOPE_CACHE'] = str(folder)
        (place / RECORD).write_bytes(odd_json(content, draw))
        for name in names:
            verified_hash(place, name)
        return cached_snapshot('owner/name', 'v1').complete()

    return case


def _odd_array(draw: random.Random) -> Any:
    """A tensor or array of an odd kind or shape, or something else that is no picture."""
    shape = tuple(draw.choice((0, 1, 2, 3, 4, 8)) for _ in range(draw.randrange(6)))
    tensor = torch.zeros(shape)
    kinds: list[Callable[[], Any]] = [
        lambda: tensor,
        lambda: tensor.to(torch.uint8),
        lambda: tensor.to_sparse(),
        lambda: tensor.to('meta'),
        lambda: tensor.to(torch.float8_e4m3fn),
        lambda: torch.nested.nested_tensor([torch.zeros(2, 3), torch.zeros(3, 3)]),
        lambda: torch.zeros(1).expand(1, 3, 8, 8),
        lambda: tensor + float('nan'),
        lambda: tensor.numpy().astype(draw.choice(('uint8', 'float32', 'complex64', 'O', '>f4', 'U1'))),
        lambda: [Image.new('RGB', (2, 2)), draw.choice((None, Image.new('L', (3, 2)), 5))],
        lambda: odd_value(draw),
    ]
    return draw.choice(kinds)()


def _odd_argument(draw: random.Random) -> Any:
    """A value that a caller might pass."""
    others = (
        10**5000,
        -(10**5000),
        1 + 2j,
        b'x',
        object(),
        len,
        'cpu',
        'ddim',
        'heun',
        'np',
        'crop',
        'keep',
        pickle,
        sys,
    )
    return draw.choice((_odd_array(draw), odd_value(draw), odd_value(draw), draw.choice(others)))


SURFACES: dict[str, Callable[[Path], Case]] = {
    'pictures': pictures,
    'videos': videos,
    'configuration': configuration,
    'checkpoints': checkpoints,
    'LoRA': lora,
    'JSON Lines': json_lines,
    'training files': training_files,
    'call arguments': call_arguments,
    'command line': command_line,
    'cache record': cache_record,
}

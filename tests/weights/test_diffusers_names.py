"""Weights as diffusers and transformers publish them.

``diffusers_names.json`` has the names and shapes of diffusers' full-size and small networks; the golden file has what
the small ones compute with weights that follow from these names.
"""

import json
from functools import cache, partial

import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

import modelscope_i2v
from modelscope_i2v.cli.main import main
from modelscope_i2v.errors import CheckpointError, ConfigurationError
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks import AutoencoderKL, ClipEncoders, ClipImageEncoder, ClipTextEncoder, I2VGenXLUNet
from modelscope_i2v.weights import build_on_meta, load_weights
from modelscope_i2v.weights.bare_files import model_of_files
from modelscope_i2v.weights.convert import convert_model
from modelscope_i2v.weights.diffusers_names import from_diffusers
from modelscope_i2v.weights.key_maps import key_map
from modelscope_i2v.weights.save import configuration_of
from modelscope_i2v.weights.synthetic import synthetic_state_dict
from tests.folders import IMAGE
from tests.golden import AUTOENCODER_TINY, CLIP_TINY_1024, DATA, NET_BOUND, UNET_TINY, difference, golden

#: Each of our networks, and the folders in which diffusers has its weights.
NETWORKS = {
    'unet': (I2VGenXLUNet, ['unet']),
    'vae': (AutoencoderKL, ['vae']),
    'clip': (lambda: ClipEncoders('ViT-H-14'), ['image_encoder', 'text_encoder']),
    'image tower': (lambda: ClipImageEncoder('ViT-H-14'), ['image_encoder']),
    'text tower': (lambda: ClipTextEncoder('ViT-H-14'), ['text_encoder']),
}
#: In diffusers, the size of the image embedding is the one of the context.
UNET = {**UNET_TINY, 'image_embed_dim': 1024}
CLIP = {**CLIP_TINY_1024, 'embed_dim': 1024}


@cache
def names():
    return json.loads((DATA / 'diffusers_names.json').read_text())


def unet():
    return build_on_meta(lambda: I2VGenXLUNet(**UNET))


def towers():
    """transformers' small towers, with the sizes of CLIP."""
    torch.manual_seed(0)
    text = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=1024, intermediate_size=4096, num_hidden_layers=2, num_attention_heads=16, hidden_act='gelu'
        )
    )
    image = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=64, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4, patch_size=32,
            image_size=224, projection_dim=1024, hidden_act='gelu',
        )
    )  # fmt: skip
    return image.eval(), text.eval()


def state_dict(network):
    return {key: tensor.detach().clone() for key, tensor in network.state_dict().items()}


@pytest.mark.parametrize('name', NETWORKS)
def test_every_name_of_the_full_size_weights_finds_its_tensor(name):
    factory, folders = NETWORKS[name]
    network = build_on_meta(factory)
    tensors = {key: torch.empty(shape, device='meta') for part in folders for key, shape in names()[part].items()}
    renamed = from_diffusers(network, tensors)
    to_own = key_map(network, renamed)
    found = {to_own(key): tensor.shape for key, tensor in renamed.items() if to_own(key) is not None}
    assert found == {key: tensor.shape for key, tensor in network.state_dict().items()}


@torch.no_grad()
def test_the_unet_computes_what_diffusers_does_but_for_the_doubled_branch():
    data = golden('diffusers')
    network = load_weights(unet(), synthetic_state_dict(names()['unet_tiny'])).eval()
    inputs = ('x', 't', 'text_features', 'image_embedding', 'image_latents', 'fps')
    given = [data[f'unet.{name}'] for name in inputs]
    assert difference(network(*given), data['unet.out']) > 1e-2
    # The original doubles the channels beside the latents. Without that, the numbers are those of diffusers.
    halved = network.conv_in.weight.clone()
    halved[:, 4:] /= 2
    network.conv_in.weight = torch.nn.Parameter(halved)
    assert difference(network(*given), data['unet.out']) < NET_BOUND


@torch.no_grad()
def test_the_autoencoder_computes_what_diffusers_does():
    data = golden('diffusers')
    weights = synthetic_state_dict(names()['vae_tiny'])
    network = load_weights(build_on_meta(lambda: AutoencoderKL(**AUTOENCODER_TINY)), weights).eval()
    mean, logvar = network.encode(data['vae.image'])
    assert difference(mean, data['vae.mean']) < NET_BOUND
    assert difference(logvar, data['vae.logvar']) < NET_BOUND
    assert difference(network.decode(data['vae.latents']), data['vae.decoded']) < NET_BOUND


def test_older_names_of_the_autoencoders_attention_load_too():
    older = {'to_q': 'query', 'to_k': 'key', 'to_v': 'value', 'to_out.0': 'proj_attn'}
    weights, renamed = synthetic_state_dict(names()['vae_tiny']), {}
    for key, tensor in weights.items():
        for name, old in older.items():
            key = key.replace(f'.{name}.', f'.{old}.')
        renamed[key] = tensor
    assert renamed.keys() != weights.keys()
    build = partial(build_on_meta, lambda: AutoencoderKL(**AUTOENCODER_TINY))
    first, second = (load_weights(build(), tensors).state_dict() for tensors in (weights, renamed))
    assert all(torch.equal(first[key], second[key]) for key in first)


@torch.no_grad()
def test_clip_computes_what_transformers_does():
    image, text = towers()
    both = load_weights(build_on_meta(lambda: ClipEncoders(CLIP)), state_dict(image) | state_dict(text)).eval()
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    assert difference(both.image(pixels), image(pixels).image_embeds) < NET_BOUND
    tokens = torch.arange(77).unsqueeze(0) + 300
    hidden = text(tokens, output_hidden_states=True).hidden_states[-2]
    norm = getattr(text, 'text_model', text).final_layer_norm
    assert difference(both.text(tokens), norm(hidden)) < NET_BOUND


def test_a_missing_or_unknown_name_is_an_error():
    weights = synthetic_state_dict(names()['unet_tiny'])
    weights['down_blocks.0.resnets.0.extra'] = weights.pop('mid_block.resnets.1.conv2.bias')
    with pytest.raises(CheckpointError, match='1 missing: middle.residual_out.* 1 unexpected: .*extra'):
        load_weights(unet(), weights)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder like those that diffusers publishes, with small networks; the UNet's weights are in two shards."""
    path = tmp_path_factory.mktemp('diffusers')
    image, text = towers()
    unet = synthetic_state_dict(names()['unet_tiny'])
    half = len(unet) // 2
    shards = [dict(list(unet.items())[:half]), dict(list(unet.items())[half:])]
    files = {
        'unet/diffusion_pytorch_model-00001-of-00002.safetensors': shards[0],
        'unet/diffusion_pytorch_model-00002-of-00002.safetensors': shards[1],
        'vae/diffusion_pytorch_model.fp16.safetensors': synthetic_state_dict(names()['vae_tiny']),
        'image_encoder/model.safetensors': state_dict(image),
        'text_encoder/model.safetensors': state_dict(text),
    }
    for name, tensors in files.items():
        (path / name).parent.mkdir(exist_ok=True)
        save_file(tensors, path / name)
    return path


def test_a_folder_of_diffusers_becomes_a_model(folder, tmp_path):
    _, files = model_of_files(folder, I2VGEN_XL)
    assert {key: [path.parent.name for path in paths] for key, paths in files.items()} == {
        'ckpt_unet': ['unet', 'unet'],
        'ckpt_clip': ['image_encoder', 'text_encoder'],
        'ckpt_autoencoder': ['vae'],
    }
    # The small networks need their sizes, which no weight file holds.
    sizes = {'width': 64, 'height': 64, 'unet': UNET, 'autoencoder': AUTOENCODER_TINY, 'clip': CLIP}
    source = ModelFolder.parse(folder, I2VGEN_XL, configuration_of(I2VGEN_XL, I2VGEN_XL.weight_files, sizes))
    converted = list(convert_model(source, tmp_path / 'model', torch.float32, files))
    assert [file.source_size for file in converted] == [
        sum(path.stat().st_size for path in paths) for paths in files.values()
    ]
    made = modelscope_i2v.load(tmp_path / 'model', device='cpu', show_progress=False)
    latents = made(IMAGE, text='a fox', steps=1, num_frames=2, seed=1, output_type='latent')['output_video']
    assert latents.shape == (1, 4, 2, 8, 8)
    assert latents.isfinite().all()
    bias = synthetic_state_dict(names()['unet_tiny'])['mid_block.resnets.1.conv2.bias']
    assert torch.equal(made.model.unet.middle.residual_out.spatial.conv_out.bias, bias)


def test_a_part_that_is_not_there_is_named(folder, tmp_path, capsys):
    for name in ('unet', 'vae', 'image_encoder'):
        (tmp_path / name).symlink_to(folder / name)
    assert main(['convert', str(tmp_path), '--stage', 'i2vgen-xl', '-o', str(tmp_path / 'new')]) == 1
    assert (
        "text_encoder' must hold weights of diffusers in .safetensors files, found no folder" in capsys.readouterr().err
    )
    (tmp_path / 'text_encoder').mkdir()
    (tmp_path / 'text_encoder' / 'model.bin').touch()
    assert main(['convert', str(tmp_path), '--stage', 'i2vgen-xl', '-o', str(tmp_path / 'new')]) == 1
    assert "in .safetensors files, found 'model.bin'." in capsys.readouterr().err


def test_the_same_tensor_under_both_names_is_an_error():
    weights = synthetic_state_dict(names()['unet_tiny'])
    ours = 'middle.residual_out.spatial.conv_out.bias'
    weights[ours] = weights['mid_block.resnets.1.conv2.bias']
    with pytest.raises(CheckpointError, match=f"same tensor twice: 'mid_block.resnets.1.conv2.bias' and '{ours}'. Rem"):
        load_weights(unet(), weights)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (lambda weights, key: weights.update({key: weights[key][:, :-1]}), 'do not belong together: .*Download them'),
        (lambda weights, key: weights.update({key: weights[key][0]}), 'do not belong together: .*Download them'),
        (lambda weights, key: weights.pop(key), 'concat_encoder.attention.to_qkv.weight'),
    ],
    ids=['narrower', 'flat', 'missing'],
)
def test_a_part_that_does_not_fit_the_others_is_an_error(change, said):
    weights = synthetic_state_dict(names()['unet_tiny'])
    change(weights, 'image_latents_temporal_encoder.attn1.to_k.weight')
    with pytest.raises(CheckpointError, match=said):
        load_weights(unet(), weights)


def test_a_folder_that_is_not_there_or_has_other_files(tmp_path):
    with pytest.raises(ConfigurationError, match="There is no folder '.*nowhere' with weight files. Check the path."):
        model_of_files(tmp_path / 'nowhere', I2VGEN_XL)
    with pytest.raises(CheckpointError, match='found nothing. A model of type'):
        model_of_files(tmp_path, I2VGEN_XL)
    for index in range(12):
        (tmp_path / f'{index:02}.bin').touch()
    with pytest.raises(CheckpointError, match="found '00.bin', .*'09.bin', 2 more. A model of type"):
        model_of_files(tmp_path, I2VGEN_XL)


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr('pathlib.Path.iterdir', denied)  # root may list every folder
    with pytest.raises(CheckpointError, match='cannot be read: Permission denied. Check its permissions.'):
        model_of_files(tmp_path, I2VGEN_XL)

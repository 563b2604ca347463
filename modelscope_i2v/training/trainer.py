"""Fine-tune a model of any stage on your own videos and pictures."""

from __future__ import annotations

import dataclasses
import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modelscope_i2v.errors import ConfigurationError, DeviceError, InputError
from modelscope_i2v.generation.load import load
from modelscope_i2v.model_folder import WEIGHT_KEYS
from modelscope_i2v.runtime.out_of_memory import memory_errors
from modelscope_i2v.training.configuration import TrainingConfiguration
from modelscope_i2v.training.data.cached_clips import CachedClips
from modelscope_i2v.training.data.datasets import ClipDataset, usable_examples
from modelscope_i2v.training.data.latent_cache import LatentCache
from modelscope_i2v.training.data.mixture import Mixture
from modelscope_i2v.training.data.sources import find_examples
from modelscope_i2v.training.fingerprint import fingerprint
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.lora import add_lora, save_lora
from modelscope_i2v.training.stages import StageTraining
from modelscope_i2v.training.validation import Validator
from modelscope_i2v.weights.save import save_model

logger = logging.getLogger(__name__)

SMALLER = (
    "Set 'activation_checkpointing' to true, or 'validation.count' to 0 if validation ran out of memory. If that does "
    "not help, start a new training in another folder with a smaller 'mixture.batch_size' or smaller 'clips', or with "
    "'lora' and a 'dtype' of 'bf16'."
)
#: How long processes wait for each other. The other processes wait while the main one validates.
PATIENCE = timedelta(days=1)


def train(configuration: TrainingConfiguration) -> Path:
    """Train a model, or resume an interrupted training in the output folder.

    Returns:
        What to pass to ``pipeline(...)``: ``lora.safetensors`` as the argument ``lora``, or the folder of a model.

    Raises:
        ConfigurationError, CheckpointError, InputError, DeviceError, OutputError: as for the individual parts.
    """
    from accelerate import PartialState

    output = Path(configuration.output)
    processes = PartialState(cpu=configuration.cpu, timeout=PATIENCE)
    if configuration.cpu and processes.device.type != 'cpu':
        raise DeviceError(
            f"This process has already trained on '{processes.device}' and cannot switch to the CPU. Start another one."
        )
    examples = usable_examples(find_examples(configuration.data), configuration.clips)
    dataset = ClipDataset(examples, configuration.clips)
    mixture = Mixture(dataset.of_kind('video'), dataset.of_kind('image'), configuration.mixture)
    with memory_errors(SMALLER):
        trained = load_stage(configuration, _device(processes.device))
        _check(trained, configuration)
        validator = build_validator(configuration, trained, dataset)
        unet = trained.model.unet
        unet.activation_checkpointing = configuration.activation_checkpointing
        identity = _identity(configuration, dataset, unet, trained.fingerprint())
        if configuration.lora is None:
            unet.requires_grad_(True)
        else:
            add_lora(unet, configuration.lora)
        cache = LatentCache(configuration.cache or output / 'latents', trained.fingerprint())
        batches = CachedClips(dataset, mixture, cache, trained.encode, variants=configuration.variants)
        loss = trained.objective(
            offset_noise=configuration.offset_noise, conditioning_dropout=configuration.conditioning_dropout
        )
        fit(
            unet,
            loss,
            batches,
            configuration.loop,
            output / 'training',
            validate=validator,
            identity=identity,
            cpu=configuration.cpu,
        )
    result = result_path(configuration)
    if processes.is_main_process:
        _save(trained, configuration, result)
        logger.info('Trained %s: %s', trained.stage.task, result)
    processes.wait_for_everyone()
    return result


def evaluate(configuration: TrainingConfiguration, device: str, result: Path | None = None) -> dict[str, float]:
    """Compute the validation metrics.

    Args:
        result: what :func:`train` returned (a LoRA or a model folder); None measures the original model.

    Raises:
        ConfigurationError: if ``validation.count`` is 0. Other errors as for :func:`train`.
    """
    more: dict[str, Any] = {}
    if result is not None and result.is_dir():
        configuration = dataclasses.replace(configuration, model=str(result), model_revision=None)
    elif result is not None:
        more = {'lora': result}
    examples = usable_examples(find_examples(configuration.data), configuration.clips)
    with memory_errors(SMALLER):
        trained = load_stage(configuration, device, **more)
        _check(trained, configuration)
        validator = build_validator(configuration, trained, ClipDataset(examples, configuration.clips))
        if validator is None:
            raise ConfigurationError("'validation.count' is 0: there is nothing to evaluate. Set it to 1 or more.")
        return validator(0)


def result_path(configuration: TrainingConfiguration) -> Path:
    """The path at which training writes its result."""
    return Path(configuration.output) / ('model' if configuration.lora is None else 'lora.safetensors')


def load_stage(configuration: TrainingConfiguration, device: str, **options: Any) -> StageTraining:
    """Load the model to train, with frozen weights; ``options`` are further arguments of the pipeline."""
    dtype = configuration.dtype
    if dtype == 'auto' and configuration.lora is None:
        dtype = 'fp32'
    pipeline = load(
        configuration.model,
        configuration.model_revision,
        device=device,
        dtype=dtype,
        show_progress=False,
        force=True,  # the estimate is for generating
        **options,
    )
    trained: StageTraining = pipeline.stage.training_class(pipeline.model)
    return trained


def build_validator(
    configuration: TrainingConfiguration, trained: StageTraining, dataset: ClipDataset
) -> Validator | None:
    """The validator, ready to run; None if ``validation.count`` is 0.

    It is built before training starts, so that mistakes in its settings show up at once.
    """
    settings = configuration.validation
    if not settings.count:
        return None
    if settings.data is not None:
        examples = usable_examples(find_examples(settings.data), configuration.clips)
        dataset = ClipDataset(examples, configuration.clips)
    clips = [dataset.clip(index) for index in range(min(settings.count, len(dataset)))]
    call = {
        'steps': settings.steps,
        'guidance_scale': settings.guidance_scale,
        'seed': settings.seed,
        'num_frames': configuration.clips.num_frames,
    }
    try:
        trained.resolve(call)
    except InputError as error:
        raise ConfigurationError(f"'validation' does not suit the model. {error}") from error
    return Validator(trained, clips, call, trained.image_encoder())


def _device(device: torch.device) -> str:
    """The name of a process's device. ``accelerate`` numbers CPUs when there are several processes; we do not."""
    return 'cpu' if device.type == 'cpu' else str(device)


def _check(trained: StageTraining, configuration: TrainingConfiguration) -> None:
    """Raise ConfigurationError before anything is encoded; for a wrong size it names the nearest legal ones."""
    clips = configuration.clips
    size: dict[str, Any] = {'height': clips.height, 'width': clips.width, 'num_frames': clips.num_frames}
    try:
        trained.resolve(size)
    except InputError as error:
        raise ConfigurationError(f"The size of 'clips' does not suit the model. {error}") from error
    if trained.model.dtype == torch.float16 and configuration.loop.precision != 'fp16':
        raise ConfigurationError(
            f"The frozen weights are float16, so gradients need the loss scaler of 'loop.precision': 'fp16', found "
            f"{configuration.loop.precision!r}. Set it to 'fp16', or set 'dtype' to 'bf16' or 'fp32'."
        )
    device = trained.model.device.type
    if configuration.loop.num_workers and device != 'cpu':
        raise ConfigurationError(
            f"'loop.num_workers' must be 0 on '{device}', found {configuration.loop.num_workers}: the encoders run "
            'in the process that prepares batches, and only this process has the device.'
        )


def _identity(
    configuration: TrainingConfiguration, dataset: ClipDataset, unet: nn.Module, encoders: str
) -> dict[str, Any]:
    """What must not change when a training is resumed, beside the settings of the loop, as plain values."""
    named = dataclasses.asdict(configuration)
    names = ('lora', 'offset_noise', 'conditioning_dropout', 'dtype', 'variants')
    # File names and sizes, not paths: a training may be moved, and the files in a folder may be replaced.
    sizes = [(each, each.path.stat().st_size) for each in dataset.examples]
    examples = [(each.path.name, size, each.start, each.end, each.text) for each, size in sizes]
    digests = {'data': fingerprint(examples), 'model': fingerprint(unet, encoders)}
    identity: dict[str, Any] = json.loads(
        json.dumps({**{name: named[name] for name in (*names, 'clips', 'mixture')}, **digests})
    )
    return identity


def _save(trained: StageTraining, configuration: TrainingConfiguration, result: Path) -> None:
    model = trained.model
    if configuration.lora is not None:
        save_lora(
            model.unet,
            result,
            configuration.lora,
            {'steps': str(configuration.loop.steps)},
            key=trained.stage.lora_key,
        )
        return
    networks = {'ckpt_unet': model.unet, 'ckpt_clip': model.clip, 'ckpt_autoencoder': model.autoencoder}
    given = dataclasses.asdict(model.model_args)
    model_args = {name: value for name, value in given.items() if name not in WEIGHT_KEYS}
    save_model(
        result,
        trained.stage,
        networks,
        _given(dataclasses.asdict(model.configuration)),
        model_args=_given(model_args),
        dtype=torch.float16,
    )


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}

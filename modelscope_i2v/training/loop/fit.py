"""The training loop for any model and loss. It can be resumed exactly.

The weights and the optimiser are the only state. The batch, noise and dropout of a step depend only on the seed and the
number of the step. So a training killed and resumed from its last checkpoint has the same losses as one that ran
through.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from modelscope_i2v.errors import CheckpointError, ConfigurationError, DeviceError
from modelscope_i2v.files import output_errors
from modelscope_i2v.training.loop.checkpoint import load_checkpoint, save_checkpoint
from modelscope_i2v.training.loop.ema import MovingAverage
from modelscope_i2v.training.loop.log import TrainingLog
from modelscope_i2v.training.loop.settings import LoopSettings
from modelscope_i2v.training.loop.sharding import gather, is_sharded, reshard
from modelscope_i2v.weights.save import remove_abandoned_drafts

#: ``(model, batch, generator) -> {'loss': scalar, other scalars to report}``; all randomness comes from the generator.
Loss = Callable[[nn.Module, Any, torch.Generator], Mapping[str, torch.Tensor]]
#: ``(step, log) -> scalars to report``; it runs while the model has its averaged weights.
Validation = Callable[[int, TrainingLog | None], Mapping[str, float]]


def fit(
    model: nn.Module,
    loss: Loss,
    batches: Dataset[Any],
    settings: LoopSettings,
    folder: Path,
    *,
    validate: Validation | None = None,
    identity: Mapping[str, Any] | None = None,
    cpu: bool = False,
    stop: Callable[[], bool] | None = None,
) -> nn.Module:
    """Train the parameters of ``model`` that require gradients, and return the model with their averages as weights.

    Under ``accelerate launch`` it uses all processes, data parallel or with sharded weights (FSDP, version 2).
    Processes on several hosts must share ``folder``.

    Args:
        loss: the loss to minimise.
        batches: batch number ``i`` is ``batches[i]``, for any ``i``.
        folder: the folder for checkpoints and logs; an interrupted training in it is resumed.
        validate: called every ``settings.validate_every`` steps and at the end, by the main process. With sharded
            weights all processes call it, because none can run the model alone; only the main one passes a log.
        identity: further settings that must not change when the training is resumed, as plain values.
        cpu: train on the CPU even if there is a GPU.
        stop: asked after every step; once it returns True, a checkpoint is written and the training ends.

    Raises:
        KeyboardInterrupt: if ``stop`` ended the training before its last step.
        DeviceError: if the loss or the gradients become NaN or infinite. CheckpointError: if ``folder`` holds another
            training, or one that is past ``settings.steps``. ConfigurationError: for any other kind of parallelism, or
            for 'fp16' on the CPU. OutputError: if something cannot be written.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    # A process may train several models, one after the other, with different settings.
    AcceleratorState._reset_state()
    accelerator = Accelerator(
        mixed_precision={'fp32': 'no'}.get(settings.precision, settings.precision),
        gradient_accumulation_steps=settings.gradient_accumulation,
        cpu=cpu,
    )
    _check_parallelism(accelerator)
    if settings.precision == 'fp16' and accelerator.device.type == 'cpu':
        raise ConfigurationError("'precision' must be 'bf16' or 'fp32' on the CPU, found 'fp16'. Choose one of those.")
    model, optimizer = accelerator.prepare(model, _optimizer(model, settings))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    average = MovingAverage(model, settings.ema_decay)
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if accelerator.is_main_process:  # only this one writes
        remove_abandoned_drafts(folder)
    whole = {**settings.identity, **(identity or {}), 'processes': accelerator.num_processes}
    first, extra = load_checkpoint(folder, model, optimizer.optimizer, average, whole)
    if first > settings.steps:
        raise CheckpointError(
            f"The training in '{folder}' is at step {first}, past the {settings.steps} steps requested. Set "
            "'steps' to at least as many, or use another folder."
        )
    if accelerator.scaler is not None and 'scaler' in extra:
        accelerator.scaler.load_state_dict(extra['scaler'])
    log = TrainingLog(folder, first) if accelerator.is_main_process else None
    loader = iter(_loader(batches, settings, first, accelerator.num_processes, accelerator.process_index))
    saved = started = time.monotonic()
    if 0 < first < settings.steps and settings.validate_every and first % settings.validate_every == 0:
        _validate(validate, first, model, average, log, accelerator)
    model.train()
    for step in range(first, settings.steps):
        for group in optimizer.param_groups:
            group['lr'] = settings.rate(step)
        sums, norm = _step(accelerator, model, optimizer, trained, loss, loader, step, settings)
        average.update(step)
        done = step + 1
        last = done == settings.steps
        if last or done % settings.log_every == 0:
            report = {**_mean(accelerator, sums), 'grad_norm': norm, 'learning_rate': settings.rate(step)}
            if log is not None:
                log.scalars(done, {**report, 'seconds': time.monotonic() - started})
        stopping = not last and stop is not None and _agreed(accelerator, stop())
        if last or stopping or _agreed(accelerator, time.monotonic() - saved >= settings.checkpoint_seconds):
            state = {} if accelerator.scaler is None else {'scaler': accelerator.scaler.state_dict()}
            save_checkpoint(folder, done, model, optimizer.optimizer, average, {**state, 'identity': whole})
            saved = time.monotonic()
        if stopping:
            if log is not None:
                log.close()
            raise KeyboardInterrupt(f'stopped after step {done}')
        if not last and settings.validate_every and done % settings.validate_every == 0:
            _validate(validate, done, model, average, log, accelerator)
    _validate(validate, settings.steps, model, average, log, accelerator)
    if log is not None:
        log.close()
    accelerator.wait_for_everyone()
    average.keep()
    accelerator.free_memory()
    network: nn.Module = accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    gather(network)
    return network.eval()


def _step(
    accelerator: Any,
    model: nn.Module,
    optimizer: Any,
    trained: list[nn.Parameter],
    loss: Loss,
    loader: Iterator[Any],
    step: int,
    settings: LoopSettings,
) -> tuple[dict[str, float], float]:
    """One optimiser step, over all batches whose gradients are accumulated.

    Returns:
        The means of the scalars that the loss reports, and the norm of the gradients.
    """
    from accelerate.utils import send_to_device

    sums: dict[str, float] = {}
    norm = 0.0
    for part in range(settings.gradient_accumulation):
        batch = send_to_device(next(loader), accelerator.device)
        number = (step * settings.gradient_accumulation + part) * accelerator.num_processes
        with accelerator.accumulate(model), _seeded(settings.seed, number + accelerator.process_index) as generator:
            values = loss(model, batch, generator)
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / settings.gradient_accumulation
            _check_finite('loss', sums['loss'], step, settings)
            accelerator.backward(values['loss'])
            if accelerator.sync_gradients:
                norm = float(accelerator.clip_grad_norm_(trained, settings.max_grad_norm))
                if accelerator.scaler is None:  # the scaler skips such steps by itself
                    _check_finite('norm of the gradients', norm, step, settings)
            optimizer.step()
            optimizer.zero_grad()
    return sums, norm


def _optimizer(model: nn.Module, settings: LoopSettings) -> torch.optim.Optimizer:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)


def _check_parallelism(accelerator: Any) -> None:
    kind = str(accelerator.distributed_type.value)
    if kind == 'FSDP' and not accelerator.is_fsdp2:
        raise ConfigurationError(
            "Sharded training needs version 2 of FSDP, found 1. Choose it in 'accelerate config', or write "
            "'fsdp_version: 2' to its configuration file."
        )
    if kind not in ('NO', 'FSDP') and not kind.startswith('MULTI_'):
        raise ConfigurationError(
            f"Training runs on one device, data parallel, or sharded by FSDP, found {kind}. Choose one in 'accelerate "
            "config'."
        )


def _validate(
    validate: Validation | None,
    step: int,
    model: nn.Module,
    average: MovingAverage,
    log: TrainingLog | None,
    accelerator: Any,
) -> None:
    """Validate the averages, unless an earlier run has already validated this step."""
    due = log is not None and step not in log.validated
    if validate is None or not (_agreed(accelerator, due) if is_sharded(model) else due):
        return
    with average.applied():
        model.eval()
        values = validate(step, log)
        model.train()
        reshard(model)
    if log is not None:
        log.scalars(step, {f'validation/{name}': value for name, value in values.items()})


@contextmanager
def _seeded(seed: int, number: int) -> Iterator[torch.Generator]:
    """A generator for batch ``number``. Dropout takes none, so torch's own generators are seeded too, then restored."""
    for_noise, for_dropout = np.random.SeedSequence((seed, number)).generate_state(2, np.uint64)
    device = torch.cuda.current_device() if torch.cuda.is_available() else None
    with torch.random.fork_rng([] if device is None else [device]):
        torch.default_generator.manual_seed(int(for_dropout) % 2**63)
        if device is not None:
            torch.cuda.manual_seed(int(for_dropout) % 2**63)
        yield torch.Generator().manual_seed(int(for_noise) % 2**63)


def _loader(batches: Dataset[Any], settings: LoopSettings, first: int, processes: int, rank: int) -> DataLoader[Any]:
    """This process's batches from step ``first`` on, in order."""
    count = settings.gradient_accumulation * processes
    numbers = range(first * count + rank, settings.steps * count, processes)
    # Workers get their seeds from this generator; without it, from the global one.
    generator = torch.Generator().manual_seed(settings.seed)
    return DataLoader(batches, batch_size=None, sampler=numbers, num_workers=settings.num_workers, generator=generator)


def _mean(accelerator: Any, values: Mapping[str, float]) -> dict[str, float]:
    """Means over the processes; each of them has seen different batches."""
    if accelerator.num_processes == 1:
        return dict(values)
    own = torch.tensor(list(values.values()), device=accelerator.device)
    return dict(zip(values, accelerator.reduce(own, 'mean').tolist(), strict=True))


def _agreed(accelerator: Any, due: bool) -> bool:
    """Whether something is due, as decided by the main process for all."""
    if accelerator.num_processes == 1:
        return due
    from accelerate.utils import broadcast_object_list

    return bool(broadcast_object_list([due], from_process=0)[0])


def _check_finite(what: str, value: float, step: int, settings: LoopSettings) -> None:
    """Raise DeviceError for NaN or infinity, before it reaches the weights."""
    if not math.isfinite(value):
        raise DeviceError(
            f"The {what} became {value} at step {step} with precision='{settings.precision}' and a learning rate of "
            f'{settings.learning_rate:g}. Lower the rate, or train in fp32 or bf16; the last checkpoint is intact.'
        )

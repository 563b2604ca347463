"""The training loop: whatever the model and its loss, one optimiser step after the other, resumable exactly.

Nothing depends on what happened before but the weights and the optimiser: batch, noise and dropout of a step are
functions of the seed and of the step's number. So a training that is killed and goes on from its last checkpoint sees
the same losses as one that was not.
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

#: ``(model, batch, generator) -> {'loss': scalar, other scalars to report}``; all random draws from the generator.
Loss = Callable[[nn.Module, Any, torch.Generator], Mapping[str, torch.Tensor]]
#: ``(step, log) -> scalars to report``; the model has its averaged weights meanwhile.
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
) -> nn.Module:
    """Train the parameters of ``model`` that require gradients, and return it with their averages as weights.

    Run under ``accelerate launch`` it uses every process that was started, data parallel or with sharded weights (FSDP,
    version 2); on several hosts they need ``folder`` in common.

    Args:
        loss: what is minimised.
        batches: batch number ``i`` is ``batches[i]``, for any ``i``.
        folder: for checkpoints and logs; a training that was interrupted there goes on.
        validate: called every ``settings.validate_every`` steps and at the end, by the main process; with sharded
            weights, which no process can use alone, by all, of which only the main one has a log.
        identity: what else makes this training what it is, as plain values; one that goes on must have the same.
        cpu: stay on the CPU whatever there is.

    Raises:
        DeviceError: if the loss or the gradients become NaN or infinite. CheckpointError: if ``folder`` holds another
            training, or one that is past ``settings.steps``. ConfigurationError: under another parallelism.
            OutputError: if something cannot be written.
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
        raise ConfigurationError("'precision' must be 'bf16' or 'fp32' on the CPU, found 'fp16'. Change it.")
    model, optimizer = accelerator.prepare(model, _optimizer(model, settings))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    average = MovingAverage(model, settings.ema_decay)
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if accelerator.is_main_process:  # the only one that writes
        remove_abandoned_drafts(folder)
    whole = {**settings.identity, **(identity or {}), 'processes': accelerator.num_processes}
    first, extra = load_checkpoint(folder, model, optimizer.optimizer, average, whole)
    if first > settings.steps:
        raise CheckpointError(
            f"The training in '{folder}' is at step {first}, past the {settings.steps} steps that were asked for. Ask "
            'for at least as many, or give another folder.'
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
        if last or _agreed(accelerator, time.monotonic() - saved >= settings.checkpoint_seconds):
            state = {} if accelerator.scaler is None else {'scaler': accelerator.scaler.state_dict()}
            save_checkpoint(folder, done, model, optimizer.optimizer, average, {**state, 'identity': whole})
            saved = time.monotonic()
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
    """One optimiser step, from as many batches as gradients are accumulated over.

    Returns:
        The means of what the loss reports, and the norm of the gradients.
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
                if accelerator.scaler is None:  # which leaves such steps out by itself
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
            "'fsdp_version: 2' into its file."
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
    """Try the averages, unless that was done before an interruption."""
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
    """A generator for batch ``number``; dropout, which takes none, finds torch's own seeded too, and restored after."""
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
    # Its workers get seeds from a generator, by default the global one.
    generator = torch.Generator().manual_seed(settings.seed)
    return DataLoader(batches, batch_size=None, sampler=numbers, num_workers=settings.num_workers, generator=generator)


def _mean(accelerator: Any, values: Mapping[str, float]) -> dict[str, float]:
    """Means over the processes, each of which has seen batches of its own."""
    if accelerator.num_processes == 1:
        return dict(values)
    own = torch.tensor(list(values.values()), device=accelerator.device)
    return dict(zip(values, accelerator.reduce(own, 'mean').tolist(), strict=True))


def _agreed(accelerator: Any, due: bool) -> bool:
    """Whether the main process finds something due that all have to do together."""
    if accelerator.num_processes == 1:
        return due
    from accelerate.utils import broadcast_object_list

    return bool(broadcast_object_list([due], from_process=0)[0])


def _check_finite(what: str, value: float, step: int, settings: LoopSettings) -> None:
    """Raise DeviceError before weights are changed by something that is no number."""
    if not math.isfinite(value):
        raise DeviceError(
            f"The {what} became {value} at step {step} with precision='{settings.precision}' and a learning rate of "
            f'{settings.learning_rate:g}. Lower the rate, or train in fp32 or bf16; the last checkpoint is intact.'
        )

"""Training the ModelScope way: ``build_trainer(name, default_args).train()``."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, ClassVar

from modelscope_i2v.errors import DeviceError, InputError, nearest
from modelscope_i2v.files import output_errors, replacing
from modelscope_i2v.generation.load import find_model
from modelscope_i2v.generation.modelscope_bases import BaseTrainer
from modelscope_i2v.model_folder import check_stage
from modelscope_i2v.runtime.device import resolve_device
from modelscope_i2v.stage import Stage
from modelscope_i2v.training.configuration import TrainingConfiguration, parse_training_configuration
from modelscope_i2v.training.requirements import check_requirements

#: ModelScope's argument names and ours; both are accepted.
_ALIASES = {'train_dataset': 'data', 'work_dir': 'output'}
#: Options that ``build_trainer`` may add. They have no effect here: code from a model's page is never run.
_MODELSCOPE_OPTIONS = frozenset(['ignore_file_pattern', 'invoked_by', 'third_party', 'trust_remote_code', 'use_hf'])
_ACCEPTED = (
    "a folder, a JSON Lines file, or a dataset with a length whose items are {'video': path, 'text': ...} or "
    "{'image': path}"
)


class GenerationTrainer(BaseTrainer):
    """Fine-tuning of any stage; each subclass sets ``stage``.

    Args:
        model: the model's folder or hub id. With the absolute path of a folder, ModelScope does not query the hub.
        train_dataset: a folder, a JSON Lines file (see :func:`~modelscope_i2v.training.data.sources.find_examples`),
            or a map-style dataset whose items have the keys of a line in such a file; its paths are relative to the
            current folder.
        eval_dataset: the same, for validation; None uses the first examples of ``train_dataset``.
        work_dir: the folder for checkpoints, logs and the result.
        device: ``'cpu'``, ``'gpu'``, ``'cuda'`` or ``'mps'``; ``accelerate launch`` chooses the GPUs.
        **options: the other fields of :class:`~modelscope_i2v.training.configuration.TrainingConfiguration`; the
            sections may be dicts or settings objects.

    Raises:
        TypeError: for an unknown argument, naming it and the nearest known one.
        ConfigurationError, CheckpointError, InputError, DeviceError: as for the individual parts.
    """

    stage: ClassVar[Stage]

    def __init__(
        self, model: str | os.PathLike[str], *, device: str | None = 'gpu', eval_dataset: Any = None, **options: Any
    ) -> None:
        check_requirements()
        content = _renamed(options)
        self._device = _device(device)
        snapshot = find_model(model, content.pop('model_revision', None))
        check_stage(snapshot.folder.content, snapshot.folder.file, self.stage)
        folder = snapshot.complete()
        super().__init__(str(folder.file))
        sections: dict[str, Any] = {
            name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
            for name, value in content.items()
        }
        output = Path(sections.get('output') or 'work_dir')
        if 'data' in sections:
            sections['data'] = _as_path(sections['data'], output / 'train_dataset.jsonl')
        if eval_dataset is not None:
            path = _as_path(eval_dataset, output / 'eval_dataset.jsonl')
            sections['validation'] = {**(sections.get('validation') or {}), 'data': path}
        own = {'model': str(folder.path), 'output': str(output)}
        cpu = {'cpu': True} if self._device == 'cpu' else {}
        self.configuration: TrainingConfiguration = parse_training_configuration(
            {**sections, **own, **cpu}, f'the arguments of {self.stage.trainer}'
        )

    def train(self, checkpoint_path: str | os.PathLike[str] | None = None, *_: Any, **__: Any) -> str:
        """Train the model, or resume an interrupted training.

        Args:
            checkpoint_path: must be None. Training resumes from the newest checkpoint in ``work_dir`` by itself.

        Returns:
            What to pass to ``pipeline(...)``: a file for the argument ``lora``, or the folder of a model.

        Raises:
            InputError: for a ``checkpoint_path``. ConfigurationError, CheckpointError, InputError, DeviceError,
                OutputError: as for the individual parts.
        """
        from modelscope_i2v.training.trainer import train

        if checkpoint_path is not None:
            raise InputError(
                f"Training resumes from the newest checkpoint in 'work_dir' by itself, found 'checkpoint_path' "
                f"'{os.fspath(checkpoint_path)}'. Leave it out, and pass the 'work_dir' of the training to resume."
            )
        return str(train(self.configuration))

    def evaluate(self, checkpoint_path: str | os.PathLike[str] | None = None, *_: Any, **__: Any) -> dict[str, float]:
        """Compute the validation metrics.

        Args:
            checkpoint_path: what :meth:`train` returned. None uses the result in ``work_dir``, or the original model if
                there is no result yet.

        Raises:
            InputError: if there is nothing at ``checkpoint_path``. Other errors as for :meth:`train`.
        """
        from modelscope_i2v.training.trainer import evaluate, result_path

        result: Path | None = result_path(self.configuration) if checkpoint_path is None else Path(checkpoint_path)
        if result is not None and not result.exists():
            if checkpoint_path is not None:
                raise InputError(f"There is nothing to evaluate at '{checkpoint_path}'. Pass what train() returned.")
            result = None
        return evaluate(self.configuration, self._device, result)


def _renamed(options: dict[str, Any]) -> dict[str, Any]:
    """``options`` under our names, without those that are None (except ``lora``, where None has a meaning)."""
    known = {item.name for item in dataclasses.fields(TrainingConfiguration)}
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name in _MODELSCOPE_OPTIONS:
            continue
        ours = _ALIASES.get(name, name)
        if ours not in known:
            names = sorted({*known, *_ALIASES, 'device', 'eval_dataset'})
            raise TypeError(
                f"Unknown argument '{name}' of build_trainer().{nearest(name, names)} Known: {', '.join(names)}."
            )
        if ours in found:
            raise TypeError(f"'{name}' is given twice, once under each of its two names. Leave one of them out.")
        if value is not None or ours == 'lora':
            found[ours] = value
    return found


def _device(name: str | None) -> str:
    device = resolve_device(name)
    if device.index:
        raise DeviceError(
            f"Training uses the visible GPUs; '{device}' cannot be chosen by name. Set "
            f"CUDA_VISIBLE_DEVICES={device.index} and device='gpu', or start it with accelerate launch."
        )
    return str(device)


def _as_path(dataset: Any, file: Path) -> str:
    """The path of ``dataset``. One in memory is written to ``file``, so that training can resume without it."""
    if isinstance(dataset, (str, os.PathLike)):
        return os.fspath(dataset)
    if not hasattr(dataset, '__len__') or not hasattr(dataset, '__getitem__') or isinstance(dataset, (bytes, dict)):
        raise InputError(f'The training data must be {_ACCEPTED}; found a {type(dataset).__name__}.')
    lines = [_line(dataset[index], index) for index in range(len(dataset))]
    with replacing(file) as draft, output_errors(file):
        draft.write_text(''.join(lines), encoding='utf-8')
    return str(file)


def _line(item: Any, index: int) -> str:
    entry = {key: value for key, value in item.items() if value is not None} if isinstance(item, dict) else {}
    paths = {key: entry[key] for key in ('video', 'image') if key in entry}
    if not paths or not all(isinstance(path, (str, os.PathLike)) for path in paths.values()):
        found = {key: type(value).__name__ for key, value in entry.items()} or type(item).__name__
        raise InputError(f'Item {index} of the training data is {found}. The data must be {_ACCEPTED}.')
    absolute = {key: str(Path(path).absolute()) for key, path in paths.items()}
    try:
        return json.dumps({**entry, **absolute}) + '\n'
    except (TypeError, ValueError) as error:
        raise InputError(f'Item {index} of the training data cannot be written as JSON: {error}.') from error

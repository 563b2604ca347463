"""ModelScope's way to a training: ``build_trainer(name, default_args).train()``."""

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

#: Our names of what ModelScope's arguments say; both are taken.
_ALIASES = {'train_dataset': 'data', 'work_dir': 'output'}
#: What ``build_trainer`` may add; nothing here depends on them: code of a model's page is never run.
_MODELSCOPE_OPTIONS = frozenset(['ignore_file_pattern', 'invoked_by', 'third_party', 'trust_remote_code', 'use_hf'])
_ACCEPTED = (
    "a folder, a JSON Lines file, or a dataset with a length whose items are {'video': path, 'text': ...} or "
    "{'image': path}"
)


class GenerationTrainer(BaseTrainer):
    """Fine-tuning of any stage; a subclass says of which.

    Args:
        model: a model's folder or hub id. A folder's absolute path keeps ModelScope from asking the hub about it.
        train_dataset: a folder, a JSON Lines file (see :func:`~modelscope_i2v.training.data.sources.find_examples`),
            or a map-style dataset whose items are what a line of such a file holds; paths are then relative to the
            current folder.
        eval_dataset: the same, for validation; None takes the first examples of ``train_dataset``.
        work_dir: folder for checkpoints, logs and the result.
        device: ``'cpu'``, ``'gpu'``, ``'cuda'`` or ``'mps'``; which GPUs is up to ``accelerate launch``.
        **options: the other fields of :class:`~modelscope_i2v.training.configuration.TrainingConfiguration`; its
            sections as dicts or as settings.

    Raises:
        TypeError: for an unknown argument, naming it and the nearest known one.
        ConfigurationError, CheckpointError, InputError, DeviceError: as the parts do.
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
        """Train, or go on with an interrupted training.

        Args:
            checkpoint_path: must be None: a training goes on from the newest checkpoint in ``work_dir`` by itself.

        Returns:
            What to hand to ``pipeline(...)``: a file for its argument ``lora``, or the folder of a model.

        Raises:
            InputError: for a ``checkpoint_path``. ConfigurationError, CheckpointError, InputError, DeviceError,
                OutputError: as the parts do.
        """
        from modelscope_i2v.training.trainer import train

        if checkpoint_path is not None:
            raise InputError(
                f"A training goes on from the newest checkpoint in 'work_dir' by itself, found 'checkpoint_path' "
                f"'{os.fspath(checkpoint_path)}'. Leave it out, and give the 'work_dir' of the training to go on with."
            )
        return str(train(self.configuration))

    def evaluate(self, checkpoint_path: str | os.PathLike[str] | None = None, *_: Any, **__: Any) -> dict[str, float]:
        """The metrics of validation.

        Args:
            checkpoint_path: what :meth:`train` returned; None takes it from ``work_dir``, and before there is one
                measures the model as it is.

        Raises:
            InputError: if there is nothing at ``checkpoint_path``. The others as :meth:`train`.
        """
        from modelscope_i2v.training.trainer import evaluate, result_path

        result: Path | None = result_path(self.configuration) if checkpoint_path is None else Path(checkpoint_path)
        if result is not None and not result.exists():
            if checkpoint_path is not None:
                raise InputError(f"There is nothing to evaluate at '{checkpoint_path}'. Give what train() returned.")
            result = None
        return evaluate(self.configuration, self._device, result)


def _renamed(options: dict[str, Any]) -> dict[str, Any]:
    """``options`` with our names, without those that are not given."""
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
            raise TypeError(f"'{name}' is given twice, the other time under its other name. Leave one of the two out.")
        if value is not None or ours == 'lora':
            found[ours] = value
    return found


def _device(name: str | None) -> str:
    device = resolve_device(name)
    if device.index:
        raise DeviceError(
            f"A training takes the GPUs that it is given, and cannot be told '{device}' by name. Set "
            f"CUDA_VISIBLE_DEVICES={device.index} and device='gpu', or run it under accelerate launch."
        )
    return str(device)


def _as_path(dataset: Any, file: Path) -> str:
    """The path of ``dataset``; one in memory is written to ``file``, so that a training can go on without it."""
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

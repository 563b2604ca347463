"""What both stages' pipelines share: one generation from the arguments of a call to the result that it returns."""

from __future__ import annotations

import dataclasses
import os
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from modelscope.msdatasets import MsDataset
from modelscope.outputs import OutputKeys
from modelscope.pipelines.base import Pipeline

from modelscope_i2v import __version__
from modelscope_i2v.checks import integer
from modelscope_i2v.configuration_file import FILE_NAME, as_mapping, check_stage, read_configuration
from modelscope_i2v.diffusion.samplers.steps import Callback
from modelscope_i2v.diffusion.schedules import signal_scale
from modelscope_i2v.errors import ConfigurationError, DeviceError, InputError
from modelscope_i2v.generation.arguments import GenerationArguments, merge_arguments
from modelscope_i2v.generation.configuration import MAX_SEED
from modelscope_i2v.generation.early_checks import MODEL_OPTIONS, call_options
from modelscope_i2v.hub.snapshots import snapshot_identity
from modelscope_i2v.media.frames import frames_to_float, frames_to_uint8
from modelscope_i2v.media.writing.write import check_output, encode_video, write_video
from modelscope_i2v.plugin.registration import Stage
from modelscope_i2v.runtime.device import memory_errors, resolve_device
from modelscope_i2v.runtime.progress import progress_bar

SMALLER = "Ask for fewer frames or a smaller size, or for dtype='fp16' or 'bf16' on a GPU."
#: Arguments that say what to do with a video, not how it was made: they are no part of a recipe.
NOT_IN_RECIPE = ('output_video', 'output_type', 'latents', 'callback_on_step_end', 'show_progress')


class GenerationPipeline(Pipeline):
    """Base of both pipelines; a subclass names its stage and its arguments and says how inputs become latents.

    Args:
        model: a model's folder (``modelscope.pipelines.pipeline`` resolves hub ids), or a model that was built before.
        preprocessor: built from the model's folder if None.
        device: see :func:`~modelscope_i2v.runtime.device.resolve_device`.
        **options: ``dtype``, ``attention``, ``lora``, ``lora_scale``, and defaults for every argument of a call.

    Raises:
        TypeError: for an unknown argument, naming it and the nearest known one.
        ConfigurationError, CheckpointError, DeviceError, InputError: as the model and the arguments do.
    """

    stage: ClassVar[Stage]
    model_type: ClassVar[type[Any]]
    preprocessor_type: ClassVar[type[Any]]
    arguments_type: ClassVar[type[GenerationArguments]]

    def __init__(self, model: Any, preprocessor: Any = None, device: str | None = 'gpu', **options: Any) -> None:
        self._call_defaults = {name: options[name] for name in call_options(self.arguments_type, options)}
        resolved = resolve_device(device)
        if isinstance(model, (str, os.PathLike)):
            model = self._build_model(os.fspath(model), str(resolved), options)
        elif options.get('lora') is not None:
            raise InputError(
                "'lora' needs a model's folder or hub id; a model that is built was given its own, or none."
            )
        if not isinstance(model, self.model_type):
            raise ConfigurationError(
                f"Task '{self.stage.task}' needs a model of type '{self.stage.model}', found {type(model).__name__}. "
                "Use the model's own task, or another model."
            )
        if preprocessor is None:
            preprocessor = self.preprocessor_type(model.model_dir)
        elif not isinstance(preprocessor, self.preprocessor_type):
            wanted, found = self.preprocessor_type.__name__, type(preprocessor).__name__
            raise InputError(f"'preprocessor' must be a {wanted} or None, found {found}.")
        try:
            # ModelScope knows no 'mps'; where the model runs is settled above, so the base class need not know either.
            super().__init__(model=model, preprocessor=preprocessor, device='cpu', auto_collate=False)
        except OSError as error:  # it reads the configuration again, through a temporary file
            raise ConfigurationError(
                f"ModelScope cannot read the configuration of '{model.model_dir}': {error}. Is the folder for "
                'temporary files full?'
            ) from error
        self.device_name = str(model.device)
        self.device = model.device
        # The weights are in place. The base class would move them at the first call, and if that runs out of memory it
        # leaves a lock behind that blocks the next call for ten minutes.
        self._model_prepare = True
        self._lock = threading.RLock()  # a callback may call the pipeline again
        self.resolve_arguments({})

    def _build_model(self, model_dir: str, device: str, options: Mapping[str, Any]) -> Any:
        """The model of a folder; not through ModelScope, which refuses pages with code of their own, never run here."""
        file = Path(model_dir) / FILE_NAME
        content = read_configuration(model_dir)
        check_stage(content, file, self.stage)
        section = as_mapping(content['model'], file, 'model')
        return self.model_type(
            model_dir,
            device=device,
            model_args=section.get('model_args'),
            model_cfg=section.get('model_cfg'),
            show_progress=options.get('show_progress', True),
            **{name: options[name] for name in MODEL_OPTIONS if name in options},
        )

    def __call__(self, input: Any, *positional: Any, **arguments: Any) -> Any:
        """Generate one video, or a list of videos for a list of inputs.

        Args:
            input: what the stage's preprocessor takes, or a list of that.
            **arguments: see :mod:`modelscope_i2v.generation.arguments`. For a list, ``seed`` may be a list too (else
                ``seed``, ``seed + 1``, ...), and so must be ``output_video`` if it is given.

        Returns:
            ``{'output_video': ..., 'seed': int, 'model_revision': str | None}``, or a list of such.

        Raises:
            TypeError: for an unknown argument. InputError: for an input or a value that cannot be used.
            OutputError: if the video cannot be written. Interrupted: if a callback raised it.
        """
        if positional:
            raise TypeError(f'All arguments but the input are keyword-only, found {len(positional)} more by position.')
        arguments.pop('batch_size', None)  # ModelScope's own; one video is made at a time whatever it says
        if isinstance(input, MsDataset):
            return (self._generate(item, arguments) for item in input)
        if not isinstance(input, list) or self.is_one(input):
            return self._generate(input, arguments)
        seeds = self._seeds(arguments, len(input))
        outputs = arguments.get('output_video', self._call_defaults.get('output_video'))
        if outputs is None:
            outputs = [None] * len(input)
        elif not isinstance(outputs, Sequence) or isinstance(outputs, str) or len(outputs) != len(input):
            raise InputError(f"For {len(input)} inputs 'output_video' must be a list of {len(input)} paths or None.")
        return [
            self._generate(item, {**arguments, 'seed': seed, 'output_video': output})
            for item, seed, output in zip(input, seeds, outputs, strict=True)
        ]

    def preprocess(self, inputs: Any, arguments: GenerationArguments) -> dict[str, Any]:
        """Whatever the user gave -> tensors."""
        raise NotImplementedError

    def forward(self, inputs: dict[str, Any], arguments: GenerationArguments) -> torch.Tensor:
        """Tensors -> latents ``[1, 4, F, h, w]``."""
        raise NotImplementedError

    def postprocess(
        self, latents: torch.Tensor, arguments: GenerationArguments, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Latents -> the result of a call."""
        return {
            OutputKeys.OUTPUT_VIDEO: self._output(latents, arguments, inputs),
            'seed': arguments.seed,
            'model_revision': self.model_revision,
        }

    def arguments_of(self, input: Any) -> dict[str, Any]:
        """Arguments that an input brings along; those of the call win."""
        return {}

    def is_one(self, input: Any) -> bool:
        """Whether a list is one input, not a list of inputs."""
        return False

    def finish(self, frames: torch.Tensor, inputs: dict[str, Any]) -> torch.Tensor:
        """Decoded frames ``[n, 3, H, W]`` -> what the user gets to see of them."""
        return frames

    def file_options(self, arguments: GenerationArguments, inputs: dict[str, Any]) -> dict[str, Any]:
        """How the frames are written: arguments of :func:`~modelscope_i2v.media.writing.write.write_video`."""
        return {'fps': float(arguments.output_fps or 0), 'recipe': [self.recipe(arguments)]}

    @property
    def model_revision(self) -> str | None:
        """The revision that the model's folder is a snapshot of, None for any other folder."""
        found = snapshot_identity(Path(self.model.model_dir).resolve())
        return found[1] if found else None

    @property
    def model_name(self) -> str:
        """The hub id of a snapshot, else the name of the folder."""
        folder = Path(self.model.model_dir).resolve()
        found = snapshot_identity(folder)
        return found[0] if found else folder.name

    def recipe(self, arguments: GenerationArguments) -> dict[str, Any]:
        """How a video was made, as plain values."""
        made = {item.name: getattr(arguments, item.name) for item in dataclasses.fields(arguments)}
        return {
            'stage': self.stage.task,
            'model': self.model_name,
            'revision': self.model_revision,
            **{name: value for name, value in made.items() if name not in NOT_IN_RECIPE},
            'latents_given': arguments.latents is not None,
            **({'lora': self.model.lora, 'lora_scale': self.model.lora_scale} if self.model.lora else {}),
            'dtype': str(self.model.dtype).removeprefix('torch.'),
            'software': f'modelscope_i2v {__version__}',
        }

    def resolve_arguments(self, call: Mapping[str, Any]) -> GenerationArguments:
        """All arguments of a call: given here, to ``pipeline(...)``, configured, or built in; the seed drawn if free.

        Raises:
            TypeError: for an unknown argument. InputError: for a value that is not allowed.
        """
        arguments = merge_arguments(self.arguments_type, self.model.call_defaults(), self._call_defaults, call)
        if arguments.seed is None:
            arguments = dataclasses.replace(arguments, seed=secrets.randbelow(2**32))
        self.model.check_arguments(arguments)
        return arguments

    def _seeds(self, arguments: Mapping[str, Any], count: int) -> list[int | None]:
        seed = arguments.get('seed')
        if isinstance(seed, Sequence) and not isinstance(seed, str):
            if len(seed) != count:
                raise InputError(f"'seed' has {len(seed)} values for {count} inputs; give one each, or a single one.")
            return list(seed)
        if seed is None:
            seed = self._call_defaults.get('seed', self.model.model_args.seed)
        if seed is None:
            return [None] * count
        first = integer('seed', seed, 0, MAX_SEED - count, error=InputError)
        return [first + index for index in range(count)]

    def _generate(self, input: Any, call: Mapping[str, Any]) -> dict[str, Any]:
        arguments = self.resolve_arguments({**self.arguments_of(input), **call})
        if arguments.output_video is not None:
            check_output(arguments.output_video)  # now, not after minutes of sampling
        inputs = self.preprocess(input, arguments)
        with self._lock, memory_errors(SMALLER), torch.no_grad():
            latents = self.forward(inputs, arguments)
            if not torch.isfinite(latents).all():
                exact = self.model.dtype == torch.float32
                raise DeviceError(
                    f'The network produced NaN or infinite values in {self.model.dtype} on {self.device}. '
                    + ('Are its weights damaged?' if exact else "Build the pipeline with dtype='fp32' (or 'bf16').")
                )
            return self.postprocess(latents, arguments, inputs)

    def _callback(self, arguments: GenerationArguments, bar: Any) -> Callback:
        """Between the sampler's scale and the user's: latents as the network works on them, and its timesteps."""

        def after_step(index: int, sigma: float, sigma_next: float, x: torch.Tensor) -> torch.Tensor | None:
            bar.update()
            if arguments.callback_on_step_end is None:
                return None
            scale = signal_scale(sigma_next).float().to(x.device)
            timestep = self.model.schedule.timestep(sigma)
            answer = arguments.callback_on_step_end(self, index, timestep, {'latents': x * scale})
            if answer is not None and not isinstance(answer, Mapping):
                raise InputError(f"'callback_on_step_end' must return a dict or None, found {type(answer).__name__}.")
            replaced = (answer or {}).get('latents')
            if replaced is None:
                return None
            if not isinstance(replaced, torch.Tensor) or replaced.shape != x.shape or not replaced.isfinite().all():
                raise InputError(f"'callback_on_step_end' must return finite latents of shape {list(x.shape)}.")
            return replaced.to(x) / scale

        return after_step

    def _output(self, latents: torch.Tensor, arguments: GenerationArguments, inputs: dict[str, Any]) -> Any:
        if arguments.output_type == 'latent':
            return latents.cpu()
        with progress_bar('Decoding', latents.shape[2], show=arguments.show_progress) as bar:
            chunks = (self.finish(chunk, inputs) for chunk in self._decoded(latents, bar))
            if arguments.output_type == 'pt':
                return torch.cat([frames_to_float(chunk).cpu() for chunk in chunks])
            frames = (frame for chunk in chunks for frame in frames_to_uint8(chunk))
            if arguments.output_type == 'np':
                return np.stack(list(frames))
            if arguments.output_type == 'pil':
                from PIL import Image

                return [Image.fromarray(frame) for frame in frames]
            options = self.file_options(arguments, inputs)
            if arguments.output_video is None:
                return encode_video(frames, **options)
            return write_video(frames, arguments.output_video, **options)

    def _decoded(self, latents: torch.Tensor, bar: Any) -> Iterator[torch.Tensor]:
        for chunk in self.model.decode(latents):
            yield chunk
            bar.update(len(chunk))

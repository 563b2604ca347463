"""What every stage's pipeline shares: one generation from the arguments of a call to the result that it returns."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from modelscope.msdatasets import MsDataset
from modelscope.outputs import OutputKeys

from modelscope_i2v.diffusion.samplers.steps import Callback
from modelscope_i2v.errors import ConfigurationError, DeviceError, InputError
from modelscope_i2v.generation.arguments import GenerationArguments, merge_arguments
from modelscope_i2v.generation.callbacks import after_step
from modelscope_i2v.generation.early_checks import MODEL_OPTIONS, call_options
from modelscope_i2v.generation.model import GenerationModel
from modelscope_i2v.generation.modelscope_bases import Pipeline
from modelscope_i2v.generation.output import output_of
from modelscope_i2v.generation.recipe import model_identity, recipe_entry
from modelscope_i2v.generation.seeds import draw_seed, seeds_of
from modelscope_i2v.media.writing.write import check_output
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.runtime.device import resolve_device
from modelscope_i2v.runtime.out_of_memory import memory_errors
from modelscope_i2v.runtime.progress import progress_bar
from modelscope_i2v.stage import Stage

SMALLER = "Ask for fewer frames or a smaller size, or for dtype='fp16' or 'bf16' on a GPU."


class GenerationPipeline(Pipeline):
    """Base of all pipelines; a subclass names its stage and says how inputs become latents.

    Args:
        model: a model's folder (``modelscope.pipelines.pipeline`` resolves hub ids), or a model that was built before.
        preprocessor: built for the model if None.
        device: see :func:`~modelscope_i2v.runtime.device.resolve_device`.
        **options: ``dtype``, ``attention``, ``lora``, ``lora_scale``, and defaults for every argument of a call.

    Raises:
        TypeError: for an unknown argument, naming it and the nearest known one.
        ConfigurationError, CheckpointError, DeviceError, InputError: as the model and the arguments do.
    """

    stage: ClassVar[Stage]

    def __init__(
        self,
        model: str | os.PathLike[str] | ModelFolder | GenerationModel,
        preprocessor: Any = None,
        device: str | int | torch.device | None = 'gpu',
        **options: Any,
    ) -> None:
        self._call_defaults = {name: options[name] for name in call_options(self.stage, options)}
        model_class, preprocessor_class = self.stage.model_class, self.stage.preprocessor_class
        built: Any = model
        if isinstance(model, (str, os.PathLike, ModelFolder)):
            # Not through ModelScope, which refuses pages with code of their own; that code is never run here.
            folder = model if isinstance(model, ModelFolder) else ModelFolder.read(model, self.stage)
            named = {name: options[name] for name in (*MODEL_OPTIONS, 'show_progress') if name in options}
            built = model_class(folder, device=device, **named)
        else:
            resolve_device(device, warn=False)  # what ModelScope names, which may be its default
            self._refuse_model_options(options)
        if not isinstance(built, model_class):
            raise ConfigurationError(
                f"Task '{self.stage.task}' needs a model of type '{self.stage.model}', found {type(built).__name__}. "
                "Use the model's own task, or another model."
            )
        if preprocessor is None:
            preprocessor = preprocessor_class(built.folder)
        elif not isinstance(preprocessor, preprocessor_class):
            wanted, found = preprocessor_class.__name__, type(preprocessor).__name__
            raise InputError(f"'preprocessor' must be a {wanted} or None, found {found}.")
        try:
            # ModelScope knows no 'mps'; where the model runs is settled above, so the base class need not know either.
            super().__init__(model=built, preprocessor=preprocessor, device='cpu', auto_collate=False)
        except OSError as error:  # it reads the configuration again, through a temporary file
            raise ConfigurationError(
                f"ModelScope cannot read the configuration of '{built.model_dir}': {error}. Is the folder for "
                'temporary files full?'
            ) from error
        self._say_where_it_runs()
        # The weights are in place. The base class would move them at the first call, and if that runs out of memory it
        # leaves a lock behind that blocks the next call for ten minutes.
        self._model_prepare = True
        self._lock = threading.RLock()  # a callback may call the pipeline again
        self.resolve_arguments({})

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

    def to(self, device: str | int | torch.device) -> GenerationPipeline:
        """Move the networks to ``device`` and return the pipeline, as diffusers does.

        Raises:
            DeviceError: if the device is not there, or too small.
        """
        with self._lock:
            self.model.move_to(device)
            self._say_where_it_runs()
        return self

    def preprocess(self, inputs: Any, arguments: Any) -> dict[str, Any]:
        """Whatever the user gave -> tensors."""
        raise NotImplementedError

    def forward(self, inputs: dict[str, Any], arguments: Any) -> torch.Tensor:
        """Tensors -> latents ``[1, 4, F, h, w]``."""
        raise NotImplementedError

    def postprocess(self, latents: torch.Tensor, arguments: Any, inputs: dict[str, Any]) -> dict[str, Any]:
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

    def file_options(self, arguments: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        """How the frames are written: arguments of :func:`~modelscope_i2v.media.writing.write.write_video`."""
        return {'fps': float(arguments.output_fps or 0), 'recipe': [self.recipe(arguments)]}

    @property
    def model_revision(self) -> str | None:
        """The revision that the model's folder is a snapshot of, None for any other folder."""
        return model_identity(self.model.folder.path)[1]

    @property
    def model_name(self) -> str:
        """The hub id of a snapshot, ``'embedded'``, or the name of the folder."""
        return model_identity(self.model.folder.path)[0]

    def recipe(self, arguments: GenerationArguments) -> dict[str, Any]:
        """How a video is made, as plain values."""
        return recipe_entry(self.model, arguments)

    def resolve_arguments(self, call: Mapping[str, Any]) -> Any:
        """All arguments of a call: given here, to ``pipeline(...)``, configured, or built in; the seed drawn if free.

        Raises:
            TypeError: for an unknown argument. InputError: for a value that is not allowed.
        """
        arguments = merge_arguments(self.stage.arguments, self.model.call_defaults(), self._call_defaults, call)
        if arguments.seed is None:
            arguments = dataclasses.replace(arguments, seed=draw_seed())
        self.model.check_arguments(arguments)
        return arguments

    def after_step(self, arguments: GenerationArguments, bar: Any) -> Callback:
        """What the sampler calls after each step."""
        return after_step(self, arguments, self.model.schedule, bar)

    def _seeds(self, arguments: Mapping[str, Any], count: int) -> list[int | None]:
        places = (arguments, self._call_defaults, {'seed': self.model.model_args.seed})
        return seeds_of(next((place['seed'] for place in places if place.get('seed') is not None), None), count)

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

    def _output(self, latents: torch.Tensor, arguments: GenerationArguments, inputs: dict[str, Any]) -> Any:
        if arguments.output_type == 'latent':
            return latents.cpu()
        with progress_bar('Decoding', latents.shape[2], show=arguments.show_progress) as bar:
            chunks = (self.finish(chunk, inputs) for chunk in self._decoded(latents, bar))
            return output_of(chunks, arguments, lambda: self.file_options(arguments, inputs))

    def _decoded(self, latents: torch.Tensor, bar: Any) -> Iterator[torch.Tensor]:
        for chunk in self.model.decode(latents):
            yield chunk
            bar.update(len(chunk))

    @staticmethod
    def _refuse_model_options(options: Mapping[str, Any]) -> None:
        """Raise for options that a model which is built already cannot follow."""
        if options.get('lora') is not None:
            raise InputError(
                "'lora' needs a model's folder or hub id; a model that is built was given its own, or none."
            )
        for name in MODEL_OPTIONS:
            if options.get(name) is not None:
                raise TypeError(f"'{name}' says how a model is built, but this one is built. Leave it out.")

    def _say_where_it_runs(self) -> None:
        """Keep what ModelScope's base class says of the device true."""
        self.device = self.model.device
        self.device_name = str(self.device)

"""What every stage's pipeline shares: one generation, from the arguments of a call to its result."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from modelscope.msdatasets import MsDataset
from modelscope.outputs import OutputKeys

from modelscope_i2v.diffusion.samplers.steps import Callback
from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.files import output_target
from modelscope_i2v.generation.argument_names import EXECUTION_OPTIONS, MODEL_OPTIONS
from modelscope_i2v.generation.arguments import GenerationArguments, merge_arguments, own_names
from modelscope_i2v.generation.callbacks import after_step
from modelscope_i2v.generation.early_checks import call_options, check_room
from modelscope_i2v.generation.finite import SAMPLING, Repeats, repeated_entry
from modelscope_i2v.generation.memory_check import check_memory
from modelscope_i2v.generation.model import GenerationModel
from modelscope_i2v.generation.modelscope_bases import Pipeline
from modelscope_i2v.generation.output import output_of
from modelscope_i2v.generation.recipe import model_identity, recipe_entry
from modelscope_i2v.generation.seeds import draw_seed, seeds_of
from modelscope_i2v.generation.untrusted import callers_are_untrusted, untrusted_call
from modelscope_i2v.generation.video_size import InputSize
from modelscope_i2v.media.writing.write import check_output
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.runtime.device import resolve_device
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.runtime.out_of_memory import memory_errors
from modelscope_i2v.runtime.progress import progress_bar
from modelscope_i2v.stage import Stage

SMALLER = (
    "Ask for fewer frames or a smaller size, or on a GPU load the model with memory='low', dtype='fp16' or 'bf16'."
)
IN_FLOAT32 = (
    'Half precision was not enough, and float32 takes twice the memory. Ask for fewer frames or a smaller size, or use '
    "'bf16', in which nothing has to be repeated."
)

#: Stands for an input that was not given: None could be one.
NO_INPUT: Any = object()


class GenerationPipeline(Pipeline):
    """Base of all pipelines; a subclass names its stage and says how inputs become latents.

    Args:
        model: a model's folder (``modelscope.pipelines.pipeline`` resolves hub ids), or a built model.
        preprocessor: built for the model if None.
        device: see :func:`~modelscope_i2v.runtime.device.resolve_device`.
        **options: ``dtype``, ``attention``, ``compile``, ``autoencoder_dtype``, ``memory``, ``weights_dtype``,
            ``lora``, ``lora_scale``, and defaults for every argument of a call.

    Raises:
        TypeError: for an unknown argument, naming it and the nearest known one.
        ConfigurationError, CheckpointError, DeviceError, InputError: as in the model and the arguments.
    """

    stage: ClassVar[Stage]

    def __init__(
        self,
        model: str | os.PathLike[str] | ModelFolder | GenerationModel,
        preprocessor: Any = None,
        device: str | int | torch.device | None = 'gpu',
        **options: Any,
    ) -> None:
        self._untrusted = callers_are_untrusted()
        defaults = {name: options[name] for name in call_options(self.stage, options)}
        self._call_defaults = own_names(self.stage.arguments, defaults)
        model_class, preprocessor_class = self.stage.model_class, self.stage.preprocessor_class
        built: Any = model
        if isinstance(model, (str, os.PathLike, ModelFolder)):
            # Bypass ModelScope, which refuses pages with code of their own. That code is never run here.
            folder = model if isinstance(model, ModelFolder) else ModelFolder.read(model, self.stage)
            given = {name: options[name] for name in (*MODEL_OPTIONS, 'show_progress') if name in options}
            resolved = {name: given.pop(name, None) for name in EXECUTION_OPTIONS}
            execution = Execution.resolve(device, **resolved)
            check_room(folder, self._call_defaults, execution)
            execution.announce()
            built = model_class(folder, execution=execution, **given)
        else:
            resolve_device(device, warn=False)  # only a check: ModelScope passes this, and it may be its default
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
            raise InputError(f"'preprocessor' must be of type {wanted} or None, found {found}.")
        try:
            # ModelScope does not know 'mps'. The model already is on its device, so the base class need not know it.
            super().__init__(model=built, preprocessor=preprocessor, device='cpu', auto_collate=False)
        except OSError as error:  # ModelScope reads the configuration again, through a temporary file
            raise ConfigurationError(
                f"ModelScope cannot read the configuration of '{built.model_dir}': {error}. Is the folder for "
                'temporary files full?'
            ) from error
        self._say_where_it_runs()
        # The weights are in place. The base class would move them at the first call. If that ran out of memory, it
        # would leave a lock behind that blocks the next call for ten minutes.
        self._model_prepare = True
        self.resolve_arguments({})

    def generate(self, input: Any = NO_INPUT, *positional: Any, **arguments: Any) -> Any:
        """Generate one video, or a list of videos for a list of inputs: what calling a pipeline does.

        Args:
            input: an input that the stage's preprocessor takes, or a list of such inputs.
            **arguments: see :mod:`modelscope_i2v.generation.arguments`. For a list of inputs, ``seed`` may be
                a list, too (a number means ``seed``, ``seed + 1``, ...), and ``output_video`` must be one if given.

        Returns:
            ``{'output_video': ..., 'seed': int, 'model_revision': str | None}``, or a list of such dicts. If half
            precision did not do for some phases, ``'repeated_in_float32'`` has their names.

        Raises:
            TypeError: for an unknown argument. InputError: for an input or a value that cannot be used.
            OutputError: if the video cannot be written. Interrupted: if a callback raised it.
        """
        if positional:
            raise TypeError(
                f'All arguments except the input are keyword-only, found {len(positional)} more by position.'
            )
        if input is NO_INPUT:
            self.resolve_arguments(arguments)  # says what an unknown name, such as image=, should have been
            raise TypeError('Give the input as the first argument.')
        if self._untrusted or callers_are_untrusted():
            input = untrusted_call(input, arguments)  # noqa: A001
        arguments.pop('batch_size', None)  # ModelScope's own argument; videos are made one at a time anyway
        if isinstance(input, MsDataset):
            return (self._generate(item, self._prepare(item, arguments)) for item in input)
        if not isinstance(input, list) or self.is_one(input):
            return self._generate(input, self._prepare(input, arguments))
        seeds = self._seeds(arguments, len(input))
        outputs = arguments.get('output_video', self._call_defaults.get('output_video'))
        if outputs is None:
            outputs = [None] * len(input)
        elif not isinstance(outputs, Sequence) or isinstance(outputs, str) or len(outputs) != len(input):
            raise InputError(f"For {len(input)} inputs 'output_video' must be a list of {len(input)} paths or None.")
        named = [output_target(path) for path in outputs if isinstance(path, (str, os.PathLike))]
        if len(set(named)) < len(named):
            raise InputError("'output_video' names the same file twice. Give each input its own.")
        # All of them before the first one is generated.
        prepared = [
            self._prepare(item, {**arguments, 'seed': seed, 'output_video': output})
            for item, seed, output in zip(input, seeds, outputs, strict=True)
        ]
        return [self._generate(item, own) for item, own in zip(input, prepared, strict=True)]

    def to(self, device: str | int | torch.device) -> GenerationPipeline:
        """Move the networks to ``device`` and return the pipeline, as diffusers does.

        Raises:
            DeviceError: if the device is not available, or its memory is too small.
        """
        with self.model.precision.lock:
            self.model.move_to(device)
            self._say_where_it_runs()
        return self

    def preprocess(self, inputs: Any, arguments: Any) -> dict[str, Any]:
        """The user's input -> tensors."""
        raise NotImplementedError

    def forward(self, inputs: dict[str, Any], arguments: Any) -> torch.Tensor:
        """Tensors -> latents ``[1, 4, F, h, w]``."""
        raise NotImplementedError

    def postprocess(
        self, latents: torch.Tensor, arguments: Any, inputs: dict[str, Any], repeated: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Latents -> the result of a call.

        Args:
            repeated: the names of the phases that were repeated in float32.
        """
        return {
            OutputKeys.OUTPUT_VIDEO: self._output(latents, arguments, inputs, repeated),
            'seed': arguments.seed,
            'model_revision': self.model_revision,
            **repeated_entry(repeated),
        }

    def arguments_of(self, input: Any) -> dict[str, Any]:
        """Arguments that an input contains; those of the call win."""
        return {}

    def is_one(self, input: Any) -> bool:
        """Whether a list is one input, not a list of inputs."""
        return False

    def input_size(self, inputs: dict[str, Any]) -> InputSize | None:
        """What is known of the input after :meth:`preprocess`; None if it decides nothing about the size."""
        return None

    def finish(self, frames: torch.Tensor, inputs: dict[str, Any]) -> torch.Tensor:
        """Decoded frames ``[n, 3, H, W]`` -> the frames that the user gets."""
        return frames

    def file_options(self, arguments: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        """How the frames are written: arguments of :func:`~modelscope_i2v.media.writing.write.write_video`."""
        return {'fps': float(arguments.output_fps or 0), 'recipe': [self.recipe(arguments)]}

    @property
    def call_defaults(self) -> Mapping[str, Any]:
        """The arguments of calls that were given when the pipeline was built."""
        return MappingProxyType(self._call_defaults)

    @property
    def model_revision(self) -> str | None:
        """The revision, if the model's folder is a snapshot from the hub, else None."""
        return model_identity(self.model.folder.path)[1]

    @property
    def model_name(self) -> str:
        """The hub id of a snapshot, ``'embedded'``, or the name of the folder."""
        return model_identity(self.model.folder.path)[0]

    def recipe(self, arguments: GenerationArguments) -> dict[str, Any]:
        """How a video is made, as plain values."""
        return recipe_entry(self.model, arguments)

    def resolve_arguments(self, call: Mapping[str, Any]) -> Any:
        """All arguments of a call: from ``call``, else ``pipeline(...)``, else the configuration, else the defaults.

        Draws a seed if none is set.

        Raises:
            TypeError: for an unknown argument. InputError: for a value that is not allowed.
        """
        arguments = merge_arguments(self.stage.arguments, self.model.call_defaults(), self._call_defaults, call)
        if arguments.seed is None:
            arguments = dataclasses.replace(arguments, seed=draw_seed())
        self.model.check_arguments(arguments)
        return arguments

    def check_memory(self, arguments: GenerationArguments, given: InputSize | None = None) -> None:
        """Raise DeviceError if a call needs more memory than there is; ``given`` is what is known of its input.

        It waits for a call that runs in another thread, whose memory is not free yet.
        """
        with self.model.precision.lock:
            check_memory(
                self.model.configuration,
                arguments,
                self.model.execution,
                weights=self.model.weights,
                resident=self.model.resident_bytes,
                resting=self.model.resting_bytes,
                given=given,
            )

    def after_step(self, arguments: GenerationArguments, bar: Any) -> Callback:
        """What the sampler calls after each step."""
        return after_step(self, arguments, self.model.schedule, bar)

    def _seeds(self, arguments: Mapping[str, Any], count: int) -> list[int | None]:
        places = (arguments, self._call_defaults, {'seed': self.model.model_args.seed})
        return seeds_of(next((place['seed'] for place in places if place.get('seed') is not None), None), count)

    def _prepare(self, input: Any, call: Mapping[str, Any]) -> Any:
        """The arguments for ``input``, its output found to be writable and the memory to do: now, not after minutes."""
        arguments = self.resolve_arguments({**self.arguments_of(input), **own_names(self.stage.arguments, call)})
        self.model.configuration.warn(arguments)
        if arguments.output_video is not None:
            check_output(arguments.output_video)
        if not self.model.configuration.follows_input(arguments):
            self.check_memory(arguments)
        return arguments

    def _generate(self, input: Any, arguments: Any) -> dict[str, Any]:
        inputs = self.preprocess(input, arguments)
        given = self.input_size(inputs)
        self.check_memory(arguments, given)
        repeats = Repeats(self.model.in_float32, [])
        with (
            self.model.precision.lock,
            memory_errors(lambda: IN_FLOAT32 if repeats.phases else SMALLER),
            torch.no_grad(),
            self.model.in_own_precision(),
        ):
            level = self.model.level_for(arguments, given)
            latents = self.model.within_memory(level, lambda: repeats.run(lambda: self._sampled(inputs, arguments)))
            result: dict[str, Any] = self.model.within_memory(
                self.model.execution.level,
                lambda: repeats.run(lambda: self.postprocess(latents, arguments, inputs, repeats.phases)),
            )
            return result

    def _sampled(self, inputs: dict[str, Any], arguments: GenerationArguments) -> torch.Tensor:
        latents = self.forward(inputs, arguments)
        self.model.check_finite(latents, SAMPLING)
        return latents

    def _output(
        self, latents: torch.Tensor, arguments: GenerationArguments, inputs: dict[str, Any], repeated: Sequence[str]
    ) -> Any:
        if arguments.output_type == 'latent':
            return latents.cpu()
        with (
            progress_bar('Decoding', latents.shape[2], show=arguments.show_progress) as bar,
            closing(self._decoded(latents, bar)) as decoded,
        ):
            chunks = (self.finish(chunk, inputs) for chunk in decoded)
            return output_of(chunks, arguments, lambda: self._file_options(arguments, inputs, repeated))

    def _file_options(
        self, arguments: GenerationArguments, inputs: dict[str, Any], repeated: Sequence[str]
    ) -> dict[str, Any]:
        options = self.file_options(arguments, inputs)
        *before, own = options['recipe']
        return {**options, 'recipe': [*before, {**own, **repeated_entry(repeated)}]}

    def _decoded(self, latents: torch.Tensor, bar: Any) -> Generator[torch.Tensor, None, None]:
        # If a frame cannot be written, the network leaves the device now, not when the error is forgotten.
        with closing(self.model.decode(latents)) as chunks:
            for chunk in chunks:
                yield chunk
                bar.update(len(chunk))

    @staticmethod
    def _refuse_model_options(options: Mapping[str, Any]) -> None:
        """Raise for options that cannot change a model that is already built."""
        if options.get('lora') is not None:
            raise InputError(
                "'lora' needs a model's folder or hub id; it cannot be added to a model that is already built."
            )
        for name in MODEL_OPTIONS:
            if options.get(name) is not None:
                raise TypeError(f"'{name}' is for building a model, but this one is already built. Leave it out.")

    def _say_where_it_runs(self) -> None:
        """Update what ModelScope's base class says about the device."""
        self.device = self.model.device
        self.device_name = str(self.device)

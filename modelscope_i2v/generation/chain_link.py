"""One stage of a chain: finding its model, checking that there is room, loading it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from modelscope_i2v.embedded import embedded_model
from modelscope_i2v.errors import ConfigurationError, InputError, shown
from modelscope_i2v.generation.arguments import GenerationArguments, merge_arguments
from modelscope_i2v.generation.chain_arguments import LOADING_BOTH, StageShare
from modelscope_i2v.generation.early_checks import check_call, check_room
from modelscope_i2v.generation.load import build_pipeline, check_task, find_model, is_folder
from modelscope_i2v.generation.pipeline import GenerationPipeline
from modelscope_i2v.generation.recipe import EMBEDDED, model_identity
from modelscope_i2v.generation.video_size import InputSize
from modelscope_i2v.hub.snapshots import Snapshot
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.stage import Stage

Model: TypeAlias = str | os.PathLike[str] | GenerationPipeline | None


@dataclass(frozen=True)
class Link:
    """One stage of a chain: its model, its share of the arguments, and its snapshot if that has been found."""

    stage: Stage
    model: Model
    share: StageShare
    found: Snapshot | None = None

    @property
    def call(self) -> dict[str, Any]:
        """The arguments of the call."""
        return self.share.call

    @property
    def loading(self) -> dict[str, Any]:
        """How the model is loaded."""
        return self.share.loading

    @property
    def is_loaded(self) -> bool:
        """Whether the caller has loaded the model, and keeps it."""
        return isinstance(self.model, GenerationPipeline)

    def model_name(self) -> str:
        """The model's name: a hub id, ``'embedded'``, or a folder's name."""
        if isinstance(self.model, GenerationPipeline):
            return self.model.model_name
        if self.model is None:
            return EMBEDDED
        return model_identity(Path(self.model))[0] if is_folder(self.model) else os.fspath(self.model)

    def revision(self) -> str | None:
        """The model's revision on the hub, if it was given or is known."""
        if isinstance(self.model, GenerationPipeline):
            return self.model.model_revision
        if isinstance(self.model, (str, os.PathLike)) and is_folder(self.model):
            return model_identity(Path(self.model))[1]
        named: str | None = self.loading.get('revision')
        return named

    def arguments(self) -> GenerationArguments:
        """The arguments of the call, as far as they are known without the model's configuration."""
        kind = self.stage.arguments
        defaults = self.model.call_defaults if isinstance(self.model, GenerationPipeline) else {}
        return merge_arguments(kind, kind.most_permissive, defaults, self.call)

    def execution(self) -> Execution:
        """Where the model will run."""
        return Execution.resolve(**{name: self.loading.get(name) for name in LOADING_BOTH})

    def find(self, *, offline: bool) -> Snapshot | None:
        """Find the model and check that it takes the call, but fetch no weights. None if it is already loaded."""
        if isinstance(self.model, GenerationPipeline):
            if self.model.stage is not self.stage:
                wanted, found = self.stage.task, self.model.stage.task
                raise ConfigurationError(f'A pipeline for {wanted} is needed here, found one for {found}.')
            if self.loading:
                names = ', '.join(map(repr, self.loading))
                raise InputError(
                    f'{names} for {self.stage.task}: this is for loading a model, but a loaded pipeline was given. '
                    'Leave it out.'
                )
            for name in ('output_video', 'output_type'):
                if name in self.model.call_defaults:
                    raise InputError(
                        f'The pipeline for {self.stage.task} has a default {name!r}, which a chain decides for both '
                        'stages. Load it without.'
                    )
            self.model.resolve_arguments(self.call)
            return None
        revision = self.loading.get('revision')
        if self.model is None and revision is not None:
            raise InputError(
                f'The revision {shown(revision)} for {self.stage.task} needs a model from the hub: '
                'the embedded model has no revisions.'
            )
        model = embedded_model(self.stage.task) if self.model is None else self.model
        snapshot = self.found or find_model(model, revision, offline=offline)
        check_task(snapshot.folder, self.stage.task)
        check_call(snapshot.folder, self.call, self.loading.get('lora'), self.loading.get('lora_scale'))
        return snapshot

    def check_room(
        self, snapshot: Snapshot | None, execution: Execution | None, given: InputSize | None = None
    ) -> InputSize:
        """Raise DeviceError unless there is memory for the model and the call; returns what is known of its video.

        Args:
            given: what is known of its input.
        """
        if snapshot is None or execution is None:
            loaded: Any = self.model
            configuration, arguments = loaded.model.configuration, loaded.resolve_arguments(self.call)
            loaded.check_memory(arguments, given)
        else:
            configuration = snapshot.folder.configuration
            arguments = merge_arguments(self.stage.arguments, snapshot.folder.call_defaults(), self.call)
            check_room(snapshot.folder, self.call, execution, is_whole=True, given=given)
        size = configuration.video_size(arguments, given)
        return InputSize(size.width / size.height, lambda most: min(most, size.frames or most))

    def load(self, folder: ModelFolder | None, execution: Execution | None) -> Any:
        """The pipeline, which is built unless the caller has loaded it."""
        if folder is None or execution is None:
            return self.model
        options = {name: self.loading[name] for name in ('lora', 'lora_scale') if name in self.loading}
        shown = {name: self.call[name] for name in ('show_progress',) if name in self.call}
        return build_pipeline(folder, execution, **options, **shown)

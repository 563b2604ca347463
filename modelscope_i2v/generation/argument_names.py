"""What to say about an unknown argument: the nearest name of ours, or our name for one from another library."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from types import MappingProxyType

from modelscope_i2v.errors import nearest
from modelscope_i2v.stage import stages

#: Names from diffusers and other video libraries -> our arguments; the first one that the call takes is suggested.
OURS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        'num_inference_steps': ('steps',),
        'num_steps': ('steps',),
        'sampling_steps': ('steps',),
        'generator': ('seed',),
        'cfg_scale': ('guidance_scale',),
        'guidance': ('guidance_scale',),
        'max_guidance_scale': ('guidance_scale',),
        'prompt': ('text',),
        'caption': ('text',),
        'strength': ('noise_level', 'image_strength'),
        'noise_aug_strength': ('noise_strength',),
        'target_fps': ('fps', 'output_fps'),
        'fps': ('output_fps',),
        'model': ('stage1',),
        'stage1_model': ('stage1',),
        'stage2_model': ('stage2',),
        'frame_rate': ('output_fps',),
        'max_frames': ('num_frames',),
        'video_length': ('num_frames',),
        'scheduler': ('solver',),
        'sampler': ('solver',),
        'callback': ('callback_on_step_end',),
        'progress_bar': ('show_progress',),
        'output': ('output_video',),
        'output_path': ('output_video',),
        'torch_dtype': ('dtype',),
        'variant': ('dtype',),
        'storage_dtype': ('weights_dtype',),
        'model_revision': ('revision',),
        'revision': ('model_revision',),
        'adapter': ('lora',),
        'device_map': ('device',),
    }
)
#: Names that match no single argument of ours -> what to do instead.
ADVICE: Mapping[str, str] = MappingProxyType(
    {
        'image': 'Give the input as the first argument.',
        'video': 'Give the input as the first argument.',
        'video_path': 'Give the input as the first argument.',
        'num_videos_per_prompt': "For several videos, give a list of inputs, with a list of numbers as 'seed'.",
        'compare': 'It is an option of the verbs video-to-video and chain, whose input or first video it shows.',
        'decode_chunk_size': 'Leave it out: frames are always decoded a few at a time, to save memory.',
        'return_dict': 'Leave it out: the result is always a dict.',
        'resolution': "Give 'height' and 'width'.",
    }
)
#: Names of texts, which some models do not take.
TEXTS = ('text', 'negative_prompt')
#: Arguments of a pipeline's constructor that say how its networks run.
EXECUTION_OPTIONS = ('dtype', 'attention', 'compile', 'autoencoder_dtype', 'memory', 'weights_dtype')
#: Arguments of a pipeline's constructor that belong to the model.
MODEL_OPTIONS = (*EXECUTION_OPTIONS, 'lora', 'lora_scale')
#: Arguments for loading a model, not for a call.
LOADING = ('device', *MODEL_OPTIONS)
#: What sends an argument of a chain to one stage.
PREFIXES = ('stage1_', 'stage2_')


def hint(name: str, known: Collection[str]) -> str:
    """What to do instead of the unknown argument ``name``, as a sentence after a space, or an empty string."""
    ours = OURS.get(name, ())
    prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), '')
    bare = name.removeprefix(prefix)
    names = [each for own in (bare, *OURS.get(bare, ())) for each in (prefix + own, own)] if prefix else []
    if prefix and bare == 'negative_prompt':  # every stage that takes texts takes it with its prefix
        return f' The model of that stage takes no text. {models_with_text()}'
    taken = [candidate for candidate in (*ours, *names) if candidate in known]
    if taken:
        return f" Did you mean '{taken[0]}'?"
    for own in (name, *ours):
        sent = [prefix + own for prefix in PREFIXES if prefix + own in known]
        if sent:
            return f' Did you mean {" or ".join(map(repr, sent))}?'
    if name in LOADING or set(ours) & set(LOADING):
        return ' Give it when you load the model, to load(...) or pipeline(...).'
    if name in TEXTS or 'text' in ours:
        return f' This model takes no text. {models_with_text()}'
    if name in ADVICE:
        return f' {ADVICE[name]}'
    if takers := models_with(name):
        return f' Models of type {takers} take it.'
    return '' if ours else nearest(name, known)


def models_with_text() -> str:
    """Which models take a text, as a sentence."""
    return f'Models of type {models_with("text")} take one.'


def models_with(name: str) -> str:
    """The types of the models that take the argument ``name``, as a list in words; empty if there are none."""
    models = [stage.model for stage in stages() if name in {item.name for item in dataclasses.fields(stage.arguments)}]
    return ' and '.join(filter(None, (', '.join(map(repr, models[:-1])), *map(repr, models[-1:]))))


class UnknownArgumentError(TypeError):
    """An argument that a call does not take.

    Attributes:
        name: of the argument.
        advice: what to do instead, as a sentence after a space, or an empty string.
    """

    # ModelScope makes errors of models and pipelines again, from their message alone.
    def __init__(self, message: str, name: str = '', advice: str = '') -> None:
        super().__init__(message)
        self.name, self.advice = name, advice


def unknown_argument(name: str, known: Collection[str], where: str = '') -> UnknownArgumentError:
    """The error for an unknown argument.

    Args:
        where: what was called, if the message should name it.
    """
    place, advice = f' of {where}' if where else '', hint(name, known)
    message = f"Unknown argument '{name}'{place}.{advice} Known: {', '.join(sorted(known))}."
    return UnknownArgumentError(message, name, advice)

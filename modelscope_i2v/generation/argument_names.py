"""What to say about an argument that nobody takes: the nearest of ours, or ours for a name of another library."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from modelscope_i2v.errors import nearest

#: Names that people bring from diffusers and other video libraries -> our arguments, the first that is known counts.
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
        'strength': ('noise_level',),
        'noise_aug_strength': ('noise_strength',),
        'target_fps': ('fps', 'output_fps'),
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
        'model_revision': ('revision',),
        'revision': ('model_revision',),
        'adapter': ('lora',),
        'device_map': ('device',),
    }
)
#: Names that no single argument of ours stands for, with what to do instead.
ADVICE: Mapping[str, str] = MappingProxyType(
    {
        'image': 'Give the input as the first argument.',
        'video': 'Give the input as the first argument.',
        'video_path': 'Give the input as the first argument.',
        'num_videos_per_prompt': "Give a list of inputs, with a list of numbers as 'seed', for several videos.",
        'decode_chunk_size': 'Leave it out: frames are decoded a few at a time, as many as the memory suits.',
        'return_dict': 'Leave it out: the result is always a dict.',
        'resolution': "Give 'height' and 'width'.",
        'compile': 'Leave it out: nothing would be compiled.',
        'text': 'This model takes no text.',
        'negative_prompt': 'This model takes no text.',
    }
)


#: What is said when a model is loaded, not in a call.
LOADING = ('device', 'dtype', 'attention', 'lora', 'lora_scale')


def hint(name: str, known: Collection[str]) -> str:
    """What to do instead of the unknown argument ``name``, as a sentence after a space, or an empty string."""
    ours = OURS.get(name, ())
    taken = [candidate for candidate in ours if candidate in known]
    if taken:
        return f" Did you mean '{taken[0]}'?"
    if name in LOADING or set(ours) & set(LOADING):
        return ' Say it where the model is loaded: in load(...) or pipeline(...).'
    if 'text' in ours:
        return f' {ADVICE["text"]}'
    if name in ADVICE:
        return f' {ADVICE[name]}'
    return '' if ours else nearest(name, known)


def unknown_argument(name: str, known: Collection[str], where: str = '') -> TypeError:
    """The error for an argument that nobody takes.

    Args:
        where: what was called, if that is to be named.
    """
    place = f' of {where}' if where else ''
    return TypeError(f"Unknown argument '{name}'{place}.{hint(name, known)} Known: {', '.join(sorted(known))}.")

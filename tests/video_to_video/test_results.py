"""Text, types of output, recipes and callbacks of stage 2."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from modelscope_i2v.errors import InputError, Interrupted
from modelscope_i2v.media.reading.info import read_recipe
from modelscope_i2v.video_to_video.prompts import NEGATIVE_PROMPT, POSITIVE_PROMPT
from tests.calls import CLIP, VIDEO, build_2, latents_of, unet_calls
from tests.folders import ABSENT, variant

# Text


def contexts(pipeline, source=None, **arguments):
    """What the UNet is conditioned on: the features of the text, then of the negative prompt."""
    with unet_calls(pipeline) as calls:
        latents_of(pipeline, source, steps=1, num_frames=1, **arguments)
    return [context for _, _, context in calls]


def test_text_of_a_call_and_of_the_input(stage_2, stage_2_folder):
    features = [stage_2.model.encode_text(text, POSITIVE_PROMPT) for text in ('a fox', 'a cat', '')]
    assert torch.equal(contexts(stage_2, text='a fox')[0], features[0])
    assert torch.equal(contexts(stage_2, {'video_path': CLIP, 'text': 'a fox'})[0], features[0])
    assert torch.equal(contexts(stage_2, {'video_path': CLIP, 'text': 'a fox'}, text='a cat')[0], features[1])
    for source in (CLIP, {'video_path': CLIP}, {'video_path': CLIP, 'text': None}, {'video_path': CLIP, 'text': ''}):
        assert torch.equal(contexts(stage_2, source)[0], features[2])
    made = build_2(stage_2_folder, text='a cat')
    assert torch.equal(contexts(made)[0], features[1])
    assert torch.equal(contexts(made, {'video_path': CLIP, 'text': 'a fox'})[0], features[0])
    assert not torch.equal(features[0], features[1])


def test_text_changes_the_video(stage_2):
    found = [latents_of(stage_2, seed=1, text=text) for text in ('', 'a fox')]
    found.append(latents_of(stage_2, seed=1, negative_prompt='a fox'))
    found.append(latents_of(stage_2, seed=1, negative_prompt=''))
    for index, first in enumerate(found):
        assert all((first - second).abs().max() > 1e-4 for second in found[index + 1 :])


def test_prompts_come_from_the_configuration(stage_2, stage_2_folder, tmp_path):
    assert torch.equal(contexts(stage_2)[1], stage_2.model.encode_text(NEGATIVE_PROMPT))
    changes = {'model.model_cfg.positive_prompt': ', sharp', 'model.model_cfg.negative_prompt': 'fog'}
    made = build_2(variant(stage_2_folder, tmp_path / 'a', changes))
    text, negative = contexts(made, text='a fox')
    assert torch.equal(text, made.model.encode_text('a fox, sharp'))
    assert torch.equal(negative, made.model.encode_text('fog'))
    assert torch.equal(contexts(made, negative_prompt='rain')[1], made.model.encode_text('rain'))


def test_long_text_is_cut_with_a_warning(stage_2, caplog):
    with caplog.at_level(logging.WARNING):
        latents_of(stage_2, steps=1, num_frames=1, text='one two three ' * 30)
    assert [entry for entry in caplog.records if '90 tokens' in entry.getMessage()]


@pytest.mark.parametrize('text', [3, ['a fox'], b'a fox', True])
def test_text_that_is_none(stage_2, text):
    for call in ({'source': {'video_path': CLIP, 'text': text}}, {'text': text}, {'negative_prompt': text}):
        with pytest.raises(InputError, match="'(text|negative_prompt)'"):
            latents_of(stage_2, **call)


# Types of output


@pytest.fixture(scope='module')
def outputs(stage_2):
    kinds = ('np', 'pt', 'pil', 'latent', 'mp4')
    return {kind: stage_2(CLIP, seed=2, output_type=kind)[VIDEO] for kind in kinds}


def test_all_types_are_one_video(stage_2, outputs, tmp_path):
    assert outputs['np'].shape == (3, 32, 42, 3)
    assert outputs['np'].dtype == np.uint8
    assert outputs['pt'].shape == (3, 3, 32, 42)
    assert outputs['pt'].dtype == torch.float32
    assert 0 <= outputs['pt'].min() < outputs['pt'].max() <= 1
    assert outputs['latent'].shape == (1, 4, 3, 4, 6)
    assert [(frame.mode, frame.size) for frame in outputs['pil']] == [('RGB', (42, 32))] * 3
    truncated = (outputs['pt'] * 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(outputs['np'], truncated)
    assert np.array_equal(outputs['np'], np.stack([np.asarray(frame) for frame in outputs['pil']]))
    with torch.no_grad():
        whole = stage_2.model.autoencoder.decode(outputs['latent'][0].transpose(0, 1) / 0.18215)
    content = (whole[..., 3:45] / 2 + 0.5).clamp(0, 1)  # 42 columns in the middle of 48
    torch.testing.assert_close(outputs['pt'], content, atol=1e-5, rtol=0)
    written = stage_2(CLIP, seed=2, output_video=tmp_path / 'new' / 'a.mp4')
    assert written[VIDEO] == str(tmp_path / 'new' / 'a.mp4')
    assert Path(written[VIDEO]).read_bytes() == outputs['mp4']


def test_list_of_inputs(stage_2, outputs):
    results = stage_2([CLIP, {'video_path': CLIP, 'text': 'a fox'}], seed=2, output_type='latent')
    assert [result['seed'] for result in results] == [2, 3]
    assert torch.equal(results[0][VIDEO], outputs['latent'])
    assert torch.equal(results[1][VIDEO], latents_of(stage_2, seed=3, text='a fox'))


# What is known about a video


def test_the_recipe_follows_that_of_the_input(stage_1, stage_2, tmp_path):
    from tests.folders import IMAGE

    first, second, third = (tmp_path / f'{index}.mp4' for index in range(3))
    stage_1(str(IMAGE), output_video=first, num_frames=2, seed=4)
    given = {'seed': 9, 'solver': 'unipc', 'guidance_scale': 2.5, 'noise_level': 400, 'text': 'a fox', 'steps': 1}
    stage_2({'video_path': first, 'text': 'a cat'}, output_video=second, **given)
    entries = read_recipe(second)
    assert entries[0] == read_recipe(first)[0]
    assert len(entries) == 2
    assert {**given, 'stage': 'video-to-video', 'num_frames': 2, 'output_fps': 8, 'version': 1}.items() <= entries[
        1
    ].items()
    assert [entries[1][side] for side in ('height', 'width')] == [32, 32]
    assert entries[1]['latents_given'] is False
    stage_2(second, output_video=third, steps=1)
    assert [entry['stage'] for entry in read_recipe(third)] == ['image-to-video', 'video-to-video', 'video-to-video']


@pytest.mark.parametrize(
    ('place', 'model', 'revision'),
    [
        ('hub/damo--Video-to-Video/snapshots/v1.1.0', 'damo/Video-to-Video', 'v1.1.0'),
        ('my/Video-to-Video', 'Video-to-Video', None),
    ],
)
def test_revision_in_result_and_recipe(stage_2_folder, tmp_path, place, model, revision):
    # The hub's own file has no section for the preprocessor.
    made = build_2(variant(stage_2_folder, tmp_path / place, {'preprocessor': ABSENT}), steps=1)
    result = made(CLIP, output_video=tmp_path / 'video.mp4')
    assert result['model_revision'] == revision
    (entry,) = read_recipe(tmp_path / 'video.mp4')
    assert (entry['model'], entry['revision'], entry['seed']) == (model, revision, result['seed'])


# Callbacks


@pytest.mark.parametrize('solver', ['heun', 'dpmpp_2m_sde', 'dpmpp_2m', 'unipc'])
def test_callbacks(stage_2, solver):
    seen = []

    def callback(pipeline, step, timestep, state):
        seen.append((step, timestep))
        assert pipeline is stage_2
        assert state['latents'].shape == (1, 4, 3, 4, 6)
        return {'latents': torch.full_like(state['latents'], 0.25)} if step == 2 else None

    found = latents_of(stage_2, seed=1, steps=3, solver=solver, callback_on_step_end=callback)
    assert (found - 0.25).abs().max() < 1e-6
    timesteps = [599, 449, 299] if solver == 'dpmpp_2m_sde' else [599, 399, 199]
    assert seen == list(enumerate(timesteps))


def test_interrupted_call_leaves_nothing_and_the_pipeline_usable(stage_2, tmp_path):
    def stop(pipeline, step, timestep, state):
        raise Interrupted('enough')

    before = stage_2(CLIP, seed=1)[VIDEO]
    with pytest.raises(Interrupted, match='^enough$'):
        stage_2(CLIP, seed=1, output_video=tmp_path / 'video.mp4', callback_on_step_end=stop)
    assert list(tmp_path.iterdir()) == []
    assert stage_2(CLIP, seed=1)[VIDEO] == before

"""A damaged record of the cache reads as no record; tags and recipes of videos may hold anything."""

import hashlib
import json

import av
import numpy as np
import pytest

from modelscope_i2v.hub.snapshots import cached_snapshot
from modelscope_i2v.hub.verified import (
    RECORD,
    changed_since_verified,
    has_changed_since,
    has_record,
    has_verified,
    names_of_hash,
    record_verified,
    verified_hash,
    was_branch,
)
from modelscope_i2v.media import open_video
from modelscope_i2v.media.reading.info import probe_video, read_recipe
from tests.folders import variant

STATE = {'state': [3, 5], 'sha256': 'ab'}
DAMAGED = {
    'text': '"x"',
    'list': '[]',
    'no version': '{}',
    'other version': json.dumps({'version': '1', 'branch': False, 'files': {}}),
    'deep': '[' * 100_000,
    'deep files': '{"version": 1, "branch": false, "files": ' + '{"a": ' * 100_000,
    'no files': json.dumps({'version': 1, 'branch': False}),
    'files of another type': json.dumps({'version': 1, 'branch': False, 'files': [1]}),
    'branch of another type': json.dumps({'version': 1, 'branch': 'no', 'files': {'a': STATE}}),
    'NaN': '{"version": 1, "branch": false, "files": {"a": {"state": [NaN, 5], "sha256": "ab"}}}',
    'not UTF-8': b'\xff\xfe\x00',
    'huge': ' ' * 3_000_000,
    **{
        f'entry {entry!r:.40}': json.dumps({'version': 1, 'branch': False, 'files': {'a': entry}})
        for entry in (
            None, 5, [], {}, {'state': []}, {'state': [], 'sha256': 'ab'}, {'state': [3], 'sha256': 'ab'},
            {'state': {'0': 1}, 'sha256': 'ab'}, {'state': 'ab', 'sha256': 'ab'}, {'state': [3, '5'], 'sha256': 'ab'},
            {'state': [3, 5], 'sha256': 5}, {'state': [3, 5], 'sha256': ['ab']}, {'state': [True, 5], 'sha256': 'ab'},
        )
    },
}  # fmt: skip


@pytest.mark.parametrize('content', DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_is_no_record(tmp_path, content):
    (tmp_path / 'a').write_bytes(b'abc')
    (tmp_path / RECORD).write_bytes(content.encode() if isinstance(content, str) else content)
    assert not has_record(tmp_path)
    assert not was_branch(tmp_path)
    assert changed_since_verified(tmp_path, ['a']) == ['a']
    assert not has_verified(tmp_path, 'a', 3, 'ab')
    assert not has_changed_since(tmp_path, 'a', 'ab')
    assert verified_hash(tmp_path, 'a') is None
    assert names_of_hash(tmp_path, 'ab') == []
    digest = hashlib.sha256(b'abc').hexdigest()
    record_verified(tmp_path, {'a': digest, 'missing': None}, branch=True)
    assert has_record(tmp_path)
    assert has_verified(tmp_path, 'a', 3, digest)
    assert changed_since_verified(tmp_path, ['a', 'missing']) == ['missing']


def test_names_in_a_record_are_not_trusted(tmp_path):
    names = ['x' * 300, 'a\0b', '../../etc/passwd', '\ud800']
    files = {name: {'state': [3, 5], 'sha256': 'ab'} for name in names}
    (tmp_path / RECORD).write_text(json.dumps({'version': 1, 'branch': False, 'files': files}))
    assert has_record(tmp_path)
    assert names_of_hash(tmp_path, 'ab') == []
    assert changed_since_verified(tmp_path, names) == names


@pytest.mark.parametrize('content', [DAMAGED['deep'], DAMAGED['entry []']])
def test_a_cached_model_with_a_damaged_record(stage_1_folder, tmp_path, monkeypatch, content):
    monkeypatch.setenv('MODELSCOPE_CACHE', str(tmp_path))
    place = variant(stage_1_folder, tmp_path / 'models' / 'owner--name' / 'snapshots' / 'v1')
    (place / RECORD).write_text(content)
    assert cached_snapshot('owner/name', 'v1').complete().path == place


def write(path, **tags):
    with av.open(str(path), 'w', options={'movflags': 'use_metadata_tags'} if path.suffix == '.mp4' else {}) as file:
        stream = file.add_stream('mpeg4', rate=8)
        stream.width = stream.height = 16
        stream.pix_fmt = 'yuv420p'
        for name, value in tags.items():
            (stream if name == 'DURATIOX' else file).metadata[name] = value
        for _ in range(4):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format='rgb24')))
        file.mux(stream.encode(None))
    return path


TAGS = {
    '400 digits': '1' + '0' * 400 + ':00:01',
    '400 digits of minutes': '00:1' + '0' * 400 + ':01',
    '400 digits of seconds': '00:00:1' + '0' * 400,
    '5000 digits': '9' * 5000 + ':00:00.5',
    'infinite': '00:00:inf',
    'too large for float': '00:00:1e999',
    'not a number': '00:00:nan',
    'negative': '-1:00:00.5',
    'other digits': '٠٠:٠٠:٠٠',
    'empty': '::',
}


@pytest.mark.parametrize('tag', TAGS.values(), ids=TAGS)
def test_any_duration_tag(tmp_path, tag):
    path = write(tmp_path / 'a.mkv', DURATIOX=tag)
    # FFmpeg writes this tag itself, so ours gets its name afterwards.
    path.write_bytes(path.read_bytes().replace(b'DURATION', b'DURATIOY').replace(b'DURATIOX', b'DURATION'))
    with av.open(str(path)) as file:
        assert file.streams.video[0].metadata['DURATION'] == tag
    assert len(list(open_video(path).frames())) == 4
    assert probe_video(path).frames == 4


RECIPES = {
    'NaN': '[{"version": 1, "a": NaN}]',
    'infinity': '[{"version": 1, "a": -Infinity}]',
    'beyond float': '[{"version": 1, "a": 1e999}]',
    'nested NaN': '[{"version": 1, "a": {"b": [NaN]}}]',
    'deep': '[{"version": 1, "a": ' + '[' * 100_000 + ']' * 100_000 + '}]',
    'many digits': '[{"version": 1, "a": ' + '9' * 5000 + '}]',
}


@pytest.mark.parametrize('recipe', RECIPES.values(), ids=RECIPES)
def test_a_recipe_that_cannot_be_written_again_is_none(tmp_path, recipe):
    path = write(tmp_path / 'a.mp4', comment=recipe)
    assert read_recipe(path) == []
    assert open_video(path).recipe == []


def test_a_video_with_nan_in_its_recipe_is_made_sharper(stage_2, tmp_path):
    path = write(tmp_path / 'a.mp4', comment=RECIPES['NaN'])
    stage_2(str(path), output_video=str(tmp_path / 'b.mp4'), num_frames=2)
    assert [entry['stage'] for entry in read_recipe(tmp_path / 'b.mp4')] == ['video-to-video']

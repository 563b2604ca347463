import json

import pytest

from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.training.data.sources import Example, find_examples


def write_list(folder, *lines):
    for name in ('a.mp4', 'b.png'):
        (folder / name).touch()
    path = folder / 'list.jsonl'
    path.write_text('\n'.join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding='utf-8')
    return path


def test_a_folder_is_searched_to_its_bottom_in_order_of_names(tmp_path):
    for name in ('z.mp4', 'b/c.PNG', 'b/a.webm', 'a.jpg', 'notes.txt', 'b/data.csv', '.hidden.mp4', '.thumbs/z.jpg'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'z.txt').write_text(' a red fox\n', encoding='utf-8')
    assert find_examples(tmp_path) == [
        Example(tmp_path / 'a.jpg', 'image'),
        Example(tmp_path / 'b/a.webm', 'video'),
        Example(tmp_path / 'b/c.PNG', 'image'),
        Example(tmp_path / 'z.mp4', 'video', 'a red fox'),
    ]


def test_a_list_gives_its_lines_with_paths_relative_to_itself(tmp_path):
    video = {'video': 'a.mp4', 'text': 'snow\u2028in Köln', 'start': 2, 'end': 7.5}
    path = write_list(tmp_path, json.dumps(video, ensure_ascii=False), '', {'image': str(tmp_path / 'b.png')})
    assert find_examples(path) == [
        Example(tmp_path / 'a.mp4', 'video', 'snow\u2028in Köln', 2, 7.5),
        Example(tmp_path / 'b.png', 'image'),
    ]


@pytest.mark.parametrize(
    ('line', 'words'),
    [
        ('{"video": ', ['not valid JSON']),
        ('["a.mp4"]', ['JSON object', 'list']),
        ({'video': 'a.mp4', 'txt': 'x'}, ["'txt'", "'text', 'start', 'end'", "Did you mean 'text'?"]),
        ({'video': 'a.mp4', 'image': 'b.png'}, ['both']),
        ({'text': 'x'}, ['neither']),
        ({'video': 3}, ["'video' must be a string", '3 (int)']),
        ({'video': ''}, ["'video' must be the path"]),
        ({'video': 'a.mp4', 'text': None}, ["'text' must be a string", 'None']),
        ({'video': 'a.mp4', 'start': -1}, ["'start'", 'at least 0', '-1']),
        ({'video': 'a.mp4', 'start': True}, ["'start'", 'True']),
        ('{"video": "a.mp4", "end": NaN}', ["'end'", 'nan']),
        ({'video': 'a.mp4', 'start': 5, 'end': 5}, ["'end' must be after 'start' (5 s), found 5 s"]),
        ({'image': 'b.png', 'end': 5}, ['are for videos']),
    ],
)
def test_a_malformed_line_is_named_with_what_was_found(tmp_path, line, words):
    path = write_list(tmp_path, {'video': 'a.mp4'}, '', line)
    with pytest.raises(ConfigurationError) as caught:
        find_examples(path)
    for word in [f"'{path}', line 3", *words]:
        assert word in str(caught.value)


def test_a_missing_file_of_a_list_is_named_with_its_line(tmp_path):
    path = write_list(tmp_path, {'video': 'a.mp4'}, {'image': 'gone.png'})
    with pytest.raises(InputError, match=r"line 2: the image '.*gone\.png' does not exist"):
        find_examples(path)


def test_nothing_to_train_on_is_said(tmp_path):
    with pytest.raises(InputError, match='no training data at'):
        find_examples(tmp_path / 'gone')
    (tmp_path / 'notes.txt').write_text('x')
    with pytest.raises(InputError, match=r'no training data among 1 files.*\.mp4.*\.png'):
        find_examples(tmp_path)
    (tmp_path / 'empty.jsonl').write_text('\n \n')
    with pytest.raises(InputError, match='lists no training data'):
        find_examples(tmp_path / 'empty.jsonl')
    (tmp_path / 'a.mp4').touch()
    with pytest.raises(InputError, match='Give the folder'):
        find_examples(tmp_path / 'a.mp4')
    (tmp_path / 'a.txt').write_bytes(b'\xff\xfe\xff')
    with pytest.raises(InputError, match=r"a\.txt' is not UTF-8"):
        find_examples(tmp_path)

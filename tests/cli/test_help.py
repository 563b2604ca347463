"""The command line explains itself: defaults, examples, groups, and hints for misspelt options."""

import re

import pytest

from benchmarks.first_generation import FIRST_GENERATION
from modelscope_i2v.cli.main import main
from tests.folders import IMAGE

VERBS = [
    *('image-to-video', 'video-to-video', 'chain', 'estimate', 'info', 'evaluate', 'studio', 'train', 'convert'),
    'autoload',
]
#: Options without a default to state: they are actions.
WITHOUT = {'--help', '--enable', '--disable', '--status'}


def shown(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main([*arguments])
    printed = capsys.readouterr()
    return left.value.code, printed.out, printed.err


@pytest.mark.parametrize('verb', VERBS)
def test_every_option_states_its_default_and_every_verb_has_an_example(verb, capsys):
    code, help_text, _ = shown(capsys, verb, '--help')
    assert code == 0
    body, examples = help_text.split('\nexamples:\n')
    assert f'  modelscope-i2v {verb} ' in examples
    options = re.split(r'\n  (?=-)', body)[1:]
    for option in options:
        name = re.search(r'--[a-z0-9-]+', option)[0]
        text = ' '.join(option.split())
        assert name in WITHOUT or '(default: ' in text or '(required)' in text, text
    assert len(options) >= 2


def test_chain_has_one_group_a_stage(capsys):
    _, help_text, _ = shown(capsys, 'chain', '--help')
    groups = re.findall(r'^(\S.*):$', help_text, re.MULTILINE)
    assert groups[-4:] == ['both stages', 'stage 1: image-to-video', 'stage 2: video-to-video', 'examples']
    second = help_text.split('stage 2: video-to-video:')[1]
    assert '--stage2-seed' in second
    assert '--stage1-' not in second.split('examples:')[0]


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['image-to-video', 'a.jpg', '-o', 'a.mp4', '--step', '3'], "unknown option '--step'. Did you mean '--steps'?"),
        (['image-to-video', 'a.jpg', '-o', 'a.mp4', '--guidance=3'], "unknown option '--guidance'. Did you mean"),
        (['chain', 'a.jpg', '--ouput', 'b.mp4'], "unknown option '--ouput'. Did you mean '--output'?"),
        (['chain', 'a.jpg', '-o', 'b.mp4', '--stage2-step', '3'], "Did you mean '--stage2-steps'?"),
        (['chain', 'a.jpg', '-o', 'b.mp4', '--stage1-model', 'x'], "Did you mean '--model'?"),
        (['chain', 'a.jpg', '-o', 'b.mp4', '--fit', 'keep'], "Did you mean '--stage1-fit' or '--stage2-fit'?"),
        (['chain', 'a.jpg', '-o', 'b.mp4', '--solver=euler'], "Did you mean '--stage1-solver' or '--stage2-solver'?"),
        (['chain', 'a.jpg', '-o', 'b.mp4', '--keep', 'x'], "Did you mean '--keep-stage1'?"),
        (['image-to-video', 'a.jpg', '-o', 'a.mp4', '--num-inference-steps', '3'], "Did you mean '--steps'?"),
        (['image-to-vide', 'a.jpg'], "Did you mean 'image-to-video'?"),
        (['--versoin'], "unknown option '--versoin'. Did you mean '--version'?"),
        (
            ['image-to-video', '-o', 'c.mp4', '--', 'a.png', '--steps', '2'],
            "unexpected '--steps'. Options go before --",
        ),
        (['info', 'a.mp4', '--jason'], "Did you mean '--json'?"),
        (['image-to-video', 'a.jpg', '-o', 'a.mp4', '--zzzz'], "unknown option '--zzzz'.\n"),
        (['imagetovideo', 'a.jpg'], 'invalid choice'),
    ],
)
def test_no_abbreviations_and_a_hint_for_what_is_misspelt(arguments, said, capsys):
    code, out, err = shown(capsys, *arguments)
    assert (code, out) == (2, '')
    assert said in err
    assert "--help' for usage and examples." in err


def test_a_text_for_the_first_generation_is_refused(tmp_path, capsys):
    options = ['-o', str(tmp_path / 'a.mp4'), '--text', 'a fox', '--model', FIRST_GENERATION]
    assert main(['image-to-video', str(IMAGE), *options]) == 1
    said = capsys.readouterr().err
    assert "Unknown option '--text' of this model. This model takes no text. Models of type" in said
    assert "'i2vgen-xl-model' take one." in said


def test_info_says_embedded(tmp_path, capsys):
    import modelscope_i2v

    pipeline = modelscope_i2v.load(modelscope_i2v.embedded_model(), device='cpu', show_progress=False)
    pipeline(str(IMAGE), output_video=tmp_path / 'a.mp4', steps=1, num_frames=1)
    assert main(['info', str(tmp_path / 'a.mp4')]) == 0
    assert re.search(r'^  model +embedded$', capsys.readouterr().out, re.MULTILINE)


def test_a_value_may_look_like_an_option(tmp_path, capsys):
    out = str(tmp_path / 'a.mp4')
    for text in (['--text', '--ar 16:9 fox'], ['--text=--ar']):
        assert main(['video-to-video', 'none.mp4', '-o', out, *text]) == 1
        assert "'none.mp4'" in capsys.readouterr().err

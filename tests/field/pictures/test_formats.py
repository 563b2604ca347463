"""Formats that take a plug-in: with it, without it, and damaged."""

import base64
import subprocess
import sys

import pytest

from modelscope_i2v.errors import InputError
from modelscope_i2v.media import load_image
from tests.field.pictures.cases import heic, jpeg_xl
from tests.field.pictures.files import encoded, image

FILES = {
    'HEIC': (heic, 'pillow_heif', 'pillow-heif'),
    'JPEG XL': (jpeg_xl, 'pillow_jxl', 'pillow-jxl-plugin'),
    'AVIF': (lambda: encoded(image(), 'AVIF'), 'PIL._avif', 'pillow>=11.3'),
}
#: Makes one module impossible to import, as if it were not installed, and loads a file.
WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from modelscope_i2v.media import load_image
from modelscope_i2v.errors import InputError
try:
    load_image(sys.argv[2])
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize('name', FILES)
def test_without_the_plug_in_the_message_names_the_format_and_the_extra(tmp_path, name):
    make, module, package = FILES[name]
    (tmp_path / 'photo.jpg').write_bytes(make())  # the suffix does not matter
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT, module, str(tmp_path / 'photo.jpg')], capture_output=True, text=True, check=True
    )
    for words in (f'is {name}, ', f"'{package}'", "pip install '.[formats]' in a clone"):
        assert words in done.stdout


@pytest.mark.parametrize('name', FILES)
def test_a_file_that_is_cut_off_is_refused(name):
    data = FILES[name][0]()
    for length in (len(data) // 2, 40, 20):
        with pytest.raises(InputError, match='damaged or cut off|not an image'):
            load_image(data[:length])


@pytest.mark.parametrize('name', FILES)
def test_as_base64(name):
    assert load_image(base64.b64encode(FILES[name][0]()).decode()).size == (64, 48)

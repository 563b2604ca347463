"""A hub with two revisions of stage 1."""

import pytest

from tests.hub.client import MODEL
from tests.hub.pages import other_unet, page
from tests.hub.server import serving


@pytest.fixture
def hub(golden_model, tmp_path):
    """Two revisions of stage 1, which differ in size and in the UNet's weights."""
    first = page(golden_model, tmp_path / 'hub' / 'v1.0.0', {'model.model_cfg.latent_wid': 8})
    other_unet(first)
    with serving() as hub:
        hub.serve(MODEL, 'v1.0.0', first)
        hub.serve(MODEL, 'v1.1.0', page(golden_model, tmp_path / 'hub' / 'v1.1.0'))
        yield hub

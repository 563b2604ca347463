"""The table of solvers names functions that exist."""

from pkgutil import resolve_name

import pytest

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.generation.sampler import Sampler
from modelscope_i2v.stage import stages


def test_every_function_exists():
    samplers = [sampler for stage in stages() for sampler in stage.samplers.values()]
    places = {place for sampler in samplers for place in (sampler.sample, sampler.noise) if place is not None}
    assert {'modelscope_i2v.diffusion:sample_euler', 'modelscope_i2v.generation.noise:brownian_motion'} <= places
    assert all(callable(resolve_name(place)) for place in places)


@pytest.mark.parametrize('place', ['', 'module', 'module.name', 'module:', ':name', 'a:b:c', 'a b:c', 3, print])
@pytest.mark.parametrize('key', ['sample', 'noise'])
def test_other_shapes_are_refused(key, place):
    with pytest.raises(ConfigurationError, match=f"'{key}' must be the place of a function, module:name, found"):
        Sampler(steps=1, **{'sample': 'module:name', key: place})

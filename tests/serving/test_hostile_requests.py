"""Requests that schemathesis makes from the OpenAPI document: none of them may be answered with 500 or a traceback."""

from collections import Counter

import pytest

schemathesis = pytest.importorskip('schemathesis')
from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402

QUIET = {
    'deadline': None,
    'suppress_health_check': list(HealthCheck),
    'phases': (Phase.explicit, Phase.generate),
    'database': None,
    'derandomize': True,
}


def strategy(operation):
    """Requests that follow the document and, where that is possible, requests that do not."""
    allowed = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not (operation.body or operation.query):
        return allowed
    return allowed | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


def hammer(server, examples):
    """Send up to ``examples`` requests to each route. Returns how many there were, by status."""
    document = schemathesis.openapi.from_url(f'{server}/openapi.json')
    seen = Counter()
    for operation in (result.ok() for result in document.get_all_operations()):

        @settings(max_examples=examples, **QUIET)
        @given(strategy(operation))
        def one(case):
            answer = case.call(timeout=60)
            seen[answer.status_code] += 1
            case.validate_response(answer, checks=[not_a_server_error])
            if answer.status_code >= 400:
                assert set(answer.json()['error']) == {'message', 'type', 'code'}

        one()
    return seen


def test_a_few(server):
    assert hammer(server, 3).total() >= 15


@pytest.mark.slow
def test_many(server):
    assert hammer(server, 120).total() >= 500

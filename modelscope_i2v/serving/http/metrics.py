"""``/metrics`` for Prometheus: what the engine counts, read when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response

from modelscope_i2v.serving.engine import Engine

#: The media type of Prometheus's text format.
TEXT = 'text/plain; version=0.0.4; charset=utf-8'
_PREFIX = 'modelscope_i2v'


class _EngineCollector(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The metrics now."""
        totals = self._engine.statistics.totals()
        jobs = CounterMetricFamily(f'{_PREFIX}_jobs', 'Jobs that are finished', labels=['outcome'])
        for outcome, count in totals.finished.items():
            jobs.add_metric([outcome], count)
        yield jobs
        for name, count in zip(('waiting', 'running'), self._engine.counts, strict=True):
            yield GaugeMetricFamily(f'{_PREFIX}_jobs_{name}', f'Jobs that are {name}', value=count)
        yield SummaryMetricFamily(
            f'{_PREFIX}_queue_seconds', 'Time in the queue', totals.started, totals.waited_seconds
        )
        yield SummaryMetricFamily(f'{_PREFIX}_job_seconds', 'Time of completed jobs', totals.ran, totals.ran_seconds)


class Metrics:
    """The metrics of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_EngineCollector(engine))

    def answer(self) -> Response:
        """Counters and times for Prometheus."""
        return Response(generate_latest(self._registry), media_type=TEXT)

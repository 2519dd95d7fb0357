"""Prints what ``/metrics`` gives when everything has happened once, for ``tools/promcheck``."""

from __future__ import annotations

import sys

from prometheus_client import CollectorRegistry

from resumehub import Hub
from resumehub.contrib.prometheus import PrometheusMetrics
from tests.test_metrics import feed

if __name__ == "__main__":
    metrics = PrometheusMetrics(registry=CollectorRegistry())
    feed(metrics)
    sys.stdout.write(metrics.exposition(Hub()).get_data(as_text=True))

from __future__ import annotations

from ottla.broker.metrics import Histogram, Metrics


def test_quantiles_are_upper_bounds() -> None:
    histogram = Histogram()
    assert histogram.quantile(0.5) == 0
    for value in (0, 1, 5, 5, 1000):
        histogram.record(value)
    assert histogram.count == 5
    assert histogram.total == 1011
    assert 5 <= histogram.quantile(0.6) < 8
    assert histogram.quantile(1.0) >= 1000


def test_apis_are_counted_apart() -> None:
    metrics = Metrics()
    metrics.api(1).requests += 1
    metrics.api(1).count_error(3)
    assert metrics.api(1).errors == {3: 1}
    assert metrics.api(2).requests == 0

"""Metrics as brokers write them, and lags over time."""

from __future__ import annotations

from ottla.console.lag_history import KEPT, STEP_MS, LagHistory
from ottla.console.vitals import BYTES_IN, SECONDS_COUNT, read_metrics
from ottla.lag.evaluation import Status
from ottla.lag.store import GroupStatus, PartitionStatus

TEXT = """# TYPE kafka_server_brokertopicmetrics_bytesin_total counter
kafka_server_brokertopicmetrics_bytesin_total 1046776
kafka_server_brokertopicmetrics_bytesin_total{topic="a"} 7
ottla_request_seconds_count{api="Produce"} 12
ottla_request_seconds_count{api="Fetch"} 3
ottla_request_seconds_bucket{api="Fetch",le="+Inf"} 3
other NaN
"""


def test_counters_are_read_by_name_and_request() -> None:
    found = read_metrics(TEXT)
    assert found[BYTES_IN] == 1_046_776
    assert found[f"{SECONDS_COUNT}/Produce"] == 12
    assert found[f"{SECONDS_COUNT}/Fetch"] == 3


def status(group: str, lag: int) -> GroupStatus:
    place = PartitionStatus("t", 0, "", "", Status.OK, None, None, lag, 1.0, None)
    return GroupStatus(group, Status.OK, 1.0, [place], lag)


def test_growth_is_a_rate_over_the_last_minute() -> None:
    lags = LagHistory()
    assert lags.growth("g") is None
    for n in range(30):
        lags.add([status("g", 10 * n)], n * STEP_MS)
    assert lags.growth("g") == 10 / (STEP_MS / 1000)
    assert lags.total_of("g")[-1] == (29 * STEP_MS, 290)
    assert lags.of_group("g")["t", 0][0] == (0, 0)


def test_history_is_bounded_and_forgets_groups_that_are_gone() -> None:
    lags = LagHistory()
    for n in range(KEPT + 50):
        lags.add([status("g", n), *([status("h", n)] if n < 9 else [])], n * STEP_MS)
    assert len(lags.total_of("g")) == KEPT
    assert not lags.total_of("h")

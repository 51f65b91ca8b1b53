"""Burrow's six rules, each where it decides, and the store that feeds them."""

from __future__ import annotations

import pytest

from ottla.lag.evaluation import Commit, Status, evaluate
from ottla.lag.store import LagStore, StoreSettings

MINUTE = 60_000


def commits(*pairs: tuple[int, int | None], every_ms: int = MINUTE) -> list[Commit]:
    return [Commit(o, i * every_ms, i * every_ms, lag) for i, (o, lag) in enumerate(pairs)]


NOW = 3 * MINUTE


@pytest.mark.parametrize(
    ("window", "ends", "lag", "now_ms", "expected"),
    [
        pytest.param(commits((5, 9), (5, 9)), [5, 5], 0, NOW, Status.OK, id="no lag now"),
        pytest.param(
            commits((5, 5), (6, 5), (7, 5)), [12], 5, 99 * MINUTE, Status.STOP, id="silence"
        ),
        pytest.param(
            commits((5, 5), (6, 5), (7, 5)),
            [7, 12],
            5,
            99 * MINUTE,
            Status.WARN,
            id="silence after no lag is not stopped",
        ),
        pytest.param(commits((9, 0), (4, 5), (6, 4)), [10], 4, NOW, Status.REWIND, id="went back"),
        pytest.param(
            commits((9, 3), (4, 8), (9, 5)), [14], 5, NOW, Status.OK, id="went back and caught up"
        ),
        pytest.param(
            commits((5, 0), (5, 5), (5, 9)), [14], 9, NOW, Status.OK, id="once without lag"
        ),
        pytest.param(
            commits((5, 2), (5, 5), (5, 9)), [14], 9, NOW, Status.STALL, id="stands still"
        ),
        pytest.param(commits((5, 5), (6, 6), (7, 7)), [14], 7, NOW, Status.WARN, id="falls behind"),
        pytest.param(
            commits((5, 9), (8, 7), (9, 8)), [17], 8, NOW, Status.OK, id="catches up now and then"
        ),
    ],
)
def test_rules(
    window: list[Commit], ends: list[int], lag: int, now_ms: int, expected: Status
) -> None:
    assert evaluate(window, ends, lag, now_ms) is expected


def test_allowed_lag_counts_as_none() -> None:
    assert evaluate(commits((5, 3), (5, 3)), [8], 3, NOW, allowed_lag=3) is Status.OK


def filled(settings: StoreSettings | None = None) -> LagStore:
    store = LagStore(settings or StoreSettings(intervals=3))
    store.set_end("orders", 0, 100, 1_000)
    store.set_end("orders", 1, 50, 1_000)
    store.add_commit("billing", "orders", 0, 90, 1_000, 1_000)
    store.add_commit("billing", "orders", 1, 50, 1_000, 1_000)
    return store


def test_group_is_at_most_in_error_and_names_its_worst_partition() -> None:
    store = filled()
    status = store.evaluate("billing", 10_000_000)
    assert status is not None
    assert status.status is Status.ERR
    assert [p.status for p in status.partitions] == [Status.STOP, Status.OK]
    assert status.max_lag is not None
    assert status.max_lag.partition == 0
    assert status.total_lag == 10


def test_unknown_group_is_not_judged() -> None:
    assert filled().evaluate("nobody", 0) is None


def test_complete_is_the_share_of_full_windows() -> None:
    store = filled()
    for moment in (2_000, 3_000):
        store.add_commit("billing", "orders", 0, 95, moment, moment)
    status = store.evaluate("billing", 4_000)
    assert status is not None
    assert status.complete == 0.5
    assert [p.complete for p in status.partitions] == [1.0, pytest.approx(1 / 3)]


def test_faster_commits_than_the_minimum_distance_share_a_slot() -> None:
    store = filled(StoreSettings(intervals=3, min_distance_ms=10_000))
    store.add_commit("billing", "orders", 0, 93, 5_000, 5_000)
    entry = store.groups["billing"]["orders", 0]
    assert [c.offset for c in entry.commits] == [93]


def test_groups_that_stopped_long_ago_are_forgotten() -> None:
    store = filled(StoreSettings(expire_group_ms=60_000))
    store.expire(50_000)
    assert "billing" in store.groups
    store.expire(100_000)
    assert not store.groups


def test_commits_older_than_the_expiry_are_not_taken() -> None:
    store = LagStore(StoreSettings(expire_group_ms=1_000))
    store.add_commit("old", "orders", 0, 1, 0, 5_000)
    assert not store.groups


def test_deny_list_wins_over_allow_list() -> None:
    store = LagStore(StoreSettings(group_allowlist="^a", group_denylist="^ab"))
    assert store.accepts("axe")
    assert not store.accepts("abe")
    assert not store.accepts("bob")


def test_lag_in_seconds_is_read_from_the_history_of_ends() -> None:
    store = LagStore(StoreSettings())
    for moment, end in ((0, 0), (10_000, 100), (20_000, 200)):
        store.set_end("orders", 0, end, moment)
    store.add_commit("billing", "orders", 0, 150, 20_000, 20_000)
    entry = store.groups["billing"]["orders", 0]
    assert store.lag_seconds("orders", 0, entry, 20_000) == 5.0


def test_lag_in_seconds_begins_with_the_record_and_not_with_the_silence_before_it() -> None:
    store = LagStore(StoreSettings())
    for moment in range(0, 3_600_000, 10_000):
        store.set_end("orders", 0, 100, moment)
    store.set_end("orders", 0, 101, 3_600_000)
    store.add_commit("billing", "orders", 0, 100, 0, 0)
    entry = store.groups["billing"]["orders", 0]
    assert store.lag_seconds("orders", 0, entry, 3_600_000) == 10.0
    assert len(store.topics["orders"][0].history) == 3


def test_a_topic_made_again_begins_a_new_history() -> None:
    store = LagStore(StoreSettings())
    for moment, end in ((0, 100), (10_000, 200), (20_000, 0), (30_000, 100)):
        store.set_end("orders", 0, end, moment)
    store.add_commit("billing", "orders", 0, 50, 20_000, 20_000)
    entry = store.groups["billing"]["orders", 0]
    assert store.lag_seconds("orders", 0, entry, 30_000) == 5.0


def test_lag_in_seconds_is_unknown_before_the_history() -> None:
    store = LagStore(StoreSettings())
    store.set_end("orders", 0, 500, 0)
    store.add_commit("billing", "orders", 0, 150, 0, 0)
    entry = store.groups["billing"]["orders", 0]
    assert store.lag_seconds("orders", 0, entry, 1_000) is None


def test_deleted_topics_take_their_commits_along() -> None:
    store = filled()
    store.keep_topics(set())
    assert store.topics == {}
    assert store.groups["billing"] == {}


def test_deleted_offsets_remove_the_partition_and_then_the_group() -> None:
    store = filled()
    store.remove_commit("billing", "orders", 0)
    assert list(store.groups["billing"]) == [("orders", 1)]
    store.remove_commit("billing", "orders", 1)
    assert "billing" not in store.groups

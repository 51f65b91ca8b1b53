"""Records of a share partition: acquired, acknowledged, released, expired."""

from __future__ import annotations

import pytest

from ottla.coordinator.outcome import CoordinatorRecord, Outcome
from ottla.coordinator.share_coordinator import ShareCoordinator, ShareKey, ShareSettings
from ottla.coordinator.share_partition import AcknowledgeBatch, RecordState
from ottla.wire.errors import ErrorCode

KEY = ShareKey("g", b"t" * 16, 0)
SETTINGS = ShareSettings(
    share_record_lock_duration_ms=1_000,
    share_delivery_count_limit=3,
    share_partition_max_record_locks=100,
)


class ShareHarness:
    def __init__(self, start: int = 0, updates_per_snapshot: int = 500) -> None:
        self.updates_per_snapshot = updates_per_snapshot
        self.log: list[CoordinatorRecord] = []
        self.now_ms = 0
        self.coordinator = self.fresh()
        self.apply(self.coordinator.initialize(KEY, start, 0, 0))

    def fresh(self) -> ShareCoordinator:
        return ShareCoordinator(
            lambda group: SETTINGS, updates_per_snapshot=self.updates_per_snapshot
        )

    def apply(self, outcome: Outcome) -> None:
        for record in outcome.records:
            self.log.append(record)
            self.coordinator.replay(record, len(self.log) - 1)

    def reloaded(self) -> ShareCoordinator:
        fresh = self.fresh()
        for offset, record in enumerate(self.log):
            fresh.replay(record, offset)
        return fresh

    def restart(self) -> None:
        self.coordinator = self.reloaded()

    def acquire(
        self, member: str, *batches: tuple[int, int], most: int = 1000, strict: bool = False
    ) -> list[tuple[int, int, int]]:
        offset = self.coordinator.next_fetch_offset(KEY)
        if offset is None:
            return []
        found = [b for b in batches if b[1] >= offset]
        end = found[-1][1] + 1 if found else offset
        return [
            tuple(a)
            for a in self.coordinator.acquire(
                KEY, member, offset, end, found, most, self.now_ms, is_strict=strict
            )
        ]  # type: ignore[return-value]

    def say(self, member: str, first: int, last: int, *types: int) -> ErrorCode:
        batch = AcknowledgeBatch(first, last, types)
        error, out = self.coordinator.acknowledge(KEY, member, [batch], 0, self.now_ms)
        self.apply(out)
        return error

    def advance(self, milliseconds: int) -> None:
        self.now_ms += milliseconds
        for _, outcome in self.coordinator.on_time(0, self.now_ms):
            self.apply(outcome)

    @property
    def start(self) -> int:
        return self.coordinator.live_state(KEY).start_offset


ACCEPT, RELEASE, REJECT, RENEW, GAP = 1, 2, 3, 4, 0


def test_two_members_get_different_records() -> None:
    h = ShareHarness()
    assert h.acquire("a", (0, 4), (5, 9), most=5) == [(0, 4, 1)]
    assert h.acquire("b", (0, 4), (5, 9)) == [(5, 9, 1)]
    assert h.acquire("a", (0, 4), (5, 9)) == []


def test_accepting_moves_the_start() -> None:
    h = ShareHarness()
    h.acquire("a", (0, 9))
    assert h.say("a", 5, 9, ACCEPT) == ErrorCode.NONE
    assert h.start == 0
    assert h.say("a", 0, 4, ACCEPT) == ErrorCode.NONE
    assert h.start == 10
    h.restart()
    assert h.start == 10


def test_released_records_come_again_with_a_higher_count() -> None:
    h = ShareHarness()
    h.acquire("a", (0, 9))
    h.say("a", 0, 9, ACCEPT, ACCEPT, RELEASE, RELEASE, *[ACCEPT] * 6)
    assert h.start == 2
    assert h.acquire("b", (0, 9)) == [(2, 3, 2)]
    assert h.say("a", 2, 3, ACCEPT) == ErrorCode.INVALID_RECORD_STATE
    assert h.say("b", 2, 3, ACCEPT) == ErrorCode.NONE
    assert h.start == 10


def test_a_record_delivered_too_often_is_archived() -> None:
    h = ShareHarness()
    for count in (1, 2, 3):
        assert h.acquire("a", (0, 0)) == [(0, 0, count)]
        h.say("a", 0, 0, RELEASE)
    assert h.start == 1
    assert h.acquire("a", (0, 0)) == []


def test_rejected_records_and_gaps_are_done() -> None:
    h = ShareHarness()
    h.acquire("a", (0, 3))
    h.say("a", 0, 3, REJECT, GAP, REJECT, GAP)
    assert h.start == 4


def test_locks_expire_and_can_be_renewed() -> None:
    h = ShareHarness()
    h.acquire("a", (0, 1))
    h.advance(999)
    assert h.say("a", 1, 1, RENEW) == ErrorCode.NONE
    h.advance(1)
    assert h.say("a", 0, 0, ACCEPT) == ErrorCode.INVALID_RECORD_STATE
    assert h.acquire("b", (0, 1)) == [(0, 0, 2)]
    assert h.say("a", 1, 1, ACCEPT) == ErrorCode.NONE
    h.restart()
    h.advance(5_000)
    assert h.coordinator.next_deadline_ms() is None
    assert h.acquire("c", (0, 1)) == [(0, 0, 2)]  # held at the end: that delivery is forgotten


def test_an_acknowledgement_is_taken_whole_or_not_at_all() -> None:
    h = ShareHarness()
    h.acquire("a", (0, 4))
    h.acquire("b", (5, 9))
    batches = [AcknowledgeBatch(0, 4, (ACCEPT,)), AcknowledgeBatch(5, 9, (ACCEPT,))]
    error, out = h.coordinator.acknowledge(KEY, "a", batches, 0, 0)
    assert (error, out.records) == (ErrorCode.INVALID_RECORD_STATE, [])
    assert h.start == 0


@pytest.mark.parametrize(
    ("first", "last", "types", "error"),
    [
        (0, 4, (9,), ErrorCode.INVALID_REQUEST),
        (0, 4, (), ErrorCode.INVALID_REQUEST),
        (0, 4, (1, 1), ErrorCode.INVALID_REQUEST),
        (4, 0, (1,), ErrorCode.INVALID_REQUEST),
        (0, 5, (1,), ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_an_acknowledgement_must_look_like(
    first: int, last: int, types: tuple[int, ...], error: ErrorCode
) -> None:
    h = ShareHarness()
    h.acquire("a", (0, 4))
    assert h.say("a", first, last, *types) == error
    assert h.say("a", 0, 4, ACCEPT) == ErrorCode.NONE
    assert h.say("a", 0, 4, ACCEPT) == ErrorCode.NONE  # done long ago


def test_an_acknowledgement_before_anything_was_read() -> None:
    h = ShareHarness()
    other = ShareKey("x", b"t" * 16, 0)
    error, _ = h.coordinator.acknowledge(other, "a", [], 0, 0)
    assert error == ErrorCode.INVALID_RECORD_STATE


def test_a_session_that_ends_gives_everything_back() -> None:
    h = ShareHarness()
    h.acquire("a", (0, 4))
    h.acquire("b", (5, 9))
    h.apply(h.coordinator.release(KEY, "a", 0))
    assert h.acquire("b", (0, 4)) == [(0, 4, 2)]


def test_strict_limits_cut_batches() -> None:
    h = ShareHarness()
    assert h.acquire("a", (0, 9), most=3, strict=True) == [(0, 2, 1)]
    assert h.acquire("b", (0, 9), most=4, strict=True) == [(3, 6, 1)]
    h.say("a", 0, 2, RELEASE)
    assert h.acquire("c", (0, 9), most=5, strict=True) == [(0, 2, 2), (7, 8, 1)]
    h.say("c", 0, 2, RELEASE)
    assert h.acquire("d", (0, 9), most=2, strict=True) == [(0, 1, 3)]
    assert h.acquire("d", (0, 9), most=2) == [(2, 2, 3), (9, 9, 1)]


def test_offsets_without_records_do_not_hold_anybody_up() -> None:
    h = ShareHarness()
    assert h.acquire("a", (3, 4), (8, 9)) == [(3, 4, 1), (8, 9, 1)]
    assert h.start == 3
    h.say("a", 8, 9, ACCEPT)
    h.restart()
    assert h.acquire("a", (3, 4), (8, 9)) == [(3, 4, 1)]
    h.say("a", 3, 4, ACCEPT)
    assert h.coordinator.next_fetch_offset(KEY) == 10


def test_a_read_without_any_records_moves_on() -> None:
    h = ShareHarness()
    assert h.coordinator.acquire(KEY, "a", 0, 50, [], 100, 0) == []
    assert h.coordinator.next_fetch_offset(KEY) == 50
    assert h.acquire("a", (52, 53)) == [(52, 53, 1)]


def test_only_so_many_records_are_in_flight() -> None:
    h = ShareHarness()
    assert h.acquire("a", (0, 99), (100, 109)) == [(0, 99, 1)]
    assert h.coordinator.next_fetch_offset(KEY) is None
    h.say("a", 0, 9, ACCEPT)
    assert h.acquire("a", (100, 109)) == [(100, 109, 1)]


def test_what_the_log_has_lost_is_skipped() -> None:
    h = ShareHarness()
    h.acquire("a", (0, 9))
    h.apply(h.coordinator.skip_to(KEY, 5, 0))
    assert h.start == 5
    assert h.say("a", 0, 9, ACCEPT) == ErrorCode.NONE
    assert h.start == 10
    assert h.coordinator.skip_to(KEY, 5, 0).records == []


def test_snapshots_make_older_records_redundant() -> None:
    h = ShareHarness(updates_per_snapshot=3)
    h.acquire("a", (0, 9))
    for i in range(10):
        h.say("a", i, i, RELEASE if i == 5 else ACCEPT)
    before = h.coordinator.redundant_before(0)
    assert before > 5
    h.log = [CoordinatorRecord(b"\0\x09", None)] * before + h.log[before:]
    assert h.reloaded().durable_state() == h.coordinator.durable_state()
    state = h.coordinator.state_of(KEY)
    assert state is not None
    assert (state.start_offset, state.delivery_complete_count) == (5, 4)


def test_setting_the_offset_begins_anew() -> None:
    h = ShareHarness()
    h.acquire("a", (0, 9))
    h.apply(h.coordinator.initialize(KEY, 3, 0, 0))
    assert h.say("a", 0, 9, ACCEPT) != ErrorCode.NONE
    assert h.acquire("b", (0, 9)) == [(3, 9, 1)]
    for _, out in h.coordinator.delete(h.coordinator.keys_of("g")):
        h.apply(out)
    assert not h.coordinator.is_initialized(KEY)
    assert h.reloaded().durable_state() == {}
    assert h.coordinator.keys_of_topic(b"t" * 16) == []


def test_the_key_is_the_one_clients_look_up() -> None:
    assert KEY.text == "g:dHR0dHR0dHR0dHR0dHR0dA:0"


def test_states_are_merged_where_they_are_alike() -> None:
    h = ShareHarness()
    h.acquire("a", (0, 9))
    for offset in range(1, 10):
        h.say("a", offset, offset, ACCEPT)
    runs = h.coordinator.live_state(KEY).runs
    assert [(r.first, r.last, r.state) for r in runs] == [
        (0, 0, RecordState.ACQUIRED),
        (1, 9, RecordState.ACKNOWLEDGED),
    ]


def test_what_a_snapshot_keeps_of_records_that_are_held() -> None:
    h = ShareHarness(updates_per_snapshot=0)
    h.acquire("a", (0, 3))
    h.say("a", 1, 1, RELEASE)
    assert h.acquire("b", (0, 3)) == [(1, 1, 2)]
    h.say("a", 3, 3, ACCEPT)  # written as a snapshot
    h.restart()
    assert h.acquire("c", (0, 3)) == [(0, 0, 1), (1, 1, 2), (2, 2, 1)]


def test_updates_without_their_snapshot_say_nothing() -> None:
    h = ShareHarness()
    h.acquire("a", (0, 3))
    h.say("a", 0, 3, ACCEPT)
    fresh = h.fresh()
    fresh.replay(h.log[-1], 0)
    assert fresh.durable_state() == {}

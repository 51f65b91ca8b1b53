"""The share coordinator: how far each share group has come in each partition.

Decide, then replay, as in `group_coordinator`: progress is kept in
`__share_group_state`, as a snapshot now and then and updates between. Locks are
not: after a restart, records that were held are available again.

How a caller uses it, for the records of one share partition (`ShareKey`):
    at start   `replay` for every record of the topic, then `loaded`
    first use  unless `is_initialized`, `initialize` with the offset that the
               group's share.auto.offset.reset says
    fetching   `next_fetch_offset`, read there, `acquire` of what was read
    after      `acknowledge`, `release` (the member's session is over), `skip_to`
               (the log's start has moved)
    time       `on_time` when `next_deadline_ms()` is reached: locks expire
Outcomes go to partition `partition_for(key)`, as one batch; replies are the
caller's. When they make records available, waiting fetches are worth a look.
Records before `redundant_before(partition)` may be deleted from the topic.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from ottla.coordinator.outcome import CoordinatorRecord, Outcome
from ottla.coordinator.placement import partition_for
from ottla.coordinator.records import share_state as records
from ottla.coordinator.records.framing import decode_key, decode_value, key_type
from ottla.coordinator.share_partition import (
    AcknowledgeBatch,
    Acquired,
    RecordState,
    Run,
    Runs,
    SharePartition,
)
from ottla.coordinator.timers import TimerKey, Timers
from ottla.wire.errors import ErrorCode

#: A start offset that an update leaves as it is.
UNCHANGED: Final = -1


class ShareKey(NamedTuple):
    """One partition of a topic, as one group shares it."""

    group_id: str
    topic_id: bytes
    partition: int

    @property
    def text(self) -> str:
        """The key that FindCoordinator knows and that decides the placement."""
        topic = base64.urlsafe_b64encode(self.topic_id).decode().rstrip("=")
        return f"{self.group_id}:{topic}:{self.partition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareSettings:
    """What a group's configuration says; each is Kafka's key with underscores."""

    share_record_lock_duration_ms: int = 30_000
    share_delivery_count_limit: int = 5
    share_partition_max_record_locks: int = 2_000


@dataclass(slots=True)
class ShareState:
    """What the log tells of one share partition."""

    snapshot_epoch: int = 0
    state_epoch: int = 0
    leader_epoch: int = 0
    start_offset: int = UNCHANGED
    delivery_complete_count: int = -1
    create_timestamp_ms: int = -1
    runs: Runs = field(default_factory=Runs)
    #: Where the last snapshot is; everything before it is redundant.
    snapshot_log_offset: int = field(default=-1, compare=False)
    updates_since_snapshot: int = 0


class ShareCoordinator:
    """`settings_of(group_id)` is the configuration of a group."""

    def __init__(
        self,
        settings_of: Callable[[str], ShareSettings],
        partition_count: int = 1,
        updates_per_snapshot: int = 500,
    ) -> None:
        self._settings_of = settings_of
        self.partition_count = partition_count
        self._updates_per_snapshot = updates_per_snapshot
        self._timers = Timers()
        self._states: dict[ShareKey, ShareState] = {}
        self._live: dict[ShareKey, SharePartition] = {}
        self._by_text: dict[str, ShareKey] = {}

    def partition_for(self, key: ShareKey) -> int:
        """The partition of `__share_group_state` that holds the key."""
        return partition_for(key.text, self.partition_count)

    # --- replay

    def replay(self, record: CoordinatorRecord, log_offset: int) -> None:
        """Apply a record of the log; kinds of later Kafkas are skipped."""
        kind = key_type(record.key)
        if kind == records.ShareSnapshotKey.KEY_TYPE:
            found = decode_key(records.ShareSnapshotKey, record.key)
            key = ShareKey(found.group_id, found.topic_id, found.partition)
            if record.value is None:
                self._states.pop(key, None)
                self._live.pop(key, None)
                self._by_text.pop(key.text, None)
            else:
                value = decode_value(records.ShareSnapshotValue, record.value)
                self._replay_snapshot(key, value, log_offset)
        elif kind == records.ShareUpdateKey.KEY_TYPE and record.value is not None:
            changed = decode_key(records.ShareUpdateKey, record.key)
            key = ShareKey(changed.group_id, changed.topic_id, changed.partition)
            self._replay_update(key, decode_value(records.ShareUpdateValue, record.value))

    def _replay_snapshot(
        self, key: ShareKey, value: records.ShareSnapshotValue, log_offset: int
    ) -> None:
        known = self._states.get(key)
        if known is not None and known.state_epoch != value.state_epoch:
            self._live.pop(key, None)  # Somebody has set the group's offsets.
        self._by_text[key.text] = key
        self._states[key] = ShareState(
            snapshot_epoch=value.snapshot_epoch,
            state_epoch=value.state_epoch,
            leader_epoch=value.leader_epoch,
            start_offset=value.start_offset,
            delivery_complete_count=value.delivery_complete_count,
            create_timestamp_ms=value.create_timestamp_ms,
            runs=Runs([_to_run(batch) for batch in value.state_batches]),
            snapshot_log_offset=log_offset,
        )

    def _replay_update(self, key: ShareKey, value: records.ShareUpdateValue) -> None:
        state = self._states.get(key)
        if state is None:
            return  # The snapshot is gone, and with it the share partition.
        state.leader_epoch = value.leader_epoch
        state.delivery_complete_count = value.delivery_complete_count
        state.updates_since_snapshot += 1
        for batch in value.state_batches:
            state.runs.put(_to_run(batch))
        if value.start_offset != UNCHANGED:
            state.start_offset = value.start_offset
        state.runs.drop_before(state.start_offset)
        state.runs.merge()

    def redundant_before(self, partition: int) -> int:
        """The offset in a partition of the topic before which nothing is needed."""
        offsets = [
            state.snapshot_log_offset
            for key, state in self._states.items()
            if self.partition_for(key) == partition
        ]
        return min(offsets, default=0)

    # --- what is known

    def is_initialized(self, key: ShareKey) -> bool:
        state = self._states.get(key)
        return state is not None and state.start_offset >= 0

    def state_of(self, key: ShareKey) -> ShareState | None:
        """What is durable or about to be; to be read only."""
        return self._states.get(key)

    def keys_of(self, group_id: str) -> list[ShareKey]:
        """The share partitions of a group, sorted."""
        return sorted(key for key in self._states if key.group_id == group_id)

    def _partition(self, key: ShareKey) -> SharePartition:
        live = self._live.get(key)
        if live is None:
            state = self._states[key]
            live = SharePartition(state.start_offset, state.runs.items)
            self._live[key] = live
        return live

    def next_fetch_offset(self, key: ShareKey) -> int | None:
        """Where to read for this group; None while all that may be held is held."""
        limit = self._settings_of(key.group_id).share_partition_max_record_locks
        return self._partition(key).next_fetch_offset(limit)

    # --- deciding

    def initialize(
        self, key: ShareKey, start_offset: int, leader_epoch: int, wall_ms: int
    ) -> Outcome:
        """Begin (again) at an offset; a later `state_epoch` voids what was held."""
        out = Outcome()
        known = self._states.get(key)
        out.write(
            records.ShareSnapshotKey(*key),
            records.ShareSnapshotValue(
                snapshot_epoch=0 if known is None else known.snapshot_epoch + 1,
                state_epoch=0 if known is None else known.state_epoch + 1,
                leader_epoch=leader_epoch,
                start_offset=start_offset,
                delivery_complete_count=0,
                create_timestamp_ms=wall_ms,
                write_timestamp_ms=wall_ms,
            ),
        )
        return out

    def acquire(
        self,
        key: ShareKey,
        member_id: str,
        read_offset: int,
        read_end_offset: int,
        batches: list[tuple[int, int]],
        max_records: int,
        mono_ms: int,
        *,
        is_strict: bool = False,
    ) -> list[Acquired]:
        """Lock what is available of record batches that were read; see `SharePartition`.

        When nothing was, `next_fetch_offset` may have moved past what held no
        records: read again there.
        """
        settings = self._settings_of(key.group_id)
        acquired = self._partition(key).acquire(
            member_id,
            read_offset,
            read_end_offset,
            batches,
            max_records,
            settings.share_partition_max_record_locks,
            mono_ms + settings.share_record_lock_duration_ms,
            is_strict=is_strict,
        )
        if acquired:
            self._watch_locks(key)
        return acquired

    def acknowledge(
        self,
        key: ShareKey,
        member_id: str,
        batches: list[AcknowledgeBatch],
        wall_ms: int,
        mono_ms: int,
    ) -> tuple[ErrorCode, Outcome]:
        """Take over what a member says of its records, all of it or nothing."""
        out = Outcome()
        if not self.is_initialized(key):
            return ErrorCode.INVALID_RECORD_STATE, out
        settings = self._settings_of(key.group_id)
        error, changed = self._partition(key).acknowledge(
            member_id,
            batches,
            settings.share_delivery_count_limit,
            mono_ms + settings.share_record_lock_duration_ms,
        )
        self._write(key, changed, wall_ms, out)
        self._watch_locks(key)
        return error, out

    def release(self, key: ShareKey, member_id: str, wall_ms: int) -> Outcome:
        """Give back everything that a member holds."""
        out = Outcome()
        if key in self._live:
            limit = self._settings_of(key.group_id).share_delivery_count_limit
            self._write(key, self._live[key].release(member_id, limit), wall_ms, out)
            self._watch_locks(key)
        return out

    def skip_to(self, key: ShareKey, log_start_offset: int, wall_ms: int) -> Outcome:
        """Leave out records that the log no longer has."""
        out = Outcome()
        if self.is_initialized(key) and self._partition(key).skip_to(log_start_offset):
            self._write(key, [], wall_ms, out)
        return out

    def delete(self, keys: list[ShareKey]) -> list[tuple[ShareKey, Outcome]]:
        """Forget share partitions, as when their group or topic goes."""
        outcomes = []
        for key in keys:
            if key in self._states:
                out = Outcome()
                out.erase(records.ShareSnapshotKey(*key))
                outcomes.append((key, out))
        return outcomes

    def keys_of_topic(self, topic_id: bytes) -> list[ShareKey]:
        return sorted(key for key in self._states if key.topic_id == topic_id)

    def _write(self, key: ShareKey, changed: list[Run], wall_ms: int, out: Outcome) -> None:
        state = self._states[key]
        live = self._live[key]
        moved = live.start_offset != state.start_offset
        if not changed and not moved:
            return
        if state.updates_since_snapshot >= self._updates_per_snapshot:
            self._write_snapshot(key, state, live, wall_ms, out)
            return
        out.write(
            records.ShareUpdateKey(*key),
            records.ShareUpdateValue(
                snapshot_epoch=state.snapshot_epoch,
                leader_epoch=state.leader_epoch,
                start_offset=live.start_offset if moved else UNCHANGED,
                delivery_complete_count=live.delivery_complete_count(),
                state_batches=[_to_batch(run) for run in changed if run.last >= live.start_offset],
            ),
        )

    def _write_snapshot(
        self,
        key: ShareKey,
        state: ShareState,
        live: SharePartition,
        wall_ms: int,
        out: Outcome,
    ) -> None:
        out.write(
            records.ShareSnapshotKey(*key),
            records.ShareSnapshotValue(
                snapshot_epoch=state.snapshot_epoch + 1,
                state_epoch=state.state_epoch,
                leader_epoch=state.leader_epoch,
                start_offset=live.start_offset,
                delivery_complete_count=live.delivery_complete_count(),
                create_timestamp_ms=state.create_timestamp_ms,
                write_timestamp_ms=wall_ms,
                state_batches=[_to_batch(run) for run in _durable(live)],
            ),
        )

    # --- time

    def _watch_locks(self, key: ShareKey) -> None:
        timer = TimerKey("locks", key.text)
        deadline_ms = self._live[key].next_lock_deadline_ms() if key in self._live else None
        if deadline_ms is None:
            self._timers.cancel(timer)
        else:
            self._timers.schedule(timer, deadline_ms)

    def next_deadline_ms(self) -> int | None:
        """When `on_time` is next needed, on the monotonic clock."""
        return self._timers.next_deadline_ms()

    def on_time(self, wall_ms: int, mono_ms: int) -> list[tuple[ShareKey, Outcome]]:
        """Give back records whose locks have expired."""
        outcomes = []
        for timer in self._timers.pop_due(mono_ms):
            key = self._by_text.get(timer.group_id)
            live = None if key is None else self._live.get(key)
            if key is None or live is None:
                continue
            out = Outcome()
            limit = self._settings_of(key.group_id).share_delivery_count_limit
            self._write(key, live.expire_locks(mono_ms, limit), wall_ms, out)
            self._watch_locks(key)
            outcomes.append((key, out))
        return outcomes

    # --- for tests and tools

    def durable_state(self) -> dict[ShareKey, ShareState]:
        """What the log alone determines."""
        return self._states

    def live_state(self, key: ShareKey) -> SharePartition:
        return self._partition(key)


def _durable(live: SharePartition) -> list[Run]:
    """What survives a restart: a record that is held counts as available.

    One that was never given back before has no state worth keeping at the end.
    """
    kept = []
    for run in live.runs:
        if run.state is not RecordState.ACQUIRED:
            kept.append(run)
        elif run.delivery_count > 1:
            available = replace(
                run,
                state=RecordState.AVAILABLE,
                delivery_count=run.delivery_count - 1,
                member_id="",
                lock_deadline_ms=0,
            )
            kept.append(available)
    return kept


def _to_run(batch: records.ShareStateBatch) -> Run:
    return Run(
        batch.first_offset,
        batch.last_offset,
        RecordState(batch.delivery_state),
        batch.delivery_count,
    )


def _to_batch(run: Run) -> records.ShareStateBatch:
    return records.ShareStateBatch(run.first, run.last, run.state, run.delivery_count)

"""Share groups in the broker: sessions, acquisition and acknowledgement (KIP-932).

The group coordinator knows who belongs to a share group; how far the group
has come in each partition is the share coordinator's, whose records go to
`__share_group_state`. An acknowledgement is told when its record is durable.
Locks are not durable: after a restart what was held is available again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ottla.broker.coordinator_log import CoordinatorLog
from ottla.broker.topics import RESOURCE_GROUP, SHARE_STATE_TOPIC
from ottla.coordinator.outcome import CoordinatorRecord, Outcome
from ottla.coordinator.share_coordinator import ShareCoordinator, ShareKey, ShareSettings
from ottla.coordinator.share_partition import AcknowledgeBatch
from ottla.coordinator.share_sessions import ShareSession, ShareSessions
from ottla.storage.errors import AppendError
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.connection import Connection
    from ottla.broker.partitions import Partition, Watcher

_EARLIEST: Final = "earliest"
_DURATION: Final = "by_duration:"
_ISO_DURATION: Final = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")

#: Why acknowledgements were not taken, in words.
WHY_NOT_ACKNOWLEDGED: Final = {
    ErrorCode.INVALID_REQUEST: (
        "The acknowledgements do not fit what was fetched: their offsets must ascend, end before "
        "the first record never acquired, and have one known type or one for each."
    ),
    ErrorCode.INVALID_RECORD_STATE: (
        "A record is no longer acquired by this member: it was acknowledged before, or its lock "
        "ran out."
    ),
}


class ShareGroups:
    """Everything about share groups but their membership."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        config = broker.config
        self._log = CoordinatorLog(broker, SHARE_STATE_TOPIC)
        self.coordinator = ShareCoordinator(
            self.settings_of,
            self._log.partition_count,
            config.number("share.coordinator.snapshot.update.records.per.snapshot"),
        )
        self.sessions = ShareSessions(config.number("group.share.max.share.sessions"))
        #: Parked share fetches, by what may become available for them.
        self._waiting: dict[ShareKey, dict[Watcher, None]] = {}

    def load(self) -> None:
        """Replay `__share_group_state`."""
        for index, header, record in self._log.read_all():
            if header.is_control:
                continue
            made = CoordinatorRecord(record.key or b"", record.value)
            try:
                self.coordinator.replay(made, record.offset)
            except ProtocolError as error:
                self._log.tell_skipped(index, record.offset, error)

    # --- configuration -------------------------------------------------------------

    def group_text(self, group_id: str, name: str) -> str:
        """The effective text of a group's key, such as `share.auto.offset.reset`."""
        overrides = self._broker.metadata.configs.get((RESOURCE_GROUP, group_id), {})
        return self._broker.config.group_text(name, overrides)

    def settings_of(self, group_id: str) -> ShareSettings:
        return ShareSettings(
            share_record_lock_duration_ms=int(
                self.group_text(group_id, "share.record.lock.duration.ms")
            ),
            share_delivery_count_limit=int(self.group_text(group_id, "share.delivery.count.limit")),
            share_partition_max_record_locks=int(
                self.group_text(group_id, "share.partition.max.record.locks")
            ),
        )

    def is_read_committed(self, group_id: str) -> bool:
        return self.group_text(group_id, "share.isolation.level") == "read_committed"

    # --- outcomes --------------------------------------------------------------------

    def state_partition(self, key: ShareKey) -> Partition:
        """Where the progress of a share partition is kept; created when first needed."""
        return self._log.partition(self.coordinator.partition_for(key))

    def apply(self, key: ShareKey, outcome: Outcome) -> ErrorCode:
        """Append and replay; whoever waits for records of the key looks again."""
        if outcome.records:
            partition = self.state_partition(key)
            try:
                first_offset = self._log.append(partition, outcome)
            except AppendError:
                return ErrorCode.COORDINATOR_NOT_AVAILABLE
            for i, record in enumerate(outcome.records):
                self.coordinator.replay(record, first_offset + i)
            for watcher in tuple(self._waiting.get(key, ())):
                watcher.partition_failed()
        return ErrorCode.NONE

    def prepare(self, key: ShareKey, partition: Partition) -> ErrorCode:
        """The group has a place in the partition that the log still holds."""
        broker, share = self._broker, self.coordinator
        if not share.is_initialized(key):
            outcome = share.initialize(
                key,
                self._first_offset(key.group_id, partition),
                partition.leader_epoch,
                broker.wall_ms,
            )
            return self.apply(key, outcome)
        return self.apply(key, share.skip_to(key, partition.log_start_offset, broker.wall_ms))

    def _first_offset(self, group_id: str, partition: Partition) -> int:
        policy = self.group_text(group_id, "share.auto.offset.reset")
        if policy == _EARLIEST:
            return partition.log_start_offset
        end_offset = partition.visible_end_offset(self.is_read_committed(group_id))
        back_ms = None
        if policy.startswith(_DURATION):
            back_ms = duration_ms(policy.removeprefix(_DURATION))
        if back_ms is None:
            return end_offset
        found = partition.log.offset_for_timestamp(self._broker.wall_ms - back_ms)
        return end_offset if found is None else min(found.offset, end_offset)

    def acknowledge(
        self, key: ShareKey, member_id: str, batches: list[AcknowledgeBatch]
    ) -> ErrorCode:
        """Take over a member's acknowledgements: durable with the next flush."""
        broker = self._broker
        error, outcome = self.coordinator.acknowledge(
            key, member_id, batches, broker.wall_ms, broker.mono_ms
        )
        return self.apply(key, outcome) or error

    def release(self, key: ShareKey, member_id: str) -> None:
        """Records that the member holds are available again."""
        self.apply(key, self.coordinator.release(key, member_id, self._broker.wall_ms))

    def end_session(self, session: ShareSession) -> list[ShareKey]:
        """The session is over and holds nothing; returns what it had read."""
        keys = [
            ShareKey(session.group_id, topic_id, index) for topic_id, index in session.partitions
        ]
        for key in keys:
            self.release(key, session.member_id)
        self.sessions.close(session)
        return keys

    def connection_lost(self, connection: Connection) -> None:
        for session in self.sessions.of_connection(connection.id):
            self.end_session(session)

    def forget(self, keys: Iterable[ShareKey]) -> ErrorCode:
        """Nothing is known of these share partitions any more."""
        error = ErrorCode.NONE
        for key, outcome in self.coordinator.delete(list(keys)):
            error = self.apply(key, outcome) or error
        return error

    # --- waiting ---------------------------------------------------------------------

    def watch(self, key: ShareKey, watcher: Watcher) -> None:
        self._waiting.setdefault(key, {})[watcher] = None

    def unwatch(self, key: ShareKey, watcher: Watcher) -> None:
        watchers = self._waiting.get(key)
        if watchers is not None:
            watchers.pop(watcher, None)
            if not watchers:
                del self._waiting[key]

    # --- time ------------------------------------------------------------------------

    def next_deadline_ms(self) -> int | None:
        return self.coordinator.next_deadline_ms()

    def on_time(self, wall_ms: int, mono_ms: int) -> None:
        """Give back what was locked for too long."""
        for key, outcome in self.coordinator.on_time(wall_ms, mono_ms):
            self.apply(key, outcome)

    def prune(self) -> None:
        """Let go of records of the topic that later snapshots have made redundant."""
        topic = self._log.existing
        if topic is None:
            return
        for partition in topic.partitions:
            offset = self.coordinator.redundant_before(partition.index)
            offset = min(offset, partition.high_watermark)
            if partition.log_start_offset < offset:
                partition.log.advance_log_start_offset(offset)
                self._broker.flushes.flush_directory()


def duration_ms(text: str) -> int | None:
    """Milliseconds of an ISO 8601 duration of days, hours, minutes and seconds; None if it
    is none."""
    found = _ISO_DURATION.fullmatch(text.upper())
    if found is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return int((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)

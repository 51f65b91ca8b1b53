"""Committed offsets, and those that await the end of a transaction.

Durable: everything here follows from replayed records alone. The offset of a
record in the log decides which of two commits is newer, because compaction may
have removed the marker's neighbours: a pending commit does not replace a plain
one that was written after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from ottla.coordinator.records.offsets import OffsetCommitKey, OffsetCommitValue


class CommittedOffset(NamedTuple):
    """What a group committed for a partition; -1 where it said nothing."""

    offset: int
    leader_epoch: int
    metadata: str
    commit_timestamp_ms: int
    expire_timestamp_ms: int
    log_offset: int


GroupOffsets: TypeAlias = dict[str, dict[int, CommittedOffset]]


class OffsetStore:
    def __init__(self) -> None:
        self._groups: dict[str, GroupOffsets] = {}
        #: producer id -> group -> topic -> partition
        self._pending: dict[int, dict[str, GroupOffsets]] = {}
        #: group -> producers with pending offsets in it
        self._open: dict[str, set[int]] = {}

    def __contains__(self, group_id: str) -> bool:
        return group_id in self._groups or group_id in self._open

    def group_ids(self) -> Iterator[str]:
        """Groups with committed or pending offsets."""
        yield from self._groups
        yield from (group_id for group_id in self._open if group_id not in self._groups)

    def of_group(self, group_id: str) -> GroupOffsets:
        """The group's committed offsets by topic and partition; read only."""
        return self._groups.get(group_id, {})

    def get(self, group_id: str, topic: str, partition: int) -> CommittedOffset | None:
        return self._groups.get(group_id, {}).get(topic, {}).get(partition)

    def has_open_transactions(self, group_id: str) -> bool:
        return group_id in self._open

    def is_pending(self, group_id: str, topic: str, partition: int) -> bool:
        """Whether an open transaction has committed an offset for the partition."""
        return any(
            partition in self._pending[producer_id][group_id].get(topic, {})
            for producer_id in self._open.get(group_id, ())
        )

    def pending_partitions(self, group_id: str) -> list[tuple[str, int]]:
        """Partitions with an offset pending in some open transaction, sorted."""
        found = {
            (topic, partition)
            for producer_id in self._open.get(group_id, ())
            for topic, partitions in self._pending[producer_id][group_id].items()
            for partition in partitions
        }
        return sorted(found)

    def replay(
        self,
        key: OffsetCommitKey,
        value: OffsetCommitValue | None,
        log_offset: int,
        producer_id: int,
    ) -> None:
        if value is None:
            self._remove(self._groups, key)
            for open_id in self._open.get(key.group, ()):
                topics = self._pending[open_id][key.group]
                topics.get(key.topic, {}).pop(key.partition, None)
            return
        committed = CommittedOffset(
            value.offset,
            value.leader_epoch,
            value.metadata,
            value.commit_timestamp_ms,
            value.expire_timestamp_ms,
            log_offset,
        )
        if producer_id < 0:
            groups = self._groups
        else:
            groups = self._pending.setdefault(producer_id, {})
            self._open.setdefault(key.group, set()).add(producer_id)
        groups.setdefault(key.group, {}).setdefault(key.topic, {})[key.partition] = committed

    def _remove(self, groups: dict[str, GroupOffsets], key: OffsetCommitKey) -> None:
        topics = groups.get(key.group)
        if topics is None or key.topic not in topics:
            return
        topics[key.topic].pop(key.partition, None)
        if not topics[key.topic]:
            del topics[key.topic]
        if not topics:
            del groups[key.group]

    def end_transaction(self, producer_id: int, group_ids: list[str], committed: bool) -> None:
        """Move the producer's pending offsets in these groups over, or drop them."""
        pending = self._pending.get(producer_id)
        if pending is None:
            return
        for group_id in group_ids:
            topics = pending.pop(group_id, None)
            if topics is None:
                continue
            self._open[group_id].discard(producer_id)
            if not self._open[group_id]:
                del self._open[group_id]
            if not committed:
                continue
            for topic, partitions in topics.items():
                for partition, offset in partitions.items():
                    known = self.get(group_id, topic, partition)
                    if known is None or offset.log_offset > known.log_offset:
                        own = self._groups.setdefault(group_id, {})
                        own.setdefault(topic, {})[partition] = offset
        if not pending:
            del self._pending[producer_id]

    def groups_of_producer(self, producer_id: int) -> list[str]:
        """Groups in which the producer has pending offsets."""
        return list(self._pending.get(producer_id, {}))

    def drop_pending(self, group_ids: list[str]) -> None:
        """Forget everything of these groups (their partition is being reloaded)."""
        for group_id in group_ids:
            for producer_id in list(self._open.get(group_id, ())):
                self.end_transaction(producer_id, [group_id], committed=False)
            self._groups.pop(group_id, None)

    def state(self) -> dict[str, object]:
        """Everything durable, for comparison."""
        return {"groups": self._groups, "pending": self._pending}

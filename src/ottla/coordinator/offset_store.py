"""Committed offsets, and those that await the end of a transaction.

Durable: everything here follows from replayed records alone. The offset of a
record in the log decides which of two commits is newer, because compaction may
have removed the marker's neighbours: a pending commit does not replace a plain
one that was written after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from ottla.coordinator.records.commits import decode_commit_key, decode_commit_value


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

    def replay(self, key: bytes, value: bytes | None, log_offset: int, producer_id: int) -> str:
        """Apply a record of key type 0 or 1; returns its group."""
        group_id, topic, partition = decode_commit_key(key)
        if value is None:
            self._remove(group_id, topic, partition)
            for open_id in self._open.get(group_id, ()):
                self._pending[open_id][group_id].get(topic, {}).pop(partition, None)
            return group_id
        committed = CommittedOffset(*decode_commit_value(value), log_offset)
        if producer_id < 0:
            groups = self._groups
        else:
            groups = self._pending.setdefault(producer_id, {})
            self._open.setdefault(group_id, set()).add(producer_id)
        topics = groups.get(group_id)
        if topics is None:
            topics = groups[group_id] = {}
        partitions = topics.get(topic)
        if partitions is None:
            partitions = topics[topic] = {}
        partitions[partition] = committed
        return group_id

    def _remove(self, group_id: str, topic: str, partition: int) -> None:
        topics = self._groups.get(group_id)
        if topics is None or topic not in topics:
            return
        topics[topic].pop(partition, None)
        if not topics[topic]:
            del topics[topic]
        if not topics:
            del self._groups[group_id]

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

    def state(self) -> dict[str, object]:
        """Everything durable, for comparison."""
        return {"groups": self._groups, "pending": self._pending}

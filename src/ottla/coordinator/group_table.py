"""Every group and every committed offset, as the log tells of them.

The lowest of three layers that make the group coordinator: this one replays
records, `group_offsets` answers the offset APIs from it, `group_coordinator`
decides about members. What is durable changes in `replay` and `replay_marker`
alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from ottla.coordinator.classic_group import ClassicGroup
from ottla.coordinator.classic_protocol import ClassicProtocol
from ottla.coordinator.consumer_group import ConsumerGroup
from ottla.coordinator.consumer_group_records import ConsumerGroups
from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.offset_store import OffsetStore
from ottla.coordinator.outcome import CoordinatorRecord
from ottla.coordinator.placement import partition_for
from ottla.coordinator.records.framing import decode_key, decode_value, key_type
from ottla.coordinator.records.offsets import GroupMetadataKey, GroupMetadataValue
from ottla.coordinator.share_group import ShareGroup
from ottla.coordinator.share_group_records import ShareGroups
from ottla.coordinator.timers import TimerKey, Timers
from ottla.coordinator.topic_catalog import NoTopics, TopicCatalog

EXPIRY_CHECK: Final = TimerKey("expiry", "")
AnyGroup: TypeAlias = ClassicGroup | ConsumerGroup | ShareGroup


class GroupTable:
    """`random_bytes(n)` is where member ids come from, `topics` what exists."""

    def __init__(
        self,
        config: GroupConfig,
        random_bytes: Callable[[int], bytes],
        partition_count: int = 1,
        topics: TopicCatalog | None = None,
    ) -> None:
        self._config = config
        self.partition_count = partition_count
        self._timers = Timers()
        self._classic = ClassicProtocol(config, self._timers, random_bytes)
        self._topics = topics or NoTopics()
        self._groups: dict[str, ClassicGroup] = {}
        self._consumer_groups = ConsumerGroups()
        self._share_groups = ShareGroups()
        self._saved: dict[str, bytes] = {}
        self._offsets = OffsetStore()
        self._is_loaded = False

    def partition_for(self, group_id: str) -> int:
        """The partition of `__consumer_offsets` that holds the group."""
        return partition_for(group_id, self.partition_count)

    # --- replay

    def replay(self, record: CoordinatorRecord, log_offset: int, producer_id: int = -1) -> None:
        """Apply a record of the log; kinds of later Kafkas are skipped.

        `producer_id` is that of a transactional batch, -1 otherwise.
        Errors: `ProtocolError` when the record is damaged.
        """
        kind = key_type(record.key)
        if kind in (0, 1):
            group_id = self._offsets.replay(record.key, record.value, log_offset, producer_id)
            if self._is_loaded and record.value is not None and not self._is_known(group_id):
                self._groups[group_id] = ClassicGroup(group_id)
        elif kind == GroupMetadataKey.KEY_TYPE:
            self._replay_classic(decode_key(GroupMetadataKey, record.key).group, record.value)
        else:
            group_id, came, went = self._consumer_groups.replay(kind, record)
            if came:
                self._groups.pop(group_id, None)
            elif went and self._is_loaded and group_id in self._offsets:
                self._groups.setdefault(group_id, ClassicGroup(group_id))
            self._share_groups.replay(kind, record)

    def _is_known(self, group_id: str) -> bool:
        return self._find(group_id) is not None

    def has_group(self, group_id: str) -> bool:
        """Whether there is a group of this id, of whatever type."""
        return self._find(group_id) is not None

    def _find(self, group_id: str) -> AnyGroup | None:
        """The group of this id, of whatever type."""
        return (
            self._consumer_groups.get(group_id)
            or self._share_groups.get(group_id)
            or self._groups.get(group_id)
        )

    def _replay_classic(self, group_id: str, value: bytes | None) -> None:
        if value is not None:
            if not self._is_loaded:
                decode_value(GroupMetadataValue, value)  # What is damaged is refused here.
            self._saved[group_id] = value
            return
        self._saved.pop(group_id, None)
        self._groups.pop(group_id, None)

    def replay_marker(self, partition: int, producer_id: int, *, committed: bool) -> None:
        """Apply the end of a producer's transaction in a partition of the topic."""
        groups = [
            group_id
            for group_id in self._offsets.groups_of_producer(producer_id)
            if self.partition_for(group_id) == partition
        ]
        self._offsets.end_transaction(producer_id, groups, committed)

    # --- for tests and tools

    def durable_state(self) -> dict[str, object]:
        """What the log alone determines."""
        return {
            "classic": self._saved,
            "consumer": {group.group_id: group for group in self._consumer_groups},
            "share": {group.group_id: group for group in self._share_groups},
            "offsets": self._offsets.state(),
        }

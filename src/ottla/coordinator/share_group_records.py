"""All share groups, built from their records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from ottla.coordinator.consumer_group_records import value_of
from ottla.coordinator.outcome import CoordinatorRecord
from ottla.coordinator.records import share_groups as records
from ottla.coordinator.records.framing import decode_key
from ottla.coordinator.share_group import ShareGroup

ShareKey: TypeAlias = (
    records.ShareGroupMemberMetadataKey
    | records.ShareGroupMetadataKey
    | records.ShareGroupTargetAssignmentMetadataKey
    | records.ShareGroupTargetAssignmentMemberKey
    | records.ShareGroupCurrentMemberAssignmentKey
    | records.ShareGroupStatePartitionMetadataKey
)
#: Key classes by key type.
KEYS: Final[dict[int, type[ShareKey]]] = {
    cls.KEY_TYPE: cls
    for cls in (
        records.ShareGroupMemberMetadataKey,
        records.ShareGroupMetadataKey,
        records.ShareGroupTargetAssignmentMetadataKey,
        records.ShareGroupTargetAssignmentMemberKey,
        records.ShareGroupCurrentMemberAssignmentKey,
        records.ShareGroupStatePartitionMetadataKey,
    )
}


class ShareGroups:
    """Groups by id; one exists while any of its records does."""

    def __init__(self) -> None:
        self._groups: dict[str, ShareGroup] = {}

    def __iter__(self) -> Iterator[ShareGroup]:
        return iter(list(self._groups.values()))

    def __contains__(self, group_id: str) -> bool:
        return group_id in self._groups

    def get(self, group_id: str) -> ShareGroup | None:
        return self._groups.get(group_id)

    def replay(self, kind: int, record: CoordinatorRecord) -> None:
        """Apply a record; other kinds are skipped."""
        cls = KEYS.get(kind)
        if cls is None:
            return
        key = decode_key(cls, record.key)
        group = self._groups.setdefault(key.group_id, ShareGroup(key.group_id))
        try:
            _replay(group, key, record)
        finally:
            if group.is_gone:
                del self._groups[key.group_id]


def _replay(group: ShareGroup, key: ShareKey, record: CoordinatorRecord) -> None:
    match key:
        case records.ShareGroupMetadataKey():
            group.replay_epoch(value_of(records.ShareGroupMetadataValue, record))
        case records.ShareGroupMemberMetadataKey():
            member = value_of(records.ShareGroupMemberMetadataValue, record)
            group.replay_member(key.member_id, member)
        case records.ShareGroupTargetAssignmentMetadataKey():
            value = value_of(records.ShareGroupTargetAssignmentMetadataValue, record)
            group.replay_assignment_epoch(value)
        case records.ShareGroupTargetAssignmentMemberKey():
            target = value_of(records.ShareGroupTargetAssignmentMemberValue, record)
            group.replay_target(key.member_id, target)
        case records.ShareGroupCurrentMemberAssignmentKey():
            current = value_of(records.ShareGroupCurrentMemberAssignmentValue, record)
            group.replay_position(key.member_id, current)
        case records.ShareGroupStatePartitionMetadataKey():
            topics = value_of(records.ShareGroupStatePartitionMetadataValue, record)
            group.replay_topics(topics)

"""All consumer groups, built from their records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias, TypeVar

from ottla.coordinator.consumer_group import ConsumerGroup
from ottla.coordinator.outcome import CoordinatorRecord
from ottla.coordinator.records import consumer_groups as records
from ottla.coordinator.records.framing import RecordValue, decode_key, decode_value, key_type

V = TypeVar("V", bound=RecordValue)

GroupKey: TypeAlias = (
    records.ConsumerGroupMetadataKey
    | records.ConsumerGroupMemberMetadataKey
    | records.ConsumerGroupTargetAssignmentMetadataKey
    | records.ConsumerGroupTargetAssignmentMemberKey
    | records.ConsumerGroupCurrentMemberAssignmentKey
    | records.ConsumerGroupRegularExpressionKey
)
#: Key classes by key type. Type 4, which held what `metadata_hash` stands for
#: before Kafka 4.1, is skipped.
KEYS: Final[dict[int, type[GroupKey]]] = {
    cls.KEY_TYPE: cls
    for cls in (
        records.ConsumerGroupMetadataKey,
        records.ConsumerGroupMemberMetadataKey,
        records.ConsumerGroupTargetAssignmentMetadataKey,
        records.ConsumerGroupTargetAssignmentMemberKey,
        records.ConsumerGroupCurrentMemberAssignmentKey,
        records.ConsumerGroupRegularExpressionKey,
    )
}


def value_of(cls: type[V], record: CoordinatorRecord) -> V | None:
    return None if record.value is None else decode_value(cls, record.value)


class ConsumerGroups:
    """Groups by id; one exists while any of its records does."""

    def __init__(self) -> None:
        self._groups: dict[str, ConsumerGroup] = {}

    def __iter__(self) -> Iterator[ConsumerGroup]:
        return iter(list(self._groups.values()))

    def __contains__(self, group_id: str) -> bool:
        return group_id in self._groups

    def get(self, group_id: str) -> ConsumerGroup | None:
        return self._groups.get(group_id)

    def replay(self, kind: int, record: CoordinatorRecord) -> tuple[str, bool, bool]:
        """Apply a record; says of which group, and whether it came or went with it.

        Records of other kinds are skipped; their group is "".
        """
        cls = KEYS.get(kind)
        if cls is None:
            return "", False, False
        key = decode_key(cls, record.key)
        group_id: str = key.group_id
        known = self._groups.get(group_id)
        group = ConsumerGroup(group_id) if known is None else known
        _replay(group, key, record)
        if group.is_gone:
            self._groups.pop(group_id, None)
        else:
            self._groups[group_id] = group
        return group_id, known is None and not group.is_gone, known is not None and group.is_gone


def apply_record(group: ConsumerGroup, record: CoordinatorRecord) -> None:
    """Apply a record to a group that is being made; other kinds are skipped."""
    cls = KEYS.get(key_type(record.key))
    if cls is not None:
        _replay(group, decode_key(cls, record.key), record)


def _replay(group: ConsumerGroup, key: GroupKey, record: CoordinatorRecord) -> None:
    match key:
        case records.ConsumerGroupMetadataKey():
            group.replay_epoch(value_of(records.ConsumerGroupMetadataValue, record))
        case records.ConsumerGroupMemberMetadataKey():
            member = value_of(records.ConsumerGroupMemberMetadataValue, record)
            group.replay_member(key.member_id, member)
        case records.ConsumerGroupTargetAssignmentMetadataKey():
            value = value_of(records.ConsumerGroupTargetAssignmentMetadataValue, record)
            group.replay_assignment_epoch(value)
        case records.ConsumerGroupTargetAssignmentMemberKey():
            target = value_of(records.ConsumerGroupTargetAssignmentMemberValue, record)
            group.replay_target(key.member_id, target)
        case records.ConsumerGroupCurrentMemberAssignmentKey():
            current = value_of(records.ConsumerGroupCurrentMemberAssignmentValue, record)
            group.replay_position(key.member_id, current)
        case records.ConsumerGroupRegularExpressionKey():
            topics = value_of(records.ConsumerGroupRegularExpressionValue, record)
            group.replay_regex(key.regular_expression, topics)

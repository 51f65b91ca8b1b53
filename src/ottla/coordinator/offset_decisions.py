"""OffsetCommit, TxnOffsetCommit, OffsetFetch, OffsetDelete and expiry.

The group has been found and the request checked against it when these are
called; what is left is the same for every kind of group. Decides only: the
records returned change the `OffsetStore` when they are replayed.
Sources: KIP-211 (expiry), KIP-447 (require_stable), KIP-496 (OffsetDelete).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.offset_store import CommittedOffset, OffsetStore
from ottla.coordinator.outcome import Outcome
from ottla.coordinator.records.commits import encode_commit_key, encode_commit_value
from ottla.coordinator.records.framing import encode_value
from ottla.coordinator.records.offsets import OffsetCommitKey, OffsetCommitValue
from ottla.wire.errors import ErrorCode
from ottla.wire.message import ZERO_UUID
from ottla.wire.messages import offset_commit, offset_delete, offset_fetch, txn_offset_commit

NO_OFFSET: Final = -1
#: Topic and partition -> why a commit for it is refused, or NONE.
ErrorOf: TypeAlias = Callable[[str, int], ErrorCode]
#: Version of an OffsetCommitValue that carries an expiry of its own (OffsetCommit v2 to v4).
WITH_EXPIRY: Final = 1


def commit(
    request: offset_commit.OffsetCommitRequest,
    error_of: ErrorOf,
    config: GroupConfig,
    wall_ms: int,
    out: Outcome,
) -> offset_commit.OffsetCommitResponse:
    """Add a record per accepted partition; `error_of` says which fail with what."""
    response = offset_commit.OffsetCommitResponse()
    expire_ms = -1 if request.retention_time_ms < 0 else wall_ms + request.retention_time_ms
    for topic in request.topics:
        answer = offset_commit.OffsetCommitResponseTopic(topic_id=topic.topic_id, name=topic.name)
        response.topics.append(answer)
        for partition in topic.partitions:
            given_ms = partition.commit_timestamp_ms
            commit_ms = wall_ms if given_ms < 0 else given_ms
            code = _commit_one(
                request.group_id, topic.name, partition, error_of, config, commit_ms, expire_ms, out
            )
            answer.partitions.append(
                offset_commit.OffsetCommitResponsePartition(
                    partition_index=partition.partition_index, error_code=code
                )
            )
    return response


def commit_in_transaction(
    request: txn_offset_commit.TxnOffsetCommitRequest,
    error_of: ErrorOf,
    config: GroupConfig,
    wall_ms: int,
    out: Outcome,
) -> txn_offset_commit.TxnOffsetCommitResponse:
    """As `commit`; the records belong to the producer's transaction."""
    response = txn_offset_commit.TxnOffsetCommitResponse()
    for topic in request.topics:
        answer = txn_offset_commit.TxnOffsetCommitResponseTopic(name=topic.name)
        response.topics.append(answer)
        for partition in topic.partitions:
            code = _commit_one(
                request.group_id, topic.name, partition, error_of, config, wall_ms, -1, out
            )
            answer.partitions.append(
                txn_offset_commit.TxnOffsetCommitResponsePartition(
                    partition_index=partition.partition_index, error_code=code
                )
            )
    return response


def _commit_one(
    group_id: str,
    topic: str,
    partition: (
        offset_commit.OffsetCommitRequestPartition
        | txn_offset_commit.TxnOffsetCommitRequestPartition
    ),
    error_of: ErrorOf,
    config: GroupConfig,
    commit_ms: int,
    expire_ms: int,
    out: Outcome,
) -> ErrorCode:
    """Add the record of one commit, or say why not; `expire_ms` is -1 where none was asked for."""
    index, metadata = partition.partition_index, partition.committed_metadata or ""
    code = error_of(topic, index) or check_metadata(metadata, config)
    if code:
        return code
    offset, epoch = partition.committed_offset, partition.committed_leader_epoch
    key = encode_commit_key(group_id, topic, index)
    if expire_ms < 0:
        out.add(key, encode_commit_value(offset, epoch, metadata, commit_ms))
    else:
        old = OffsetCommitValue(offset, epoch, metadata, commit_ms, expire_ms)
        out.add(key, encode_value(old, WITH_EXPIRY))
    return code


def check_metadata(metadata: str, config: GroupConfig) -> ErrorCode:
    """Kafka counts characters here, although the setting speaks of bytes."""
    if len(metadata) > config.offset_metadata_max_bytes:
        return ErrorCode.OFFSET_METADATA_TOO_LARGE
    return ErrorCode.NONE


def fetch_topics(
    group: offset_fetch.OffsetFetchRequestGroup, store: OffsetStore, require_stable: bool
) -> list[offset_fetch.OffsetFetchResponseTopics]:
    """The committed offsets asked for, or all of them where `topics` is null."""
    answers = []
    if group.topics is None:
        all_offsets = store.of_group(group.group_id)
        asked = [(topic, ZERO_UUID, list(offsets)) for topic, offsets in all_offsets.items()]
    else:
        asked = [(t.name, t.topic_id, t.partition_indexes) for t in group.topics]
    for name, topic_id, partitions in asked:
        committed = store.of_group(group.group_id).get(name, {})
        answer = offset_fetch.OffsetFetchResponseTopics(topic_id=topic_id, name=name)
        answers.append(answer)
        for partition in partitions:
            found = committed.get(partition)
            item = offset_fetch.OffsetFetchResponsePartitions(
                partition_index=partition, committed_offset=NO_OFFSET
            )
            answer.partitions.append(item)
            if require_stable and store.is_pending(group.group_id, name, partition):
                item.error_code = ErrorCode.UNSTABLE_OFFSET_COMMIT
            elif found is not None:
                item.committed_offset = found.offset
                item.committed_leader_epoch = found.leader_epoch
                item.metadata = found.metadata
    return answers


def delete(
    request: offset_delete.OffsetDeleteRequest,
    store: OffsetStore,
    is_subscribed_to: Callable[[str], bool],
    out: Outcome,
) -> offset_delete.OffsetDeleteResponse:
    """Erase offsets, except those of topics the group is subscribed to."""
    response = offset_delete.OffsetDeleteResponse()
    for topic in request.topics:
        answer = offset_delete.OffsetDeleteResponseTopic(name=topic.name)
        response.topics.append(answer)
        subscribed = is_subscribed_to(topic.name)
        for partition in topic.partitions:
            index = partition.partition_index
            code = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC if subscribed else ErrorCode.NONE
            answer.partitions.append(
                offset_delete.OffsetDeleteResponsePartition(partition_index=index, error_code=code)
            )
            known = store.get(request.group_id, topic.name, index) is not None
            if not subscribed and (known or store.is_pending(request.group_id, topic.name, index)):
                out.erase(OffsetCommitKey(request.group_id, topic.name, index))
    return response


def delete_all(group_id: str, store: OffsetStore, out: Outcome) -> None:
    """Erase every offset of the group, pending ones included."""
    partitions = {
        (topic, partition)
        for topic, offsets in store.of_group(group_id).items()
        for partition in offsets
    }
    partitions.update(store.pending_partitions(group_id))
    for topic, partition in sorted(partitions):
        out.erase(OffsetCommitKey(group_id, topic, partition))


def delete_of_topics(
    group_id: str, topics: frozenset[str], store: OffsetStore, out: Outcome
) -> None:
    """Erase the group's offsets of deleted topics, pending ones included."""
    partitions = {
        (topic, partition)
        for topic in topics
        for partition in store.of_group(group_id).get(topic, {})
    }
    partitions.update(p for p in store.pending_partitions(group_id) if p[0] in topics)
    for topic, partition in sorted(partitions):
        out.erase(OffsetCommitKey(group_id, topic, partition))


def expire(
    group_id: str,
    store: OffsetStore,
    config: GroupConfig,
    base_timestamp_ms: int | None,
    is_subscribed_to: Callable[[str], bool],
    wall_ms: int,
    out: Outcome,
) -> bool:
    """Erase offsets whose time is over (KIP-211); True if none are left.

    `base_timestamp_ms` is when the group became empty; None counts from each
    commit.
    """
    all_gone = not store.has_open_transactions(group_id)
    for topic, partitions in store.of_group(group_id).items():
        subscribed = is_subscribed_to(topic)
        for partition, offset in partitions.items():
            if (
                subscribed
                or store.is_pending(group_id, topic, partition)
                or wall_ms < expiry_ms(offset, config, base_timestamp_ms)
            ):
                all_gone = False
            else:
                out.erase(OffsetCommitKey(group_id, topic, partition))
    return all_gone


def expiry_ms(offset: CommittedOffset, config: GroupConfig, base_timestamp_ms: int | None) -> int:
    """When an offset may go; old clients could say so themselves."""
    if offset.expire_timestamp_ms >= 0:
        return offset.expire_timestamp_ms
    base_ms = offset.commit_timestamp_ms if base_timestamp_ms is None else base_timestamp_ms
    return base_ms + config.offsets_retention_ms

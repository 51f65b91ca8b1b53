"""Short ways to write the requests that most tests need."""

from __future__ import annotations

from ottla.wire.message import ZERO_UUID, Buffer
from ottla.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from ottla.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from ottla.wire.messages.metadata import MetadataRequest, MetadataRequestTopic
from ottla.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData


def create_topic(
    name: str, partitions: int = 1, factor: int = 1, **configs: str
) -> CreateTopicsRequest:
    """Keyword `retention_ms="1"` sets `retention.ms`."""
    rows = [CreatableTopicConfig(k.replace("_", "."), v) for k, v in configs.items()]
    return CreateTopicsRequest([CreatableTopic(name, partitions, factor, [], rows)], 1000)


def metadata(*names: str, may_create: bool = False) -> MetadataRequest:
    return MetadataRequest(
        [MetadataRequestTopic(name=name) for name in names], allow_auto_topic_creation=may_create
    )


def produce(
    topic: str,
    data: Buffer,
    partition: int = 0,
    *,
    acks: int = -1,
    topic_id: bytes = ZERO_UUID,
    timeout_ms: int = 30_000,
    transactional_id: str | None = None,
) -> ProduceRequest:
    return ProduceRequest(
        transactional_id,
        acks,
        timeout_ms,
        [TopicProduceData(topic_id, topic, [PartitionProduceData(partition, data)])],
    )


def fetch(
    topic: str = "",
    offset: int = 0,
    partition: int = 0,
    *,
    topic_id: bytes = ZERO_UUID,
    max_wait_ms: int = 0,
    min_bytes: int = 1,
    max_bytes: int = 50 * 1024 * 1024,
    partition_max_bytes: int = 1024 * 1024,
    isolation_level: int = 0,
    session_id: int = 0,
    session_epoch: int = -1,
) -> FetchRequest:
    topics = []
    if topic or topic_id != ZERO_UUID:
        wanted = FetchPartition(
            partition, fetch_offset=offset, partition_max_bytes=partition_max_bytes
        )
        topics = [FetchTopic(topic_id, topic, [wanted])]
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        isolation_level=isolation_level,
        session_id=session_id,
        session_epoch=session_epoch,
        topics=topics,
    )


def list_offset(
    topic: str, timestamp: int, partition: int = 0, isolation_level: int = 0
) -> ListOffsetsRequest:
    return ListOffsetsRequest(
        -1,
        isolation_level,
        [ListOffsetsTopic(topic, [ListOffsetsPartition(partition, timestamp=timestamp)])],
    )

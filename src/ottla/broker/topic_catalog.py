"""The broker's topics as group coordination sees them."""

from __future__ import annotations

from collections.abc import Iterable

from ottla.broker.topics import ClusterMetadata, Topic
from ottla.coordinator.topic_catalog import TopicInfo


class BrokerTopics:
    """Implements `ottla.coordinator.topic_catalog.TopicCatalog`."""

    def __init__(self, metadata: ClusterMetadata) -> None:
        self._metadata = metadata

    @property
    def epoch(self) -> int:
        return self._metadata.topics_epoch

    def topic_by_name(self, name: str) -> TopicInfo | None:
        return _info(self._metadata.topics.get(name))

    def topic_by_id(self, topic_id: bytes) -> TopicInfo | None:
        return _info(self._metadata.topics_by_id.get(topic_id))

    def topic_names(self) -> Iterable[str]:
        return self._metadata.topics


def _info(topic: Topic | None) -> TopicInfo | None:
    return None if topic is None else TopicInfo(topic.name, topic.id, topic.partition_count)

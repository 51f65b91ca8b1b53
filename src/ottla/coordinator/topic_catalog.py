"""What group coordination needs to know of topics; the broker implements it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class TopicInfo(NamedTuple):
    name: str
    topic_id: bytes
    partition_count: int


class TopicCatalog(Protocol):
    """The topics of the cluster as they are now.

    `epoch` changes whenever a topic is created, deleted or gets partitions, so
    that groups need not look at every topic at every heartbeat.
    """

    @property
    def epoch(self) -> int: ...

    def topic_by_name(self, name: str) -> TopicInfo | None: ...

    def topic_by_id(self, topic_id: bytes) -> TopicInfo | None: ...

    def topic_names(self) -> Iterable[str]: ...


class NoTopics:
    """An empty catalogue, for a coordinator of classic groups only."""

    epoch = 0

    def topic_by_name(self, name: str) -> TopicInfo | None:
        return None

    def topic_by_id(self, topic_id: bytes) -> TopicInfo | None:
        return None

    def topic_names(self) -> Iterable[str]:
        return ()

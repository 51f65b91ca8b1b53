"""Consumers of the KIP-848 protocol that behave as a client library does."""

from __future__ import annotations

from collections.abc import Iterable

from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.group_coordinator import GroupCoordinator
from ottla.coordinator.outcome import Client
from ottla.coordinator.topic_catalog import TopicInfo
from ottla.wire.messages import consumer_group_heartbeat as messages

from .harness import Harness


class Catalog:
    """Topics that tests create and delete."""

    def __init__(self, **topics: int) -> None:
        self.epoch = 0
        self._topics: dict[str, TopicInfo] = {}
        self._created = 0
        for name, partitions in topics.items():
            self.create(name, partitions)

    def create(self, name: str, partitions: int) -> None:
        self._created += 1
        known = self._topics.get(name)
        topic_id = known.topic_id if known else self._created.to_bytes(16, "big")
        self._topics[name] = TopicInfo(name, topic_id, partitions)
        self.epoch += 1

    def delete(self, name: str) -> None:
        del self._topics[name]
        self.epoch += 1

    def topic_by_name(self, name: str) -> TopicInfo | None:
        return self._topics.get(name)

    def topic_by_id(self, topic_id: bytes) -> TopicInfo | None:
        return next((t for t in self._topics.values() if t.topic_id == topic_id), None)

    def topic_names(self) -> Iterable[str]:
        return self._topics


class ConsumerHarness(Harness):
    def __init__(self, catalog: Catalog | None = None, config: GroupConfig | None = None) -> None:
        self.catalog = catalog or Catalog(t=4)
        super().__init__(config)

    def _fresh(self) -> GroupCoordinator:
        return GroupCoordinator(
            self.config,
            lambda size: next(self._ids).to_bytes(size, "big"),
            partition_count=1,
            topics=self.catalog,
        )

    def beat(
        self, request: messages.ConsumerGroupHeartbeatRequest, version: int = 1
    ) -> messages.ConsumerGroupHeartbeatResponse:
        waiter = next(self.waiters)
        client = Client("c", "/127.0.0.1", version)
        self.apply(
            self.coordinator.consumer_heartbeat(request, client, waiter, self.wall_ms, self.now_ms)
        )
        return self.answer(waiter, messages.ConsumerGroupHeartbeatResponse)

    def group_state(self, group: str = "g") -> str:
        return self.coordinator.describe_consumer_group(group).group_state


class Consumer:
    """One client: it owns what it is assigned, and gives up what it is not."""

    def __init__(
        self,
        h: ConsumerHarness,
        name: str,
        *topics: str,
        instance: str | None = None,
        regex: str | None = None,
        assignor: str | None = None,
        rebalance_timeout_ms: int = 30_000,
    ) -> None:
        self.h = h
        self.member_id = name
        self.topics = list(topics)
        self.instance = instance
        self.regex = regex
        self.assignor = assignor
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.epoch = 0
        self.owned: dict[bytes, frozenset[int]] = {}
        self.revoking: dict[bytes, frozenset[int]] | None = None
        self.error = 0
        #: An answer got lost: like a client library, say everything again.
        self.was_cut_off = False

    @property
    def partitions(self) -> set[tuple[str, int]]:
        """What the client consumes now, by topic name where the topic still exists."""
        found = set()
        for topic_id, indexes in self.owned.items():
            topic = self.h.catalog.topic_by_id(topic_id)
            found |= {(topic.name if topic else "?", p) for p in indexes}
        return found

    def request(self, full: bool) -> messages.ConsumerGroupHeartbeatRequest:
        owned = [messages.TopicPartitions(t, sorted(p)) for t, p in sorted(self.owned.items())]
        request = messages.ConsumerGroupHeartbeatRequest(
            group_id="g",
            member_id=self.member_id,
            member_epoch=self.epoch,
            instance_id=self.instance,
            topic_partitions=owned,
        )
        if full:
            request.rebalance_timeout_ms = self.rebalance_timeout_ms
            request.subscribed_topic_names = self.topics
            request.subscribed_topic_regex = self.regex
            request.server_assignor = self.assignor
        return request

    def beat(self, *, full: bool = False) -> messages.ConsumerGroupHeartbeatResponse:
        """Heartbeat once and take the answer over."""
        response = self.h.beat(self.request(full or self.epoch == 0 or self.was_cut_off))
        self.was_cut_off = False
        self.error = response.error_code
        if response.error_code:
            if response.error_code in (25, 110):  # start anew, with nothing
                self.epoch, self.owned = 0, {}
            return response
        self.epoch = response.member_epoch
        if response.assignment is not None:
            self.owned = {
                t.topic_id: frozenset(t.partitions) for t in response.assignment.topic_partitions
            }
        return response

    def leave(self, epoch: int = -1) -> messages.ConsumerGroupHeartbeatResponse:
        self.epoch = epoch
        response = self.h.beat(self.request(False))
        self.epoch, self.owned = 0, {}
        return response


def settle(*consumers: Consumer, rounds: int = 10) -> None:
    """Let everybody heartbeat until nothing more can change."""
    for _ in range(rounds):
        for consumer in consumers:
            consumer.beat()

"""What a lab works with: a Kafka, a screen, counts, and the checks that make its verdict."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ottla.labs.screen import Screen

if TYPE_CHECKING:
    from ottla.client import Cluster
    from ottla.embedded import Broker

ANSWER_TIMEOUT_S = 20.0
#: Nothing waits this long unless something is wrong.
PATIENCE_S = 60.0


class LabError(Exception):
    """The lab cannot go on; the text is one sentence: what, where, what to do."""


@dataclass(frozen=True, slots=True)
class Check:
    """A sentence of the verdict, and whether it was found true."""

    sentence: str
    holds: bool


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """A record as it lies in a topic."""

    partition: int
    offset: int
    key: str | None = field(compare=False)
    value: str | None = field(compare=False)


@dataclass
class Bench:
    """One run of a lab. `broker` is None on a Kafka that is not the lab's own."""

    settings: dict[str, Any]
    screen: Screen
    is_fast: bool = False
    broker: Broker | None = None
    counts: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    _tag: str = field(default_factory=lambda: uuid4().hex[:6])

    @property
    def bootstrap_servers(self) -> str:
        return str(self.settings["bootstrap.servers"])

    @property
    def holds(self) -> bool:
        return bool(self.checks) and all(check.holds for check in self.checks)

    def unique(self, name: str) -> str:
        """A topic or group that no other run uses."""
        return f"lab-{name}-{self._tag}"

    def scaled(self, fast: int, usual: int) -> int:
        """How much of something: little with --fast."""
        return fast if self.is_fast else usual

    def count(self, **numbers: Any) -> None:
        """Remember what was counted, for --json."""
        self.counts.update(numbers)

    def check(self, sentence: str, holds: bool) -> None:
        """Add a sentence to the verdict, and show it."""
        self.checks.append(Check(sentence, holds))
        mark = self.screen.paint("✓", "green") if holds else self.screen.paint("✗", "red")
        self.screen.say(f"  {mark} " + "\n    ".join(textwrap.wrap(sentence, 74)))

    # --- clients

    def client(self, **config: Any) -> dict[str, Any]:
        """Settings of a confluent-kafka client; `group_id=…` means `group.id`."""
        named = {name.replace("_", "."): value for name, value in config.items()}
        return {"log_level": 0, **self.settings, **named}

    def create_topic(
        self,
        topic: str,
        partitions: int = 1,
        config: Mapping[str, str] | None = None,
        replicas: int = -1,
    ) -> str:
        """The topic exists and every client sees it; returns its name. Errors: LabError."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient
        from confluent_kafka.cimpl import NewTopic

        admin = AdminClient(self.client())
        wanted = NewTopic(
            topic,
            num_partitions=partitions,
            replication_factor=replicas,  # -1: the cluster's default
            config=dict(config or {}),
        )
        try:
            admin.create_topics([wanted], request_timeout=ANSWER_TIMEOUT_S)[topic].result()
        except KafkaException as error:
            raise LabError(
                f"The topic {topic} cannot be created at {self.bootstrap_servers}: "
                f"{error.args[0].str()}"
            ) from None
        self.wait(
            lambda: self._is_everywhere(topic, partitions), f"the topic {topic} does not appear"
        )
        return topic

    def _is_everywhere(self, topic: str, partitions: int) -> bool:
        """Whether each broker shows the topic, and each leader knows that it leads: the
        controller answers before they have heard of it."""
        from ottla.client import ClientError
        from ottla.client.offsets import LATEST
        from ottla.moving.partitions import Where, list_offsets
        from ottla.wire.messages.metadata import MetadataRequest, MetadataRequestTopic

        asked = MetadataRequest([MetadataRequestTopic(name=topic)], False)
        places = [Where(topic, number) for number in range(partitions)]
        try:
            with self._cluster() as cluster:
                for broker in cluster.brokers():
                    (shown,) = cluster.broker(broker.node_id).request(asked).topics
                    if shown.error_code or len(shown.partitions) != partitions:
                        return False
                return len(list_offsets(cluster, places, LATEST)) == partitions
        except ClientError:
            return False

    def _cluster(self) -> Cluster:
        from ottla.client import Cluster, Settings
        from ottla.client.security import secured

        return Cluster(self.bootstrap_servers, secured(Settings("ottla-lab"), self.settings))

    def _partitions(self, topic: str) -> Sequence[int]:
        """Errors: LabError when no broker comes to know it: a broker that has not heard of a
        topic yet shows one without partitions, in which nothing would be missed."""
        from confluent_kafka.admin import AdminClient

        admin = AdminClient(self.client())
        found: list[int] = []

        def is_known() -> bool:
            shown = admin.list_topics(topic, timeout=ANSWER_TIMEOUT_S).topics[topic]
            found[:] = shown.partitions
            return shown.error is None and bool(found)

        self.wait(is_known, f"nobody knows of the topic {topic}")
        return found

    def topics(self) -> set[str]:
        from confluent_kafka.admin import AdminClient

        return set(AdminClient(self.client()).list_topics(timeout=ANSWER_TIMEOUT_S).topics)

    def produce(
        self,
        topic: str,
        pairs: Sequence[tuple[str | None, str]],
        timestamp_ms: int = 0,
        **config: Any,
    ) -> None:
        """All (key, value) pairs are acknowledged afterwards. Errors: LabError.

        A timestamp of 0 is now.
        """
        from confluent_kafka import Producer

        failures: list[str] = []

        def delivered(error: Any, _: Any) -> None:
            if error is not None:
                failures.append(error.str())

        producer = Producer(self.client(linger_ms=5, **config))
        for key, value in pairs:
            producer.produce(topic, value, key, on_delivery=delivered, timestamp=timestamp_ms)
            producer.poll(0)
        left = producer.flush(ANSWER_TIMEOUT_S)
        if failures or left:
            raise LabError(
                f"{len(failures) + left} records were not taken by {self.bootstrap_servers}: "
                f"{failures[0] if failures else 'no answer'}"
            )

    def read(self, topic: str, *, is_committed: bool = True) -> list[Row]:
        """Everything in a topic now, by partition and offset. Errors: LabError."""
        from confluent_kafka import Consumer, KafkaError, TopicPartition

        consumer = Consumer(
            self.client(
                group_id=self.unique("reading"),
                enable_auto_commit=False,
                enable_partition_eof=True,
                fetch_wait_max_ms=20,  # the end is told by an empty answer
                auto_offset_reset="earliest",
                isolation_level="read_committed" if is_committed else "read_uncommitted",
            )
        )
        found: list[Row] = []
        try:
            waiting = set(self._partitions(topic))
            consumer.assign([TopicPartition(topic, p, 0) for p in waiting])
            deadline = time.monotonic() + PATIENCE_S
            while waiting:
                if time.monotonic() > deadline:
                    raise LabError(f"partitions {sorted(waiting)} of {topic} do not answer")
                for message in consumer.consume(1_000, 0.1):
                    error = message.error()
                    if error is None:
                        found.append(row_of(message))
                    elif error.code() == KafkaError._PARTITION_EOF:
                        waiting.discard(message.partition() or 0)
        finally:
            consumer.close()
        return sorted(found)

    def wait_until_shown(self, topic: str) -> None:
        """Consumers are shown all that the leaders have. A record that is acknowledged with
        acks=1 is hidden until the followers have it. Errors: LabError."""
        from ottla.client import ClientError
        from ottla.client.offsets import LATEST
        from ottla.moving.partitions import Where, list_offsets, uncommitted_end

        def is_shown() -> bool:
            places = [Where(topic, number) for number in self._partitions(topic)]
            try:
                with self._cluster() as cluster:
                    shown = list_offsets(cluster, places, LATEST)
                    return all(shown[p] == uncommitted_end(cluster, p) for p in places)
            except ClientError:
                return False

        self.wait(is_shown, f"{topic} does not show all that it has")

    def wait(
        self,
        is_done: Callable[[], bool],
        complaint: str,
        *,
        picture: Callable[[], Sequence[str]] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Wait until done, drawing the picture meanwhile. Errors: LabError with the complaint."""
        deadline = time.monotonic() + patience_s
        while not is_done():
            if picture is not None:
                self.screen.draw(picture())
            if time.monotonic() > deadline:
                raise LabError(f"After {patience_s:g} s, {complaint} ({self.bootstrap_servers}).")
            time.sleep(0.02)
        if picture is not None:
            self.screen.draw(picture())


def row_of(message: Any) -> Row:
    return Row(message.partition(), message.offset(), _text(message.key()), _text(message.value()))


def _text(data: bytes | str | None) -> str | None:
    return data.decode(errors="replace") if isinstance(data, bytes) else data

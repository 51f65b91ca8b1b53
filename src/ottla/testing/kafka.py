"""A Kafka for tests: the embedded broker or any other, and what tests ask of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, Producer
    from confluent_kafka.admin import AdminClient

    from ottla.embedded import Broker
    from ottla.server.control import Control

T = TypeVar("T")

#: Generous, because test machines are small and shared; nothing waits longer than it must.
DEFAULT_TIMEOUT_S = 30.0
_POLL_S = 0.1


class NotEmbeddedError(Exception):
    """Faults and movable time were asked of a Kafka that is not in this process."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it lies in a topic; `timestamp` is in milliseconds since 1970 (UTC).

    Key and value are None where Kafka has null; headers keep their order.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class KafkaForTests:
    """One Kafka, with the few calls that tests repeat.

    `bootstrap_servers` is `host:port[,host:port]`; `broker` the embedded
    `ottla.Broker`, None when it is another Kafka. The same tests run on the
    embedded broker and on Apache Kafka, as long as they do not use `control`
    and `freeze_group`. Its clients are confluent-kafka's, so whatever fails at
    the broker is their `confluent_kafka.KafkaException`. Waits give up after
    `timeout_s` seconds, 30 unless told otherwise, with an `AssertionError` that
    says what was seen last.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        broker: Broker | None = None,
        client: Mapping[str, str] | None = None,
    ) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.broker = broker
        self._client = dict(client or {})
        self._admin: AdminClient | None = None

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        config: Mapping[str, str] | None = None,
        *,
        bootstrap_servers: str | None = None,
        client: Mapping[str, str] | None = None,
    ) -> Iterator[KafkaForTests]:
        """A throw-away embedded broker, ready; or the given Kafka, which is left alone.

        `config` are Kafka's broker keys, as text; `client` are librdkafka's settings
        that every client needs, such as a user and a password. A context manager;
        the embedded broker and its data end with the block. Errors: `ottla.StartError`,
        with one sentence.
        """
        if bootstrap_servers is not None:
            yield cls(bootstrap_servers, client=client)
            return
        from ottla.embedded import Broker

        with Broker(config=config) as broker:
            yield cls(broker.bootstrap_servers, broker, client)

    @property
    def control(self) -> Control:
        """Faults and movable time. Errors: `NotEmbeddedError` on another Kafka."""
        if self.broker is None:
            raise NotEmbeddedError(
                f"Kafka at {self.bootstrap_servers} is not embedded: it takes no faults and its"
                " time cannot be moved."
            )
        return self.broker.control

    # --- clients

    def settings(self, **config: Any) -> dict[str, Any]:
        """Settings of a confluent-kafka client, by librdkafka's names.

        Keyword `group_id` means `group.id`. Without log lines: what fails is told
        by the call that failed.
        """
        named = {name.replace("_", "."): value for name, value in config.items()}
        # Errors reach the test by their calls; librdkafka's log would only repeat them.
        own = {"bootstrap.servers": self.bootstrap_servers, "log_level": 2}
        return {**own, **self._client, **named}

    def producer(self, **config: Any) -> Producer:
        """A confluent-kafka producer; keywords are its settings, `linger_ms=0` for `linger.ms`.

        Flush it yourself: what is queued is lost with it.
        """
        from confluent_kafka import Producer

        return Producer(self.settings(**config))

    def consumer(self, *topics: str, **config: Any) -> Consumer:
        """A confluent-kafka consumer that reads from the beginning, in a group of its own.

        It is subscribed to the topics, if any are given, and has its first record after
        some ten milliseconds: partitions without a commit are assigned with the offset
        to begin with, because `auto.offset.reset` would take effect 100 ms later.
        Keywords are its settings: `group_id="billing"`. Close it yourself.
        """
        from confluent_kafka import Consumer

        settings = self.settings(
            **{
                "group_id": f"group-{uuid4().hex[:12]}",
                "auto_offset_reset": "earliest",
                # Or librdkafka waits 50 ms between the connections of its start.
                "enable_sparse_connections": False,
                **config,
            }
        )
        consumer = Consumer(settings)
        if topics:
            start = starter(settings)
            consumer.subscribe(list(topics), **({"on_assign": start} if start else {}))
        return consumer

    @property
    def admin(self) -> AdminClient:
        """A confluent-kafka admin client, the same one at every use."""
        from confluent_kafka.admin import AdminClient

        if self._admin is None:
            self._admin = AdminClient(self.settings())
        return self._admin

    # --- topics and records

    def new_topic(
        self,
        partitions: int = 1,
        config: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> str:
        """A fresh topic that every client sees; its name, unique unless given.

        `config` are Kafka's topic keys, as text: `{"retention.ms": "1000"}`. Errors:
        `confluent_kafka.KafkaException` when the broker refuses it.
        """
        from confluent_kafka.cimpl import NewTopic

        name = name or f"topic-{uuid4().hex[:12]}"
        wanted = NewTopic(name, num_partitions=partitions, config=dict(config or {}))
        self.admin.create_topics([wanted])[name].result(DEFAULT_TIMEOUT_S)
        return name

    def produce(self, topic: str, *values: bytes | str, **arguments: Any) -> None:
        """Produce the values and wait until they are acknowledged.

        Errors: the first delivery's, as `confluent_kafka.KafkaException`.
        """
        from confluent_kafka import KafkaException

        failures: list[Any] = []

        def delivered(error: Any, _: Any) -> None:
            if error is not None:
                failures.append(error)

        producer = self.producer()
        for value in values:
            producer.produce(topic, value, on_delivery=delivered, **arguments)
        left = producer.flush(DEFAULT_TIMEOUT_S)
        if failures:
            raise KafkaException(failures[0])
        assert left == 0, f"{left} records were not acknowledged in {DEFAULT_TIMEOUT_S:g} s"

    def records(self, topic: str) -> list[Record]:
        """Everything in a topic now, by partition and offset; committed records only.

        Reads without a group, and commits nothing. Errors: `AssertionError` when a
        partition does not answer within 30 s.
        """
        from confluent_kafka import Consumer, KafkaError, TopicPartition

        consumer = Consumer(
            self.settings(
                group_id=f"records-{uuid4().hex[:12]}",
                enable_auto_commit=False,
                enable_partition_eof=True,
                auto_offset_reset="earliest",
            )
        )
        found: list[Record] = []
        try:
            metadata = consumer.list_topics(topic, timeout=DEFAULT_TIMEOUT_S).topics[topic]
            # A topic that is written to all the time never ends: its end is that of now.
            ends = {p: self._end(consumer, topic, p) for p in metadata.partitions}
            waiting = {p for p, end in ends.items() if end}
            consumer.assign([TopicPartition(topic, p, 0) for p in waiting])
            deadline = time.monotonic() + DEFAULT_TIMEOUT_S
            while waiting:
                assert time.monotonic() < deadline, f"partitions {waiting} of {topic} do not answer"
                for message in consumer.consume(1000, _POLL_S):
                    error = message.error()
                    if error is None:
                        record = record_of(message)
                        if record.offset < ends[record.partition]:
                            found.append(record)
                        if record.offset >= ends[record.partition] - 1:
                            waiting.discard(record.partition)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        waiting.discard(message.partition() or 0)
        finally:
            consumer.close()
        return sorted(found, key=lambda r: (r.partition, r.offset))

    @staticmethod
    def _end(consumer: Consumer, topic: str, partition: int) -> int:
        from confluent_kafka import TopicPartition

        where = TopicPartition(topic, partition)
        return consumer.get_watermark_offsets(where, timeout=DEFAULT_TIMEOUT_S)[1]

    # --- waits

    def wait_for_assignment(
        self, *consumers: Consumer, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> list[Any]:
        """Poll the consumers until each has partitions; the partitions of all.

        Errors: `AssertionError` after the time-out, or when a record arrives
        first (read it by `consume_exactly` instead).
        """
        deadline = time.monotonic() + timeout_s
        while not all(c.assignment() for c in consumers):
            assert time.monotonic() < deadline, f"no assignment within {timeout_s:g} s"
            for consumer in consumers:
                if consumer.assignment():
                    # A member that has its share must go on heartbeating, without reading.
                    consumer.pause(consumer.assignment())
                message = consumer.poll(_POLL_S)
                assert message is None or message.error() is not None, (
                    "a record arrived before every consumer had an assignment"
                )
        for consumer in consumers:
            consumer.resume(consumer.assignment())
        return [p for c in consumers for p in c.assignment()]

    def consume_exactly(
        self,
        consumer: Consumer,
        count: int,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        quiet_s: float = 0.2,
    ) -> list[Message]:
        """The next `count` messages, and no further one within `quiet_s` seconds after them.

        Errors: `AssertionError` for fewer in time, or for one too many.
        """
        messages: list[Message] = []
        deadline = time.monotonic() + timeout_s
        while len(messages) < count:
            left = deadline - time.monotonic()
            assert left > 0, f"{len(messages)} of {count} messages within {timeout_s:g} s"
            batch = consumer.consume(count - len(messages), min(left, _POLL_S))
            messages += [m for m in batch if m.error() is None]
        extra = [m for m in consumer.consume(1, quiet_s) if m.error() is None]
        assert not extra, f"one message more than the {count} expected"
        return messages

    def lag(self, group: str) -> int:
        """Records that the group has not committed, over the partitions it has committed.

        Errors: `AssertionError` when it has committed nothing at all.
        """
        from confluent_kafka import ConsumerGroupTopicPartitions
        from confluent_kafka.admin import OffsetSpec

        asked = ConsumerGroupTopicPartitions(group)
        answer = self.admin.list_consumer_group_offsets([asked])[group].result(DEFAULT_TIMEOUT_S)
        committed = answer.topic_partitions or []
        if not committed:
            raise AssertionError(f"group {group} has not committed anything")
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        ends = self.admin.list_offsets(dict.fromkeys(committed, latest))
        by_partition = {
            (p.topic, p.partition): f.result(DEFAULT_TIMEOUT_S).offset for p, f in ends.items()
        }
        return sum(max(0, by_partition[p.topic, p.partition] - max(0, p.offset)) for p in committed)

    def assert_lag(
        self, group: str, expected: int = 0, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        """The group's lag becomes `expected` within the time. Errors: `AssertionError`."""

        def look() -> int | str:
            try:
                return self.lag(group)
            except AssertionError as error:
                return str(error)

        eventually(look, lambda lag: lag == expected, timeout_s=timeout_s)

    @contextlib.contextmanager
    def freeze_group(self, group: str) -> Iterator[None]:
        """Nothing of the group's protocol reaches the coordinator inside the block.

        Joins, heartbeats, departures and commits wait until it ends: members,
        generation and committed offsets stay as they are. Keep it shorter than
        the session time-out. It holds for classic groups, KIP-848's and share
        groups. Errors: `NotEmbeddedError` on another Kafka.
        """
        control = self.control
        control.hold_group(group)
        try:
            yield
        finally:
            control.release_group(group)


def starter(settings: Mapping[str, Any]) -> Callable[[Consumer, list[Any]], None] | None:
    """What a consumer does with its partitions, to read them at once from the beginning.

    librdkafka waits 100 ms before `auto.offset.reset` takes effect; partitions
    assigned with their offset it reads immediately. None: leave it to librdkafka.
    """
    if settings["auto.offset.reset"] != "earliest":
        return None
    strategy = str(settings.get("partition.assignment.strategy", ""))
    is_incremental = "cooperative" in strategy or settings.get("group.protocol") == "consumer"

    def start(consumer: Consumer, partitions: list[Any]) -> None:
        from confluent_kafka import OFFSET_BEGINNING

        found = consumer.committed(partitions, timeout=DEFAULT_TIMEOUT_S) if partitions else []
        for partition in found:
            if partition.offset < 0:
                partition.offset = OFFSET_BEGINNING
        if is_incremental:
            consumer.incremental_assign(found)
        else:
            consumer.assign(found)

    return start


def record_of(message: Message) -> Record:
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        _bytes(message.key()),
        _bytes(message.value()),
        tuple((name, _bytes(value)) for name, value in pairs),
    )


def _bytes(value: Any) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def eventually(
    ask: Callable[[], T],
    is_right: Callable[[T], bool],
    *,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> T:
    """Ask, fifty times a second, until the answer is right, and give it.

    Errors: `AssertionError` with the last answer after `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while not is_right(answer := ask()):
        assert time.monotonic() < deadline, f"still {answer!r} after {timeout_s:g} s"
        time.sleep(0.02)
    return answer


def keys_and_values(records: Sequence[Record]) -> list[tuple[bytes | None, bytes | None]]:
    """What most assertions are about."""
    return [(r.key, r.value) for r in records]

"""More that is promised: topics, settings, the start of a log, the last value of each key."""

from __future__ import annotations

import random
import threading

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from tests.crash.harness import PATIENT

COMPACTED = "compacted"
TRIMMED = "trimmed"
KEYS = 20
LIMIT_S = 90


class Keeper:
    """Changes topics, settings and log starts, one after the other, and remembers the answers."""

    def __init__(self, bootstrap_servers: str, seed: int) -> None:
        self._rng = random.Random(seed)
        self._admin = AdminClient(PATIENT | {"bootstrap.servers": bootstrap_servers})
        self._producer = Producer(PATIENT | {"bootstrap.servers": bootstrap_servers})
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._number = 0
        #: Topics that are certainly there, and certainly gone.
        self.there: set[str] = set()
        self.gone: set[str] = set()
        #: Settings of `TRIMMED`: the largest value acknowledged, and the largest tried.
        self.set = 0
        self.tried_to_set = 0
        #: Offset below which nothing of `TRIMMED` may be seen again.
        self.start = 0
        self._end = 0
        self.changes = 0

    def begin(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        steps = (self._create, self._delete, self._configure, self._produce, self._trim)
        while not self._stopping.is_set():
            try:
                self._rng.choice(steps)()
                self.changes += 1
            except KafkaException:
                self._stopping.wait(0.05)

    def _create(self) -> None:
        self._number += 1
        name = f"scratch-{self._number}"
        wanted = NewTopic(name, num_partitions=2, replication_factor=1)
        self._admin.create_topics([wanted])[name].result(LIMIT_S)
        self.there.add(name)

    def _delete(self) -> None:
        if len(self.there) > 3:
            name = self._rng.choice(sorted(self.there))
            self.there.remove(name)
            self._admin.delete_topics([name])[name].result(LIMIT_S)
            self.gone.add(name)

    def _configure(self) -> None:
        self.tried_to_set += 1
        entry = ConfigEntry(
            "retention.ms",
            str(10_000_000 + self.tried_to_set),
            incremental_operation=AlterConfigOpType.SET,
        )
        resource = ConfigResource(ResourceType.TOPIC, TRIMMED, incremental_configs=[entry])
        value = self.tried_to_set
        for future in self._admin.incremental_alter_configs([resource]).values():
            future.result(LIMIT_S)
        self.set = value

    def _produce(self) -> None:
        for _ in range(20):
            self._producer.produce(TRIMMED, bytes(3_000), partition=0, on_delivery=self._produced)
        self._producer.flush(LIMIT_S)

    def _produced(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._end = max(self._end, (message.offset() or 0) + 1)

    def _trim(self) -> None:
        offset = self._rng.randint(self.start, max(self.start, self._end))
        wanted = [TopicPartition(TRIMMED, 0, offset)]
        for future in self._admin.delete_records(wanted).values():
            self.start = max(self.start, future.result(LIMIT_S).low_watermark)

    def check(self, bootstrap_servers: str) -> None:
        found = set(self._admin.list_topics(timeout=LIMIT_S).topics)
        assert self.there <= found, f"topics are gone: {sorted(self.there - found)[:5]}"
        assert not self.gone & found, f"topics are back: {sorted(self.gone & found)[:5]}"
        resource = ConfigResource(ResourceType.TOPIC, TRIMMED)
        for future in self._admin.describe_configs([resource]).values():
            value = int(future.result(LIMIT_S)["retention.ms"].value) - 10_000_000
            assert not self.set or self.set <= value <= self.tried_to_set
        consumer = Consumer(PATIENT | {"bootstrap.servers": bootstrap_servers, "group.id": "k"})
        low, high = consumer.get_watermark_offsets(TopicPartition(TRIMMED, 0), LIMIT_S)
        consumer.close()
        assert low >= self.start, "records that were deleted are back"
        assert high >= self._end


class Compacting:
    """Writes ever larger values under few keys."""

    def __init__(self, bootstrap_servers: str, seed: int) -> None:
        self._rng = random.Random(seed)
        self._bootstrap_servers = bootstrap_servers
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._producer = Producer(
            PATIENT
            | {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "message.timeout.ms": 300_000,
            }
        )
        #: Key to the largest value acknowledged.
        self.acknowledged: dict[bytes, int] = {}
        self.tried = 0

    def begin(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        assert self._producer.flush(60) == 0

    def _work(self) -> None:
        while not self._stopping.is_set():
            self.tried += 1
            key = b"key-%d" % self._rng.randrange(KEYS)
            value = b"%d:" % self.tried + bytes(1_000)
            try:
                self._producer.produce(COMPACTED, value, key, on_delivery=self._answered)
            except BufferError:
                self._producer.poll(0.05)
            self._producer.poll(0.002)

    def _answered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            key, value = message.key(), message.value()
            assert key is not None
            assert value is not None
            number = int(value.split(b":")[0])
            self.acknowledged[key] = max(number, self.acknowledged.get(key, 0))

    def check(self) -> None:
        found: dict[bytes, int] = {}
        consumer = Consumer(
            PATIENT
            | {
                "bootstrap.servers": self._bootstrap_servers,
                "group.id": "last",
                "enable.partition.eof": True,
            }
        )
        partitions = len(consumer.list_topics(COMPACTED, LIMIT_S).topics[COMPACTED].partitions)
        consumer.assign([TopicPartition(COMPACTED, i, OFFSET_BEGINNING) for i in range(partitions)])
        ended: set[int | None] = set()
        while len(ended) < partitions:
            message = consumer.poll(LIMIT_S)
            assert message is not None, "the end of a partition cannot be read"
            if message.error() is not None:
                ended.add(message.partition())
                continue
            key, value = message.key(), message.value()
            assert key is not None
            assert value is not None
            number = int(value.split(b":")[0])
            assert number > found.get(key, 0), "values of a key out of order"
            found[key] = number
        consumer.close()
        for key, number in self.acknowledged.items():
            assert number <= found.get(key, 0) <= self.tried, f"{key!r} lost its last value"

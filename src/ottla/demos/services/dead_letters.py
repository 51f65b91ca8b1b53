"""Dead letters: what lies there, why, and sending it back to its topic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import (
    Consumer,
    KafkaError,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from ottla.demos.kafka_clients import ANSWER_TIMEOUT_S, DemoError, Settings
from ottla.demos.services.events import Headers, header_dict
from ottla.demos.services.retrying import ERROR, HISTORY, ORIGIN, RETRY_HEADERS, send_and_wait

SUFFIX = ".dlt"
REPLAY_GROUP = "ottla-dlq-replay"


@dataclass(slots=True)
class DeadLetter:
    """A message that was given up, with its history (oldest try first)."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def error(self) -> str:
        return self.headers.get(ERROR, "")

    @property
    def origin(self) -> str:
        return self.headers.get(ORIGIN, "")

    @property
    def history(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.headers.get(HISTORY, "[]"))
        return found

    @property
    def original_topic(self) -> str:
        """The topic it came from: the origin without partition and offset."""
        return self.origin.rsplit("-", 1)[0]


def topics(settings: Settings) -> list[str]:
    """All dead-letter topics of the cluster."""
    admin = AdminClient({**settings, "log_level": "0"})
    found = admin.list_topics(timeout=ANSWER_TIMEOUT_S).topics
    return sorted(name for name in found if name.endswith(SUFFIX))


def letters(settings: Settings, topic: str, group: str | None = None) -> Iterator[DeadLetter]:
    """Every dead letter of a topic, or those that `group` has not replayed yet; none that came
    after the first was asked for: what is replayed in vain would come round for ever.

    Errors: `DemoError` when there is no such topic.
    """
    consumer = Consumer(
        {
            **settings,
            "log_level": "0",
            "group.id": group or "ottla-dlq",
            "enable.auto.commit": "false",
            "enable.partition.eof": "true",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": "50",  # the end is told by an empty answer
        }
    )
    try:
        found = consumer.list_topics(topic, timeout=ANSWER_TIMEOUT_S).topics[topic]
        if found.error is not None:
            raise DemoError(f"There is no topic {topic}; `ottla dlq list` shows those there are.")
        partitions = [TopicPartition(topic, p) for p in sorted(found.partitions)]
        if group is not None:
            partitions = consumer.committed(partitions, timeout=ANSWER_TIMEOUT_S)
        ends: dict[int, int] = {}
        for partition in partitions:
            start, end = consumer.get_watermark_offsets(partition, timeout=ANSWER_TIMEOUT_S)
            partition.offset = max(start, partition.offset)  # below 0: nothing is committed
            if partition.offset < end:
                ends[partition.partition] = end
        consumer.assign([partition for partition in partitions if partition.partition in ends])
        waiting = set(ends)
        while waiting:
            for message in consumer.consume(500, 0.1):
                error, number = message.error(), message.partition() or 0
                if error is None:
                    at = message.offset() or 0
                    if at < ends[number]:
                        yield letter_of(message)
                    if at + 1 >= ends[number]:
                        waiting.discard(number)
                elif error.code() == KafkaError._PARTITION_EOF:
                    waiting.discard(number)
    finally:
        consumer.close()


def letter_of(message: Message) -> DeadLetter:
    key, value = message.key(), message.value()
    return DeadLetter(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        key.encode() if isinstance(key, str) else key,
        value.encode() if isinstance(value, str) else value,
        header_dict(message.headers()),
    )


def replay(settings: Settings, topic: str) -> int:
    """Send every letter that was not replayed yet back to its topic; returns how many.

    The retry headers are dropped, the event id is kept, so that what was
    handled after all is not handled twice. A crash may send a letter twice.
    """
    producer = Producer({**settings, "log_level": "0", "acks": "all", "enable.idempotence": "true"})
    committer = Consumer({**settings, "log_level": "0", "group.id": REPLAY_GROUP})
    count = 0
    try:
        for letter in letters(settings, topic, REPLAY_GROUP):
            headers = {n: v for n, v in letter.headers.items() if n not in RETRY_HEADERS}
            send_and_wait(producer, letter.original_topic, letter.key, letter.value, headers)
            done = TopicPartition(topic, letter.partition, letter.offset + 1)
            committer.commit(offsets=[done], asynchronous=False)
            count += 1
    finally:
        committer.close()
    return count

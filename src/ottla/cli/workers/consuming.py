"""Reading records one after the other, from a group or from chosen partitions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from ottla.cli.errors import CommandError, note
from ottla.cli.workers.record_clients import open_consumer

#: How often waiting looks for Ctrl-C and for lost brokers, in seconds.
TICK_S: Final = 0.2


def _leave_to_librdkafka(*_: object) -> None:
    """librdkafka assigns and revokes by itself when the listener does nothing."""


class RecordReader:
    """A consumer whose `next` waits, tells errors in words, and ends on silence."""

    def __init__(self, servers: str, properties: dict[str, str]) -> None:
        self.consumer, self._watch = open_consumer(
            servers,
            properties,
            {
                "allow.auto.create.topics": True,
                "auto.commit.interval.ms": 1000,
                "enable.partition.eof": False,
                "fetch.error.backoff.ms": 50,
                "topic.metadata.refresh.interval.ms": 5000,
            },
        )
        self._missing: set[str] = set()

    def subscribe(
        self,
        topic: str,
        on_assign: Callable[..., None] = _leave_to_librdkafka,
        on_revoke: Callable[..., None] = _leave_to_librdkafka,
    ) -> None:
        """Join the group for a topic, or for a pattern that starts with `^`."""
        self.subscribe_all([topic], on_assign, on_revoke)

    def subscribe_all(
        self,
        topics: Sequence[str],
        on_assign: Callable[..., None] = _leave_to_librdkafka,
        on_revoke: Callable[..., None] = _leave_to_librdkafka,
    ) -> None:
        """Join the group for several topics."""
        try:
            self.consumer.subscribe(list(topics), on_assign=on_assign, on_revoke=on_revoke)
        except KafkaException as error:
            names = ", ".join(topics)
            raise CommandError(f"Cannot subscribe to {names}: {error.args[0].str()}.") from None

    def assign(self, topic: str, offsets: dict[int, int]) -> None:
        """Read partitions of a topic from offsets (or confluent's logical offsets).

        Errors: `CommandError` for a partition that the topic does not have.
        """
        known = self.partitions_of(topic)
        for partition in offsets:
            if known and partition not in known:
                raise CommandError(
                    f"Topic {topic} has no partition {partition}; it has {len(known)}, from 0."
                )
        self.consumer.assign(
            [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        )

    def partitions_of(self, topic: str) -> list[int]:
        """The partitions of a topic, ascending; none while it does not exist.

        Asking also makes the first fetch start at once, where librdkafka
        would wait for its next half-second tick.
        """
        while True:
            try:
                metadata = self.consumer.list_topics(topic, timeout=TICK_S)
            except KafkaException:
                self.consumer.poll(0)
                self._watch.check()
                continue
            self._watch.was_reached = True
            return sorted(metadata.topics[topic].partitions)

    def next(
        self,
        silence_s: float | None,
        *,
        before_waiting: Callable[[], object] = lambda: None,
    ) -> Message | None:
        """The next record; None when none came within `silence_s` seconds.

        `before_waiting` runs when no record is at hand, again and again.
        Errors: `CommandError` when reading cannot go on.
        """
        deadline = None if silence_s is None else time.monotonic() + silence_s
        message = self.consumer.poll(0)
        while True:
            if message is not None:
                self._watch.was_reached = True
                error = message.error()
                if error is None:
                    return message
                self._judge(error, message.topic())
            self._watch.check()
            before_waiting()
            wait = TICK_S
            if deadline is not None:
                wait = min(TICK_S, deadline - time.monotonic())
                if wait <= 0:
                    return None
            message = self.consumer.poll(wait)

    def next_many(self, limit: int, silence_s: float) -> list[Message]:
        """Up to `limit` records, as many as are at hand; none after silence.

        Errors: as `next`.
        """
        first = self.next(silence_s)
        if first is None:
            return []
        messages = [first]
        for message in self.consumer.consume(limit - 1, 0):
            error = message.error()
            if error is None:
                messages.append(message)
            else:
                self._judge(error, message.topic())
        return messages

    def _judge(self, error: KafkaError, topic: str | None) -> None:
        """Go on after errors that time may heal; raise for the others."""
        code = error.code()
        if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            if topic and topic not in self._missing:
                self._missing.add(topic)
                note(f"topic {topic} does not exist yet; waiting for it")
            return
        if error.retriable() or code in (
            KafkaError._TRANSPORT,
            KafkaError._ALL_BROKERS_DOWN,
            KafkaError._MAX_POLL_EXCEEDED,
            KafkaError.LEADER_NOT_AVAILABLE,
            KafkaError.NOT_LEADER_FOR_PARTITION,
        ):
            return
        raise CommandError(f"Reading {topic or 'the topic'} failed: {error.str()}.")

    def __enter__(self) -> RecordReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.consumer.close()

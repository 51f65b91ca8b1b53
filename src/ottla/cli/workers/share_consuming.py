"""A member of a share group, one topic, every record acknowledged by hand."""

from __future__ import annotations

from typing import Final

from confluent_kafka import AcknowledgeType, KafkaError, Message

from ottla.cli.errors import CommandError, note
from ottla.cli.workers.record_clients import open_share_consumer

TICK_S: Final = 0.2
COMMIT_S: Final = 10.0


class ShareReader:
    """Takes records of a topic out of a share group."""

    def __init__(self, servers: str, properties: dict[str, str], topic: str) -> None:
        self._consumer, self._watch = open_share_consumer(
            servers, properties, {"share.acknowledgement.mode": "explicit"}
        )
        self._is_missing_told = False
        self._consumer.subscribe([topic])

    def next(self) -> list[Message]:
        """Records that came within a moment; what was acknowledged before is told first.

        Errors: `CommandError` when reading cannot go on.
        """
        found = []
        for message in self._consumer.poll(TICK_S):
            self._watch.was_reached = True
            error = message.error()
            if error is None:
                found.append(message)
            else:
                self._judge(error, message.topic())
        self._watch.check()
        return found

    def acknowledge(self, message: Message, verdict: AcknowledgeType) -> None:
        """Decide what becomes of a record."""
        self._consumer.acknowledge(message, verdict)

    def _judge(self, error: KafkaError, topic: str | None) -> None:
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            if not self._is_missing_told:
                note(f"topic {topic} does not exist yet; waiting for it")
            self._is_missing_told = True
        elif not error.retriable() and error.code() not in (
            KafkaError._TRANSPORT,
            KafkaError._ALL_BROKERS_DOWN,
        ):
            raise CommandError(f"Reading {topic or 'the topic'} failed: {error.str()}.")

    def __enter__(self) -> ShareReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._watch.was_reached:
            self._consumer.commit_sync(COMMIT_S)
        self._consumer.close()

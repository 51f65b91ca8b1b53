"""Sending records, with every refusal reported and counted."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message

from ottla.cli.errors import CommandError
from ottla.cli.workers.record_clients import open_producer

#: Refusals printed one by one; the rest is only counted.
MAX_REPORTS: Final = 10
#: How often waiting looks whether there is still hope, in seconds.
TICK_S: Final = 0.1


class RecordSender:
    """Sends records in the background; leaving it waits until all have an answer."""

    def __init__(
        self,
        servers: str,
        properties: dict[str, str],
        defaults: dict[str, Any],
        *,
        on_acknowledged: Callable[[Message], object] | None = None,
        on_refused: Callable[[KafkaError, Message], object] | None = None,
    ) -> None:
        self.producer, self._watch = open_producer(servers, properties, defaults)
        self._on_acknowledged = on_acknowledged
        self._on_refused = on_refused or self._report
        self.sent = 0
        self.failures = 0

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        partition: int = -1,
        timestamp_ms: int = 0,
    ) -> None:
        """Queue one record; waits while the queue is full.

        Errors: `CommandError` when no broker can be reached or the record
        cannot be sent at all.
        """
        while True:
            try:
                self.producer.produce(
                    topic,
                    value,
                    key,
                    partition,
                    self._on_delivery,
                    timestamp=timestamp_ms,
                    headers=list(headers),
                )
            except BufferError:
                self.producer.poll(TICK_S)
                self._watch.check()
                continue
            except KafkaException as error:
                raise CommandError(f"Cannot send to {topic}: {error.args[0].str()}.") from None
            break
        self.producer.poll(0)
        self._watch.check()

    def wait(self, seconds: float) -> None:
        """Let this much time pass, with answers taken in meanwhile."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.producer.poll(left)

    def flush(self) -> None:
        """Wait until every queued record has an answer."""
        while self.producer.flush(TICK_S):
            self._watch.check()

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        self._watch.was_reached = True
        if error is None:
            self.sent += 1
            if self._on_acknowledged is not None:
                self._on_acknowledged(message)
            return
        self.failures += 1
        self._on_refused(error, message)

    def _report(self, error: KafkaError, message: Message) -> None:
        if self.failures <= MAX_REPORTS:
            size = len(message.value() or b"")
            print(
                f"Error when sending a message of {size} bytes to topic {message.topic()}: "
                f"{error.str()}.",
                file=sys.stderr,
            )

    def __enter__(self) -> RecordSender:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            # Records queued before the mistake, or before Ctrl-C, still count.
            self.producer.flush(5)
            return
        self.flush()
        if self.failures > MAX_REPORTS and self._on_refused == self._report:
            print(f"{self.failures} messages could not be sent.", file=sys.stderr)


class Pace:
    """Keeps to so many records a second; to no pace at all below one."""

    def __init__(self, throughput: float) -> None:
        self.throughput = throughput
        self._started = time.monotonic()

    def keep(self, sent: int, sender: RecordSender) -> None:
        """Wait until `sent` records are due."""
        if self.throughput <= 0:
            return
        ahead = sent / self.throughput - (time.monotonic() - self._started)
        if ahead > 0:
            sender.wait(ahead)

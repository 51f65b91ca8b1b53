"""Producing many records and learning what became of each, from asyncio.

All requests share one librdkafka producer; a thread of ours serves its
delivery reports. A request waits for the reports of all its records; none is
dropped silently: at shutdown the producer is flushed, and what could not be
delivered by then is reported as failed to its request. An error that is fatal
to the client, such as a right that is missing, fails what is on its way, and
the next request begins with a new client.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ottla.gateway.errors import from_kafka
from ottla.gateway.kafka_access import quiet_logger
from ottla.gateway.settings import GatewaySettings

DELIVERY_TIMEOUT_MS = 30_000
SHUTDOWN_FLUSH_S = 5.0
POLL_S = 0.2
#: What a record is told that a fatal error took along.
_THROWN_AWAY = (KafkaError._FATAL, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)


@dataclass(slots=True)
class OutgoingRecord:
    """A record on its way to Kafka; `timestamp_ms` 0 means now."""

    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: list[tuple[str, bytes | None]] | None = None
    timestamp_ms: int = 0


@dataclass(slots=True)
class Delivery:
    """What became of a record: its place in the log, or an error."""

    partition: int | None = None
    offset: int | None = None
    timestamp_ms: int | None = None
    error: KafkaError | None = None


class _Batch:
    """The records of one request; done when the last report is in."""

    def __init__(self, size: int, loop: asyncio.AbstractEventLoop) -> None:
        self.deliveries = [Delivery() for _ in range(size)]
        self.missing = size
        self.loop = loop
        self.future: asyncio.Future[list[Delivery]] = loop.create_future()

    def report(self, index: int, error: KafkaError | None, message: Message | None) -> None:
        delivery = self.deliveries[index]
        if error is not None:
            delivery.error = error
        elif message is not None:
            delivery.partition = message.partition()
            delivery.offset = message.offset()
            delivery.timestamp_ms = message.timestamp()[1]
        self.missing -= 1
        if self.missing == 0:
            self.loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self.future.done():
            self.future.set_result(self.deliveries)


class ReportedProducer:
    """A librdkafka producer and the thread that serves its delivery reports."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._is_stopping = threading.Event()
        #: Why the client takes nothing any more.
        self.fatal: KafkaError | None = None
        self.producer = Producer(
            settings.client(
                {
                    "acks": "all",
                    "enable.idempotence": True,
                    "linger.ms": 2,
                    "socket.nagle.disable": True,
                    "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
                    "allow.auto.create.topics": True,
                    "topic.metadata.propagation.max.ms": 5000,
                    "queue.buffering.max.messages": 1_000_000,
                }
            ),
            logger=quiet_logger,
        )
        self._thread = threading.Thread(
            target=self._serve_reports, name="gateway-deliveries", daemon=True
        )
        self._thread.start()

    def _serve_reports(self) -> None:
        while not self._is_stopping.is_set():
            try:
                self.producer.poll(POLL_S)
            except KafkaException as error:
                if error.args[0].fatal():
                    self.fatal = error.args[0]
                    self._give_up()
                    return

    def reason(self, error: KafkaError) -> KafkaError:
        """The error of one record; of records thrown away by a fatal error, that error."""
        return self.fatal if self.fatal is not None and error.code() in _THROWN_AWAY else error

    def _give_up(self) -> None:
        """Report what is on its way as failed."""
        self.producer.purge()
        while len(self.producer):
            # Says the fatal error again before the reports.
            with contextlib.suppress(KafkaException):
                self.producer.poll(POLL_S)

    def close(self) -> None:
        """Deliver what is queued, or report it as failed, within five seconds."""
        with contextlib.suppress(KafkaException):
            self.producer.flush(SHUTDOWN_FLUSH_S)
        self._is_stopping.set()
        self._thread.join(1)
        self._give_up()


class RecordProducer:
    """Sends records and answers with their deliveries, in the order given."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._client: ReportedProducer | None = None
        self._lock = threading.Lock()

    def open(self) -> ReportedProducer:
        """The client, connecting from the first call on: its start takes it half a second."""
        with self._lock:
            if self._client is None or self._client.fatal is not None:
                self._client = ReportedProducer(self._settings)
            return self._client

    async def send(self, topic: str, records: Sequence[OutgoingRecord]) -> list[Delivery]:
        """Send all records and wait for every delivery report.

        Errors: none is raised for a record; each `Delivery` carries its own.
        """
        return await (await self.enqueue(topic, records))

    async def enqueue(
        self, topic: str, records: Sequence[OutgoingRecord]
    ) -> Awaitable[list[Delivery]]:
        """Put the records on their way; what is returned can be awaited for their reports."""
        client = self.open()
        batch = _Batch(len(records), asyncio.get_running_loop())
        if not records:
            batch.future.set_result([])
        for index, record in enumerate(records):
            while not self._enqueue(client, topic, record, batch, index):  # noqa: ASYNC110
                # The shared queue is full: wait for reports to make room.
                await asyncio.sleep(0.01)
        return batch.future

    @staticmethod
    def _enqueue(
        client: ReportedProducer, topic: str, record: OutgoingRecord, batch: _Batch, index: int
    ) -> bool:
        """Whether there was room for the record."""

        def delivered(error: KafkaError | None, message: Message) -> None:
            batch.report(index, error and client.reason(error), message)

        arguments: dict[str, Any] = {"on_delivery": delivered}
        if record.partition is not None:
            arguments["partition"] = record.partition
        if record.headers:
            arguments["headers"] = record.headers
        if record.timestamp_ms:
            arguments["timestamp"] = record.timestamp_ms
        try:
            client.producer.produce(topic, record.value, record.key, **arguments)
        except BufferError:
            return False
        except KafkaException as error:
            batch.report(index, client.reason(error.args[0]), None)
        except (ValueError, TypeError, OverflowError) as error:
            batch.report(index, KafkaError(KafkaError._INVALID_ARG, str(error)), None)
        return True

    def close(self) -> None:
        """Deliver what is queued, or report it as failed, within five seconds."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def describe_failure(error: KafkaError) -> tuple[int, str]:
    """(REST error code, sentence) of a record that was not delivered."""
    rest = from_kafka(error)
    return rest.error_code, rest.message

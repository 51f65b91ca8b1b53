"""Sends bank accounts: JSON, without a key, into a topic that the first of them creates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from confluent_kafka import KafkaError, Message, Producer

from ottla.demos.fraud.accounts import account_drawer
from ottla.demos.kafka_clients import Settings, Stop

TOPIC = "bankaccount"
FLUSH_TIMEOUT_S = 60.0
POLL_EVERY = 1_000

PRODUCER_SETTINGS: dict[str, str | bool] = {
    "acks": "all",
    "enable.idempotence": "true",
    "linger.ms": "5",
    "queue.buffering.max.messages": "500000",
    "delivery.report.only.error": True,  # millions of successes need no call each
    "log_level": "0",
}


@dataclass
class Sent:
    """What was sent and what became of it."""

    sent: int = 0
    failed: int = 0
    pending: int = 0
    last_error: str = ""

    @property
    def acknowledged(self) -> int:
        return self.sent - self.failed - self.pending


def send_accounts(
    settings: Settings,
    topic: str,
    size: int,
    random: Random,
    stop: Stop,
    show: Callable[[str], None] | None = None,
    rate: float = 0.0,
) -> Sent:
    """Send `size` accounts, `rate` a second (0: as fast as possible), or until told to stop.

    `show` gets each document. All that were sent have an answer afterwards, or count as pending.
    """
    result = Sent()

    def on_failure(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            result.failed += 1
            result.last_error = error.str()

    def on_client_error(error: KafkaError) -> None:
        if not result.failed:  # what became of a document says more than what a connection met
            result.last_error = error.str()

    producer = Producer({**PRODUCER_SETTINGS, **settings, "error_cb": on_client_error})
    draw = account_drawer(random)
    while result.sent < size and not stop.is_set():
        account = draw()
        while not stop.is_set():
            try:
                producer.produce(topic, account, on_delivery=on_failure)
                result.sent += 1
                break
            except BufferError:  # the client's queue is full: wait for the broker
                producer.poll(0.05)
        if show is not None:
            show(account)
        if result.sent % POLL_EVERY == 0:
            producer.poll(0)
        if rate > 0 and result.sent < size:
            producer.poll(0)
            stop.wait(1 / rate)
    result.pending = producer.flush(FLUSH_TIMEOUT_S)
    return result

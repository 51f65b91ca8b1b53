"""A consumer that retries: back-off in retry topics, then a dead-letter topic.

A message that fails goes to `<topic>.<group>.retry.<n>` with the time it is
due in its headers; there is one retry topic per attempt, so that all messages
of a topic wait equally long and the first is always due first. A message that
is not due pauses its partition and no other. After the last try the message
goes to `<topic>.<group>.dlt` with its error and history.

Nothing is lost on a crash: the offset of a message is committed only after it
was handled, or after Kafka has acknowledged its copy in the next topic. A
crash in between handles or copies it twice, with the same event id. When Kafka
does not answer, the member leaves and begins again at what is committed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from ottla.demos.kafka_clients import Settings, create_topic
from ottla.demos.services.events import CORRELATION_ID, Headers, decode, header_dict, now_ms
from ottla.demos.services.observing import consumer_log

ATTEMPT = "retry-attempt"
DUE_AT = "retry-due-at-ms"
HISTORY = "retry-history"
ORIGIN = "retry-origin"
ERROR = "dead-letter-error"
RETRY_HEADERS = (ATTEMPT, DUE_AT, HISTORY, ORIGIN, ERROR)

POLL_S = 0.2
PAUSE_S = 1.0
BATCH = 100
DELIVERY_S = 30.0

Handler = Callable[[dict[str, Any], Headers], None]
Commit = Literal["manual", "automatic"]


class HandlingError(Exception):
    """The handler could not do its work now; the text says why."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try, and how long to wait before each further try."""

    tries: int = 5
    base_s: float = 1.0
    factor: float = 5.0

    def delay_ms(self, attempt: int) -> int:
        """Milliseconds between the failure of try `attempt` (from 1) and the next."""
        return round(self.base_s * self.factor ** (attempt - 1) * 1000)


#: Profiles by name, for the command line.
PROFILES = {
    "default": RetryPolicy(),
    "minute": RetryPolicy(base_s=60.0, factor=1.0),
    "fast": RetryPolicy(base_s=0.02, factor=2.0),
}


def retry_topic(topic: str, group: str, attempt: int) -> str:
    return f"{topic}.{group}.retry.{attempt}"


def dead_letter_topic(topic: str, group: str) -> str:
    return f"{topic}.{group}.dlt"


class RetryingConsumer:
    """One member of `group`, in a thread, for a topic and its retry topics."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        group: str,
        handler: Handler,
        policy: RetryPolicy,
        commit: Commit = "manual",
    ) -> None:
        self.settings = settings
        self.topic = topic
        self.group = group
        self.handler = handler
        self.policy = policy
        self.commit = commit
        self.handled = 0
        self.retried = 0
        self.dead = 0
        #: Why nothing can be consumed now; empty when it can.
        self.trouble = ""
        self._due: dict[tuple[str, int], int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"consume-{topic}")

    @property
    def retry_topics(self) -> list[str]:
        return [retry_topic(self.topic, self.group, n) for n in range(1, self.policy.tries)]

    def prepare(self, partitions: int) -> None:
        """All topics exist afterwards, the retry topics with as many partitions."""
        for name in (self.topic, *self.retry_topics, dead_letter_topic(self.topic, self.group)):
            create_topic(self.settings, name, partitions)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what is in hand, commit, leave the group."""
        self._stop.set()
        self._thread.join()

    @property
    def is_at_work(self) -> bool:
        """It consumes, or tries to: between `start` and `stop`."""
        return self._thread.is_alive() and not self.trouble

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._consume()
            except KafkaException as error:
                self.trouble = error.args[0].str()
                consumer_log.warning(
                    "%s is consumed again in a moment: %s", self.topic, self.trouble
                )
                self._due.clear()
                self._stop.wait(PAUSE_S)

    def _consume(self) -> None:
        """Until told to stop. Errors: `KafkaException`; what is not committed comes again."""
        consumer = Consumer(
            {
                **self.settings,
                "log_level": "0",
                "group.id": self.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": str(self.commit == "automatic").lower(),
                "enable.auto.offset.store": "false",
                "auto.commit.interval.ms": "1000",
                # So long the others wait for a member that was killed.
                "session.timeout.ms": "10000",
                "heartbeat.interval.ms": "2000",
            }
        )
        producer = Producer(
            {**self.settings, "log_level": "0", "acks": "all", "enable.idempotence": "true"}
        )
        try:
            consumer.subscribe([self.topic, *self.retry_topics], on_revoke=self._on_revoke)
            while not self._stop.is_set():
                self._resume_due(consumer)
                messages = consumer.consume(BATCH, self._wait_s())
                self._take(consumer, producer, messages)
                if any(message.error() is None for message in messages):
                    self.trouble = ""
        finally:
            consumer.close()

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            self._due.pop((partition.topic, partition.partition), None)

    def _wait_s(self) -> float:
        """How long to wait for messages: at most until the next one is due."""
        if not self._due:
            return POLL_S
        return min(POLL_S, max(0.0, (min(self._due.values()) - now_ms()) / 1000))

    def _resume_due(self, consumer: Consumer) -> None:
        moment = now_ms()
        due = [where for where, at in self._due.items() if at <= moment]
        for where in due:
            del self._due[where]
        if due:
            consumer.resume([TopicPartition(*where) for where in due])

    def _take(self, consumer: Consumer, producer: Producer, messages: list[Message]) -> None:
        done: dict[tuple[str, int], int] = {}
        for message in messages:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            if message.error() is not None or topic is None or partition is None or offset is None:
                continue
            where = (topic, partition)
            if where in self._due:
                continue  # behind one that is not due; read again after it
            headers = header_dict(message.headers())
            due_at = int(headers.get(DUE_AT, 0))
            if due_at > now_ms():
                consumer.pause([TopicPartition(*where)])
                consumer.seek(TopicPartition(topic, partition, offset))
                self._due[where] = due_at
                continue
            self._handle(producer, message, headers)
            done[where] = offset + 1
        if done:
            offsets = [TopicPartition(t, p, o) for (t, p), o in done.items()]
            self._commit(consumer, offsets)

    def _commit(self, consumer: Consumer, offsets: list[TopicPartition]) -> None:
        """Nothing is committed that was not handled or copied onwards."""
        if self.commit == "automatic":
            consumer.store_offsets(offsets=offsets)
            return
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # The partitions went to another member meanwhile: it handles these again.
            consumer_log.warning("commit of %s was refused: %s", self.topic, error.args[0].str())

    def _handle(self, producer: Producer, message: Message, headers: Headers) -> None:
        try:
            self.handler(decode(message.value()), headers)
        except HandlingError as error:
            self._pass_on(producer, message, headers, str(error), self.policy.tries)
        except ValueError as error:
            # No retry makes an unreadable message readable.
            self._pass_on(producer, message, headers, f"unreadable: {error}", 1)
        else:
            self.handled += 1

    def _pass_on(
        self, producer: Producer, message: Message, headers: Headers, reason: str, tries: int
    ) -> None:
        """Copy a failed message to its next topic; returns once Kafka has it."""
        attempt = int(headers.get(ATTEMPT, 1))
        history = json.loads(headers.get(HISTORY, "[]"))
        history.append({"attempt": attempt, "error": reason, "at_ms": now_ms()})
        onward = {n: v for n, v in headers.items() if n not in RETRY_HEADERS}
        onward[ORIGIN] = headers.get(
            ORIGIN, f"{message.topic()}-{message.partition()}@{message.offset()}"
        )
        onward[HISTORY] = json.dumps(history)
        if attempt >= tries:
            target = dead_letter_topic(self.topic, self.group)
            onward[ERROR] = reason
        else:
            target = retry_topic(self.topic, self.group, attempt)
            onward[ATTEMPT] = str(attempt + 1)
            onward[DUE_AT] = str(now_ms() + self.policy.delay_ms(attempt))
        send_and_wait(producer, target, message.key(), message.value(), onward)
        if ERROR in onward:
            self.dead += 1
        else:
            self.retried += 1
        consumer_log.info(
            "try %d of a message of %s failed (%s); it is in %s now",
            attempt,
            self.topic,
            reason,
            target,
            extra={"correlation_id": headers.get(CORRELATION_ID, "-")},
        )


def send_and_wait(producer: Producer, topic: str, key: Any, value: Any, headers: Headers) -> None:
    """The record is in Kafka afterwards. Errors: `KafkaException` when it is not."""
    failures: list[KafkaError] = []
    done = threading.Event()

    def report(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error)
        done.set()

    producer.produce(topic, value, key, headers=list(headers.items()), on_delivery=report)
    deadline = time.monotonic() + DELIVERY_S
    while not done.is_set() and time.monotonic() < deadline:
        producer.poll(0.05)
    if failures:
        raise KafkaException(failures[0])
    if not done.is_set():
        raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))

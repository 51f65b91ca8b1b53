"""Consumer instances: a Kafka consumer kept between HTTP requests.

One lock per instance keeps its requests in order. Where Confluent's proxy
answers the first read with nothing because its consumer has not yet joined,
ours first waits until it has joined and each of its partitions has given a
record or said that it has none (at most `consumer_join_timeout_ms`), and a
read returns as soon as it has caught up instead of sitting out its time.

An instance that nobody uses for a while stops fetching, but still answers
when its group rebalances: otherwise a second instance could not join until
somebody read from the first.

A record that is not valid JSON is handed out with a null value and an
`error` that says so, instead of ending the read: it must not block the
records behind it.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from ottla.gateway.errors import (
    RestError,
    consumer_already_exists,
    consumer_format_mismatch,
    consumer_instance_not_found,
    from_kafka,
    illegal_state,
    invalid_consumer_config,
)
from ottla.gateway.kafka_access import KafkaAccess, quiet_logger
from ottla.gateway.rest_v2.formats import decode_embedded

log = logging.getLogger("ottla.gateway")

POLL_SLICE_S = 0.1
POLL_RECORDS = 500
#: Commits and the like; longer than a rebalance in progress usually takes.
COORDINATOR_TIMEOUT_S = 30.0
#: Unused for this long, an instance fetches nothing ahead.
PAUSE_AFTER_S = 3.0


@dataclass(slots=True)
class InstanceConfig:
    """What a client asked for when it created the instance."""

    name: str
    format: str
    auto_offset_reset: str | None = None
    auto_commit: str | None = None
    fetch_min_bytes: int | None = None
    request_timeout_ms: int | None = None


def header_pairs(message: Message) -> list[tuple[str, bytes | None]]:
    """Headers in order, their values as bytes."""
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return [(n, v.encode() if isinstance(v, str) else v) for n, v in pairs]


def rough_size(message: Message) -> int:
    return len(message.key() or b"") + len(message.value() or b"")


class ConsumerInstance:
    """One consumer of one group. All methods block; `lock` keeps them apart."""

    def __init__(self, kafka: KafkaAccess, group: str, config: InstanceConfig) -> None:
        self.kafka = kafka
        self.group = group
        self.config = config
        self.lock = threading.Lock()
        self.buffer: deque[Message] = deque()
        self.topics: list[str] = []
        self.has_manual_assignment = False
        self.was_assigned = threading.Event()
        #: Assigned partitions that have neither given a record nor told their end.
        self.unheard: set[tuple[str, int]] = set()
        self.join_deadline_s = 0.0
        self.is_paused = False
        self.consumed: dict[tuple[str, int], int] = {}
        self.last_used_s = time.monotonic()
        settings: dict[str, str | int | bool] = {
            "group.id": group,
            "enable.auto.commit": config.auto_commit != "false",
            "enable.auto.offset.store": False,
            "auto.offset.reset": config.auto_offset_reset or "latest",
            "enable.partition.eof": True,
            # As the original: a topic somebody subscribes to comes into being where brokers allow.
            "allow.auto.create.topics": True,
            "queued.max.messages.kbytes": 4096,
            "fetch.message.max.bytes": 1024 * 1024,
        }
        try:
            self.consumer = Consumer(kafka.settings.client(settings), logger=quiet_logger)
        except KafkaException as error:
            raise invalid_consumer_config(error.args[0].str()) from None

    # --- subscription and assignment

    def subscribe(self, topics: list[str]) -> None:
        if self.has_manual_assignment:
            raise illegal_state(
                "Subscription to topics, partitions and pattern are mutually exclusive"
            )
        self.topics = topics
        self.was_assigned.clear()
        self.join_deadline_s = time.monotonic() + self._join_timeout_s()
        self.consumer.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.assign(partitions)
        self.unheard = {(p.topic, p.partition) for p in partitions}
        self.was_assigned.set()

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        gone = {(p.topic, p.partition) for p in partitions}
        self.unheard -= gone
        # Whoever has them now commits them.
        self.consumed = {w: offset for w, offset in self.consumed.items() if w not in gone}
        self.buffer = deque(m for m in self.buffer if (m.topic(), m.partition()) not in gone)

    def unsubscribe(self) -> None:
        self.consumer.unsubscribe()
        self.topics = []
        self.has_manual_assignment = False
        self.buffer.clear()
        self.unheard.clear()
        self.was_assigned.clear()

    def assign(self, partitions: list[TopicPartition]) -> None:
        if self.topics:
            raise illegal_state(
                "Subscription to topics, partitions and pattern are mutually exclusive"
            )
        self.consumer.assign(partitions)
        self.has_manual_assignment = True
        self.buffer.clear()
        self.unheard = {(p.topic, p.partition) for p in partitions}
        self.was_assigned.set()

    def assignment(self) -> list[TopicPartition]:
        found: list[TopicPartition] = self.consumer.assignment()
        return found

    def seek(self, targets: list[TopicPartition]) -> None:
        """Continue at other offsets. Errors: 40903 for a partition that is not assigned."""
        self._wake()
        assigned = {(p.topic, p.partition) for p in self.assignment()}
        if self.topics and not self.was_assigned.is_set():
            self._wait_for_assignment()
            assigned = {(p.topic, p.partition) for p in self.assignment()}
        for target in targets:
            if (target.topic, target.partition) not in assigned:
                raise illegal_state(
                    f"No current assignment for partition {target.topic}-{target.partition}"
                )
        for target in targets:
            self.consumer.seek(target)
            where = (target.topic, target.partition)
            self.unheard.add(where)
            self.buffer = deque(m for m in self.buffer if (m.topic(), m.partition()) != where)

    # --- reading

    def _join_timeout_s(self) -> float:
        return self.kafka.settings.consumer_join_timeout_ms / 1000

    def _wait_for_assignment(self) -> None:
        while not self.was_assigned.is_set() and time.monotonic() < self.join_deadline_s:
            self._poll_into_buffer(POLL_SLICE_S)

    def _wait_for_first_answers(self) -> None:
        """Until there is a record, or each partition has said that it has none."""
        self._wait_for_assignment()
        deadline_s = time.monotonic() + self._join_timeout_s()
        while self.unheard and not self.buffer and time.monotonic() < deadline_s:
            self._poll_into_buffer(POLL_SLICE_S)

    def _poll_into_buffer(self, timeout_s: float, limit: int = POLL_RECORDS) -> bool:
        """Fetch more records; whether any came. Errors: what the client reports as fatal."""
        arrived = False
        for message in self.consumer.consume(limit, timeout_s):
            error = message.error()
            if error is None:
                self.buffer.append(message)
                arrived = True
            elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                self.join_deadline_s = 0.0  # there is nothing to wait for
            elif error.fatal() or error.code() in (
                KafkaError.TOPIC_AUTHORIZATION_FAILED,
                KafkaError.GROUP_AUTHORIZATION_FAILED,
            ):
                raise from_kafka(error)
            self._heard_of(message)
        return arrived

    def tend(self) -> None:
        """What an unused instance still does: take part in its group's rebalances."""
        # New partitions begin to be fetched, so this is said again each time.
        self.is_paused = True
        self.consumer.pause(self.assignment())
        if self.topics:
            self._poll_into_buffer(0, 1)

    def _wake(self) -> None:
        if self.is_paused:
            self.is_paused = False
            self.consumer.resume(self.assignment())

    def _heard_of(self, message: Message) -> None:
        topic, partition = message.topic(), message.partition()
        if topic is not None and partition is not None:
            self.unheard.discard((topic, partition))

    def read(self, timeout_ms: int | None, max_bytes: int | None) -> list[Message]:
        """Records up to a time-out, a size, or the end of what there is."""
        if not self.topics and not self.has_manual_assignment:
            raise illegal_state(
                "Consumer is not subscribed to any topics or assigned any partitions"
            )
        settings = self.kafka.settings
        longest = self.config.request_timeout_ms or settings.consumer_request_timeout_ms
        wait_ms = longest if not timeout_ms or timeout_ms <= 0 else min(timeout_ms, longest)
        limit = settings.consumer_request_max_bytes
        if max_bytes and max_bytes > 0:
            limit = min(limit, max_bytes)
        least = self.config.fetch_min_bytes
        least = settings.fetch_min_bytes if least is None else least
        self._wake()
        self._wait_for_first_answers()
        records: list[Message] = []
        size = 0
        deadline = time.monotonic() + wait_ms / 1000
        while True:
            while self.buffer:
                step = rough_size(self.buffer[0])
                if size + step >= limit and (records or step < limit):
                    return self._hand_out(records)
                message = self.buffer.popleft()
                records.append(message)
                size += step
                if size >= limit:
                    # One record above the limit goes out alone: it must not block the rest.
                    return self._hand_out(records)
            left = deadline - time.monotonic()
            if left <= 0 or (0 <= least < size):
                return self._hand_out(records)
            arrived = self._poll_into_buffer(min(left, POLL_SLICE_S))
            if records and not arrived and not self.unheard:
                return self._hand_out(records)

    def _hand_out(self, records: list[Message]) -> list[Message]:
        for message in records:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            if topic is not None and partition is not None and offset is not None:
                self.consumed[topic, partition] = offset + 1
        if records:
            mine = {(p.topic, p.partition) for p in self.assignment()}
            self.consumer.store_offsets(
                offsets=[
                    TopicPartition(t, p, next_offset)
                    for (t, p), next_offset in self.consumed.items()
                    if (t, p) in mine
                ]
            )
        return records

    def view(self, message: Message, with_metadata: bool) -> dict[str, Any]:
        """A record as the read answers it."""
        key, key_fault = decode_embedded(self.config.format, message.key())
        value, value_fault = decode_embedded(self.config.format, message.value())
        if key_fault is not None:
            key = (message.key() or b"").decode("utf-8", "replace")
        record: dict[str, Any] = {
            "topic": message.topic(),
            "key": key,
            "value": value,
            "partition": message.partition(),
            "offset": message.offset(),
        }
        if value_fault is not None:
            record["error"] = (
                f"The value at {message.topic()}-{message.partition()} offset"
                f" {message.offset()} is not JSON: {value_fault}"
            )
            record["raw_value"] = base64.b64encode(message.value() or b"").decode()
        if with_metadata:
            kind, timestamp = message.timestamp()
            record["timestamp"] = timestamp
            record["timestamp_type"] = {1: "CREATE_TIME", 2: "LOG_APPEND_TIME"}.get(kind)
            record["headers"] = [
                {"name": n, "value": None if v is None else base64.b64encode(v).decode()}
                for n, v in header_pairs(message)
            ]
        return record

    # --- offsets

    def commit(
        self, offsets: list[TopicPartition] | None, *, asynchronous: bool
    ) -> list[dict[str, Any]]:
        """Commit the given offsets, or all that was handed out."""
        if offsets is None:
            offsets = [TopicPartition(t, p, o) for (t, p), o in self.consumed.items()]
        if not offsets:
            return []
        if asynchronous:
            self.consumer.commit(offsets=offsets, asynchronous=True)
        else:
            self.consumer.commit(offsets=offsets, asynchronous=False)
        return [
            {
                "topic": o.topic,
                "partition": o.partition,
                "consumed": self.consumed.get((o.topic, o.partition), o.offset),
                "committed": o.offset,
            }
            for o in offsets
        ]

    def committed(self, partitions: list[TopicPartition]) -> list[dict[str, Any]]:
        found = self.consumer.committed(partitions, timeout=COORDINATOR_TIMEOUT_S)
        return [
            {
                "topic": p.topic,
                "partition": p.partition,
                "offset": p.offset,
                "metadata": p.metadata or "",
            }
            for p in found
            if p.offset not in (OFFSET_INVALID, OFFSET_BEGINNING, OFFSET_END) and p.error is None
        ]

    def close(self) -> None:
        self.consumer.close()


class ConsumerInstances:
    """All instances of this gateway by (group, name), with idle expiry."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self.kafka = kafka
        self._instances: dict[tuple[str, str], ConsumerInstance] = {}
        self._reserved: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return len(self._instances)

    async def create(self, group: str, config: InstanceConfig) -> ConsumerInstance:
        """Errors: 40902 when the group has an instance of that name."""
        config.name = config.name or f"rest-consumer-{uuid4()}"
        where = (group, config.name)
        if where in self._instances or where in self._reserved:
            raise consumer_already_exists()
        if len(self._instances) >= self.kafka.settings.max_consumer_instances:
            raise invalid_consumer_config("too many consumer instances; delete some first")
        self._reserved.add(where)
        try:
            instance = await self.kafka.call(ConsumerInstance, self.kafka, group, config)
            self._instances[where] = instance
        finally:
            self._reserved.discard(where)
        return instance

    def get(self, group: str, name: str, format_: str | None = None) -> ConsumerInstance:
        """Errors: 40403 when there is none, 40601 when it has another format."""
        instance = self._instances.get((group, name))
        if instance is None:
            raise consumer_instance_not_found()
        instance.last_used_s = time.monotonic()
        if format_ is not None and instance.config.format != format_:
            raise consumer_format_mismatch()
        return instance

    async def delete(self, group: str, name: str) -> None:
        instance = self._instances.pop((group, name), None)
        if instance is None:
            raise consumer_instance_not_found()
        await self.kafka.call(self._close, instance)

    @staticmethod
    def _close(instance: ConsumerInstance) -> None:
        with instance.lock:
            instance.close()

    async def expire_idle(self) -> None:
        """Close the instances that nobody has used for their time-out; runs until cancelled."""
        idle_s = self.kafka.settings.consumer_instance_timeout_ms / 1000
        while True:
            await asyncio.sleep(min(1.0, idle_s / 4))
            await self.kafka.call(self._tend)
            now = time.monotonic()
            for (group, name), instance in list(self._instances.items()):
                if instance.lock.locked():
                    instance.last_used_s = now
                elif now - instance.last_used_s > idle_s:
                    await self.delete(group, name)

    def _tend(self) -> None:
        now = time.monotonic()
        for instance in list(self._instances.values()):
            if now - instance.last_used_s > PAUSE_AFTER_S and instance.lock.acquire(blocking=False):
                try:
                    instance.tend()
                except (RestError, KafkaException) as error:
                    log.debug("consumer instance %s: %s", instance.config.name, error)
                finally:
                    instance.lock.release()

    async def close(self) -> None:
        for group, name in list(self._instances):
            await self.delete(group, name)

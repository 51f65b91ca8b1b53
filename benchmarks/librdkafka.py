"""Producers and consumers that cost little, and the mock broker, all librdkafka's own.

confluent-kafka's wheel brings librdkafka; it is called directly, so that the
broker is measured and not the language of the client.
"""

from __future__ import annotations

import ctypes
import glob
import os
import random
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Self

import confluent_kafka

_PRODUCER: Final = 0
_CONSUMER: Final = 1
_PARTITION_FLAG: Final = 0x8
_QUEUE_FULL_PAUSE_MS: Final = 5
_OFFSET_BEGINNING: Final = -2
_ERROR_TEXT_SIZE: Final = 512
_PAYLOAD_BYTES: Final = 1 << 22

#: Many records a request, as a client that wants throughput is set.
PRODUCER_SETTINGS: Final = {
    "log_level": "0",
    "acks": "all",
    "linger.ms": "5",
    "batch.size": "1000000",
    "batch.num.messages": "1000000",
    "queue.buffering.max.messages": "2000000",
    "queue.buffering.max.kbytes": "262144",
}
CONSUMER_SETTINGS: Final = {
    "log_level": "0",
    "queued.min.messages": "1000000",
    "queued.max.messages.kbytes": "262144",
    "fetch.message.max.bytes": "4194304",
    "check.crcs": "false",
}


class _Message(ctypes.Structure):
    _fields_ = (
        ("err", ctypes.c_int),
        ("rkt", ctypes.c_void_p),
        ("partition", ctypes.c_int32),
        ("payload", ctypes.c_void_p),
        ("len", ctypes.c_size_t),
        ("key", ctypes.c_void_p),
        ("key_len", ctypes.c_size_t),
        ("offset", ctypes.c_int64),
        ("private", ctypes.c_void_p),
    )


@cache
def _load() -> Any:
    package = os.path.dirname(confluent_kafka.__file__)
    patterns = (f"{package}.libs/librdkafka*", f"{package}/.dylibs/librdkafka*")
    found = [path for pattern in patterns for path in glob.glob(pattern)]
    library = ctypes.CDLL(found[0])
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, *arguments in (
        ("conf_new", pointer),
        ("conf_set", number, pointer, text, text, text, ctypes.c_size_t),
        ("new", pointer, number, pointer, text, ctypes.c_size_t),
        ("topic_new", pointer, pointer, text, pointer),
        ("produce_batch", number, pointer, ctypes.c_int32, number, pointer, number),
        ("poll", number, pointer, number),
        ("flush", number, pointer, number),
        ("outq_len", number, pointer),
        ("topic_destroy", None, pointer),
        ("destroy", None, pointer),
        ("queue_new", pointer, pointer),
        ("queue_destroy", None, pointer),
        ("consume_start_queue", number, pointer, ctypes.c_int32, ctypes.c_int64, pointer),
        ("consume_stop", number, pointer, ctypes.c_int32),
        ("consume_callback_queue", number, pointer, number, pointer, pointer),
        (
            "query_watermark_offsets", number,
            pointer, text, ctypes.c_int32, pointer, pointer, number,
        ),
        ("handle_mock_cluster", pointer, pointer),
        ("mock_cluster_bootstraps", text, pointer),
        ("mock_topic_create", number, pointer, text, number, number),
    ):  # fmt: skip
        function = getattr(library, f"rd_kafka_{name}")
        function.restype = result
        function.argtypes = arguments
    return library


@cache
def _do_nothing() -> ctypes.c_void_p:
    """A C function to hand messages to: it looks at none of them."""
    return ctypes.cast(ctypes.CDLL(None).abs, ctypes.c_void_p)


def _new_handle(library: Any, kind: int, settings: Mapping[str, str]) -> Any:
    """A client's handle. Raises ValueError for settings librdkafka refuses."""
    text = ctypes.create_string_buffer(_ERROR_TEXT_SIZE)
    conf = library.rd_kafka_conf_new()
    for key, value in settings.items():
        if library.rd_kafka_conf_set(conf, key.encode(), value.encode(), text, len(text)):
            raise ValueError(text.value.decode())
    handle = library.rd_kafka_new(kind, conf, text, len(text))
    if not handle:
        raise ValueError(text.value.decode())
    return handle


class MockCluster:
    """librdkafka's mock broker, in this process."""

    def __init__(self) -> None:
        self._library = _load()
        self._handle = _new_handle(
            self._library, _PRODUCER, {"test.mock.num.brokers": "1", "log_level": "0"}
        )
        self._cluster = self._library.rd_kafka_handle_mock_cluster(self._handle)
        self.bootstrap_servers: str = self._library.rd_kafka_mock_cluster_bootstraps(
            self._cluster
        ).decode()

    def create_topic(self, name: str, partitions: int) -> None:
        self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._library.rd_kafka_destroy(self._handle)


@cache
def _payloads() -> ctypes.Array[ctypes.c_char]:
    """Text as events have it: words and numbers, which lz4 halves or better."""
    dice = random.Random(7)
    words = [
        "".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(3, 9)))
        for _ in range(400)
    ]
    parts: list[str] = []
    size = 0
    while size < _PAYLOAD_BYTES:
        part = f'{{"{dice.choice(words)}":"{dice.choice(words)}-{dice.getrandbits(40):x}",'
        parts.append(part)
        size += len(part)
    return ctypes.create_string_buffer("".join(parts).encode()[:_PAYLOAD_BYTES])


class BatchProducer:
    """Produces messages of one size, round robin over the partitions."""

    BATCH: Final = 2000

    def __init__(
        self, settings: Mapping[str, str], topic: str, partitions: range, size: int
    ) -> None:
        self._library = _load()
        self._handle = _new_handle(self._library, _PRODUCER, {**PRODUCER_SETTINGS, **settings})
        self._topic = self._library.rd_kafka_topic_new(self._handle, topic.encode(), None)
        self._messages = (_Message * self.BATCH)()
        start = ctypes.addressof(_payloads())
        stride = max(1, (_PAYLOAD_BYTES - size) // self.BATCH)
        for i, message in enumerate(self._messages):
            message.payload = start + i * stride
            message.len = size
            message.partition = partitions[i % len(partitions)]

    def produce(self, count: int, timeout_s: float = 60) -> None:
        """Return when `count` messages are acknowledged. Errors: TimeoutError."""
        library, messages = self._library, ctypes.addressof(self._messages)
        size = ctypes.sizeof(_Message)
        deadline = time.monotonic() + timeout_s
        left = count
        while left:
            wanted = min(left, self.BATCH)
            done = 0
            while done < wanted:
                # Without a flag the payload is neither copied nor freed: it never changes.
                queued = library.rd_kafka_produce_batch(
                    self._topic, -1, _PARTITION_FLAG, messages + done * size, wanted - done
                )
                if queued < wanted - done:
                    # The queue is full: it has refused all that follow, too.
                    if time.monotonic() > deadline:
                        raise TimeoutError("the broker does not keep up")
                    library.rd_kafka_poll(self._handle, _QUEUE_FULL_PAUSE_MS)
                done += queued
            left -= wanted
            library.rd_kafka_poll(self._handle, 0)
        if library.rd_kafka_flush(self._handle, int(timeout_s * 1000)):
            raise TimeoutError(f"{library.rd_kafka_outq_len(self._handle)} not acknowledged")

    def close(self) -> None:
        self._library.rd_kafka_topic_destroy(self._topic)
        self._library.rd_kafka_destroy(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class CountingConsumer:
    """Reads partitions and counts; the messages are looked at by nobody."""

    def __init__(self, settings: Mapping[str, str], topic: str, partitions: range) -> None:
        self._library = _load()
        self._handle = _new_handle(self._library, _CONSUMER, {**CONSUMER_SETTINGS, **settings})
        self._name = topic.encode()
        self._topic = self._library.rd_kafka_topic_new(self._handle, self._name, None)
        self._queue = self._library.rd_kafka_queue_new(self._handle)
        self._partitions = partitions
        self.available(partitions[:1])  # who leads is known before the first fetch

    def start(self) -> None:
        """Begin to fetch from the beginning of every partition."""
        for partition in self._partitions:
            self._library.rd_kafka_consume_start_queue(
                self._topic, partition, _OFFSET_BEGINNING, self._queue
            )

    def available(self, partitions: range | None = None) -> int:
        """How many messages these (all) partitions hold."""
        low, high = ctypes.c_int64(), ctypes.c_int64()
        total = 0
        for partition in self._partitions if partitions is None else partitions:
            self._library.rd_kafka_query_watermark_offsets(
                self._handle, self._name, partition, ctypes.byref(low), ctypes.byref(high), 10_000
            )
            total += high.value - low.value
        return total

    def some(self, timeout_ms: int) -> int:
        """Wait for messages and return how many came (a partition's start may count as one)."""
        return max(
            0,
            int(
                self._library.rd_kafka_consume_callback_queue(
                    self._queue, timeout_ms, _do_nothing(), None
                )
            ),
        )

    def take(self, count: int, timeout_s: float = 60) -> int:
        """Return when `count` more messages were read: how many beyond it. Errors: TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while count > 0:
            count -= self.some(100)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count} messages were not read")
        return -count

    def close(self) -> None:
        for partition in self._partitions:
            self._library.rd_kafka_consume_stop(self._topic, partition)
        self._library.rd_kafka_queue_destroy(self._queue)
        self._library.rd_kafka_topic_destroy(self._topic)
        self._library.rd_kafka_destroy(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

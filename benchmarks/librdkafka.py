"""A producer that costs little, and the mock broker, both librdkafka's own.

confluent-kafka's wheel brings librdkafka; it is called directly, so that the
broker is measured and not the language of the client.
"""

from __future__ import annotations

import ctypes
import glob
import os
import time
from collections.abc import Mapping
from typing import Any, Final, Self

import confluent_kafka

_PRODUCER: Final = 0
_PARTITION_FLAG: Final = 0x8
_NO_ERROR: Final = 0
_QUEUE_FULL: Final = -184
_ERROR_TEXT_SIZE: Final = 512


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


def _load() -> Any:
    package = os.path.dirname(confluent_kafka.__file__)
    patterns = (f"{package}.libs/librdkafka*", f"{package}/.dylibs/librdkafka*")
    found = [path for pattern in patterns for path in glob.glob(pattern)]
    library = ctypes.CDLL(found[0])
    library.rd_kafka_conf_new.restype = ctypes.c_void_p
    library.rd_kafka_conf_set.argtypes = (
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t,
    )  # fmt: skip
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_new.argtypes = (
        ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t,
    )  # fmt: skip
    library.rd_kafka_topic_new.restype = ctypes.c_void_p
    library.rd_kafka_topic_new.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    library.rd_kafka_produce_batch.argtypes = (
        ctypes.c_void_p, ctypes.c_int32, ctypes.c_int, ctypes.c_void_p, ctypes.c_int,
    )  # fmt: skip
    library.rd_kafka_poll.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.rd_kafka_flush.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.rd_kafka_outq_len.argtypes = (ctypes.c_void_p,)
    library.rd_kafka_topic_destroy.argtypes = (ctypes.c_void_p,)
    library.rd_kafka_destroy.argtypes = (ctypes.c_void_p,)
    library.rd_kafka_handle_mock_cluster.restype = ctypes.c_void_p
    library.rd_kafka_handle_mock_cluster.argtypes = (ctypes.c_void_p,)
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = (ctypes.c_void_p,)
    library.rd_kafka_mock_topic_create.argtypes = (
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int,
    )  # fmt: skip
    return library


def _new_producer(library: Any, settings: Mapping[str, str]) -> Any:
    """A producer's handle. Raises ValueError for settings librdkafka refuses."""
    text = ctypes.create_string_buffer(_ERROR_TEXT_SIZE)
    conf = library.rd_kafka_conf_new()
    for key, value in settings.items():
        if library.rd_kafka_conf_set(conf, key.encode(), value.encode(), text, len(text)):
            raise ValueError(text.value.decode())
    handle = library.rd_kafka_new(_PRODUCER, conf, text, len(text))
    if not handle:
        raise ValueError(text.value.decode())
    return handle


class MockCluster:
    """librdkafka's mock broker, in this process."""

    def __init__(self) -> None:
        self._library = _load()
        self._handle = _new_producer(
            self._library, {"test.mock.num.brokers": "1", "log_level": "0"}
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


class BatchProducer:
    """Produces the same payload again and again, round robin over the partitions."""

    BATCH: Final = 2000

    def __init__(self, settings: Mapping[str, str], topic: str, partitions: int) -> None:
        self._library = _load()
        self._handle = _new_producer(self._library, settings)
        self._topic = self._library.rd_kafka_topic_new(self._handle, topic.encode(), None)
        self._partitions = partitions

    def produce(self, payload: bytes, count: int, timeout_s: float = 120) -> None:
        """Return when `count` messages are acknowledged."""
        buffer = ctypes.create_string_buffer(payload, len(payload))
        messages = (_Message * self.BATCH)()
        for i, message in enumerate(messages):
            message.payload = ctypes.addressof(buffer)
            message.len = len(payload)
            message.partition = i % self._partitions
        size = ctypes.sizeof(_Message)
        deadline = time.monotonic() + timeout_s
        left = count
        while left:
            wanted = min(left, self.BATCH)
            done = 0
            while done < wanted:
                # Without a flag the payload is neither copied nor freed: it never changes.
                queued = self._library.rd_kafka_produce_batch(
                    self._topic,
                    -1,
                    _PARTITION_FLAG,
                    ctypes.addressof(messages) + done * size,
                    wanted - done,
                )
                if queued < wanted - done:
                    # The queue is full: it has refused all that follow, too.
                    assert time.monotonic() < deadline, "the broker does not keep up"
                    self._library.rd_kafka_poll(self._handle, 5)
                done += queued
            left -= wanted
            self._library.rd_kafka_poll(self._handle, 0)
        if self._library.rd_kafka_flush(self._handle, int(timeout_s * 1000)):
            raise TimeoutError(f"{self._library.rd_kafka_outq_len(self._handle)} not acknowledged")

    def close(self) -> None:
        self._library.rd_kafka_topic_destroy(self._topic)
        self._library.rd_kafka_destroy(self._handle)

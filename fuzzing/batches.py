"""Record batches and message sets, with each codec, and what they decompress to.

An input begins with how it is meant; checksums and lengths are then made right
where that lets the bytes get further. Whatever is appended can be read back.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

from fuzzing.requests import new_machine, send, settle
from fuzzing.samples import NAME, body
from fuzzing.target import Input, Target
from ottla.batch import message_set
from ottla.batch.checksum import crc32c
from ottla.batch.compression import Codec, compress, decompress
from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import Record, build_batch, headers, records
from ottla.wire import frames
from ottla.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from ottla.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

#: No input may decompress to more than this.
LIMIT: Final = 1 << 20
AS_IT_STANDS, BATCH, RECORDS, MESSAGE, DECOMPRESS = range(5)
_HEADER_END: Final = 61


def run(data: bytes) -> None:
    given = Input(data)
    way, codec = given.byte() % 5, given.byte()
    content = given.rest()
    if way == DECOMPRESS:
        _decompress(codec % 8, content)
        return
    if way == BATCH:
        content = with_right_sums(content)
    elif way == RECORDS:
        content = _around(codec, content)
    elif way == MESSAGE:
        content = _as_message(codec, content)
    _read(content)
    _append(content)


def _decompress(codec: int, content: bytes) -> None:
    try:
        assert len(decompress(codec, content, LIMIT)) <= max(LIMIT, len(content))
    except CorruptBatchError:
        pass


def with_right_sums(content: bytes) -> bytes:
    """The bytes as one batch whose length, magic and checksum are right."""
    batch = bytearray(content.ljust(_HEADER_END, b"\0"))
    batch[8:12] = (len(batch) - 12).to_bytes(4, "big")
    batch[16] = 2
    batch[17:21] = crc32c(memoryview(batch)[21:]).to_bytes(4, "big")
    return bytes(batch)


def _around(codec: int, content: bytes) -> bytes:
    """The bytes as the records of a batch, compressed; their number is the first of them."""
    packed = compress(codec % 5, content[1:])
    batch = bytearray(build_batch([Record(0, 1_700_000_000_000, None, b"")]))[:_HEADER_END]
    batch[21:23] = (codec % 5 | (codec & 0x18)).to_bytes(2, "big")
    count = content[0] if content else 0
    batch[23:27] = max(0, count - 1).to_bytes(4, "big")
    batch[57:61] = count.to_bytes(4, "big")
    return with_right_sums(bytes(batch) + packed)


def _as_message(attributes: int, content: bytes) -> bytes:
    """The bytes as key and value of a message of the old formats, or as a wrapper's inside."""
    magic, codec = attributes >> 7, attributes % 4
    fields = content
    if codec:
        packed = compress(codec, content)
        fields = b"\xff\xff\xff\xff" + struct.pack(">i", len(packed)) + packed
    time = bytes(8) if magic else b""
    rest = bytes((magic, attributes & 0x0F)) + time + fields
    message = zlib.crc32(rest).to_bytes(4, "big") + rest
    return struct.pack(">qi", 0, len(message)) + message


def _read(content: bytes) -> None:
    try:
        for position, _header in headers(content):
            for record in records(content, position, limit=LIMIT):
                assert record.offset >= -(2**63)
    except CorruptBatchError:
        pass
    try:
        converted = message_set.up_convert(content, limit=LIMIT)
        message_set.down_convert(converted, 1)
    except CorruptBatchError:
        pass


def _append(content: bytes) -> None:
    """A plain topic, one of append times that is compacted and a recompressed one get it."""
    machine = new_machine({"offsets.topic.num.partitions": "1"})
    link = machine.connect()
    assert link is not None
    kinds = [
        {},
        {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"},
        {"compression.type": "lz4"},
    ]
    topics = [
        CreatableTopic(
            f"{NAME}{i}", 1, 1, [], [CreatableTopicConfig(k, v) for k, v in kind.items()]
        )
        for i, kind in enumerate(kinds)
    ]
    send(machine, link, 19, 5, body(CreateTopicsRequest(topics=topics, timeout_ms=10), 5))
    for version in (9, 2, 1):
        given = [
            TopicProduceData(name=topic.name, partition_data=[PartitionProduceData(0, content)])
            for topic in topics
        ]
        request = ProduceRequest(acks=-1, timeout_ms=10, topic_data=given)
        link.to_client.clear()
        send(machine, link, 0, version, body(request, version))
        assert link.is_open, "a bad batch is refused by itself"
    for version in (12, 3, 1):
        wanted = [
            FetchTopic(topic=topic.name, partitions=[FetchPartition(0, partition_max_bytes=LIMIT)])
            for topic in topics
        ]
        fetch = FetchRequest(max_wait_ms=0, min_bytes=0, max_bytes=LIMIT, topics=wanted)
        link.to_client.clear()
        send(machine, link, 1, version, body(fetch, version))
        assert link.is_open
        if version == 12:
            _check_fetched(bytes(link.to_client[4:]))
    for _ in range(6):
        machine.pass_time_to_next_deadline()
        settle(machine)
    machine.stop_cleanly()
    machine.start()


def _check_fetched(frame: bytes) -> None:
    """What was taken in can be opened by a consumer."""
    response: Any = frames.decode_response(1, 12, frame)
    for topic in response.responses:
        for partition in topic.partitions:
            assert partition.error_code == 0
            for position, header in headers(partition.records or b""):
                try:
                    found = sum(1 for _ in records(partition.records, position, limit=LIMIT))
                except CorruptBatchError:
                    continue  # as in Kafka, a batch that need not be opened is not
                assert found == header.record_count


def seeds() -> Iterator[bytes]:
    made = [
        Record(i, 1_700_000_000_000 + i, b"k%d" % i, b"value" * 3, (("h", b"v"),)) for i in range(3)
    ]
    for codec in Codec:
        batch = bytes(build_batch(made, compression=codec))
        yield bytes((AS_IT_STANDS, codec)) + batch + batch
        yield bytes((BATCH, codec)) + batch
        yield bytes((RECORDS, codec)) + b"\3" + bytes(build_batch(made))[_HEADER_END:]
        yield bytes((DECOMPRESS, codec)) + compress(codec, b"words " * 50)
        # Bombs: far more than the limit.
        yield bytes((DECOMPRESS, codec)) + compress(codec, bytes(2 * LIMIT))
    yield bytes((DECOMPRESS, Codec.SNAPPY)) + b"\xff\xff\xff\xff\x0f" + bytes(10)
    yield bytes((BATCH, 0)) + bytes(
        build_batch(made, producer_id=7, producer_epoch=1, base_sequence=0)
    )
    for magic in (0, 1):
        for codec in (Codec.NONE, Codec.GZIP, Codec.SNAPPY, Codec.LZ4):
            old = message_set.build_set(made, magic, codec)
            yield bytes((AS_IT_STANDS, 0)) + old
            yield bytes((MESSAGE, magic << 7 | codec)) + (
                old if codec else old[12 + 6 + 8 * magic :]
            )


TARGET = Target("batches", "record batches and message sets, each codec, bombs", seeds, run)

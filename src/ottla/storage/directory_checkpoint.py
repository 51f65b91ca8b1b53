"""How far each log of a directory had come (`ottla-checkpoint`).

Shape: text, a line each: "ottla-checkpoint 1"; then per partition "topic
partition topic_id recovery_point log_start_offset first_dirty_offset"; at last
"crc32c" and eight hexadecimal digits over all bytes before that line.
Replaced atomically. Kafka's own checkpoint files stand beside it for Kafka's
tools; they know topics by name only, and cannot tell a topic from an earlier
one of the same name, so that we do not read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ottla.batch.checksum import crc32c
from ottla.storage.checkpoints import PartitionKey
from ottla.storage.partition_directory import format_id, parse_id

FILE_NAME: Final = "ottla-checkpoint"
_FIRST_LINE: Final = "ottla-checkpoint 1"


class LogCheckpoint(NamedTuple):
    """What is durably known about one log."""

    topic_id: bytes
    #: Everything below is durable, indexes and a producer snapshot included.
    recovery_point: int
    log_start_offset: int
    #: Compaction has seen everything below.
    first_dirty_offset: int


def encode(entries: Mapping[PartitionKey, LogCheckpoint]) -> bytes:
    lines = [_FIRST_LINE]
    for (topic, partition), entry in entries.items():
        lines.append(
            f"{topic} {partition} {format_id(entry.topic_id)} {entry.recovery_point} "
            f"{entry.log_start_offset} {entry.first_dirty_offset}"
        )
    body = ("\n".join(lines) + "\n").encode()
    return body + f"crc32c {crc32c(body):08x}\n".encode()


def decode(data: bytes) -> dict[PartitionKey, LogCheckpoint]:
    """Raises `ValueError` when the file is damaged."""
    body, marker, crc = data.rpartition(b"crc32c ")
    if not marker or int(crc, 16) != crc32c(body):
        raise ValueError("wrong checksum")
    first, *lines = body.decode().splitlines() or [""]
    if first != _FIRST_LINE:
        raise ValueError(f"unknown version {first!r}")
    entries = {}
    for line in lines:
        topic, partition, topic_id, *numbers = line.split(" ")
        recovery_point, log_start, first_dirty = map(int, numbers)
        entries[topic, int(partition)] = LogCheckpoint(
            parse_id(topic_id), recovery_point, log_start, first_dirty
        )
    return entries

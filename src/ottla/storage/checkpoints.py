"""Small files that are replaced atomically, and Kafka's offset checkpoints among them.

Shape of the offset checkpoints (`recovery-point-offset-checkpoint`,
`log-start-offset-checkpoint`, `replication-offset-checkpoint`), as Kafka's: a
line each: version (0), number of entries, then "topic partition offset".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from ottla.seams.filesystem import Buffer, FileSystem
from ottla.storage import safety
from ottla.storage.errors import FULL, NoRoomError

RECOVERY_POINTS: Final = "recovery-point-offset-checkpoint"
LOG_STARTS: Final = "log-start-offset-checkpoint"
HIGH_WATERMARKS: Final = "replication-offset-checkpoint"

#: Suffix of a file that is about to take another's place.
TEMPORARY: Final = ".tmp"

#: Topic and partition.
PartitionKey: TypeAlias = tuple[str, int]


def write_atomically(filesystem: FileSystem, path: str, content: Buffer) -> None:
    """`path` durably holds `content`; after a power cut on the way, its old content or this."""
    write_replacement(filesystem, path, content)
    put_replacement(filesystem, path)


def write_replacement(filesystem: FileSystem, path: str, content: Buffer) -> None:
    """The first half of `write_atomically`: when it raises, `path` is as it was.
    `NoRoomError`: nothing but that the disk is full was wrong."""
    try:
        _write_temporary(filesystem, path + TEMPORARY, content)
    except OSError as error:
        if error.errno in FULL:
            _take_no_room(filesystem, path + TEMPORARY)
            raise NoRoomError(path) from error
        raise
    file = filesystem.open(path + TEMPORARY)
    try:
        safety.sync_replacement(file)
    finally:
        file.close()


def _write_temporary(filesystem: FileSystem, path: str, content: Buffer) -> None:
    file = filesystem.open(path, create=True)
    try:
        file.truncate(0)
        file.write_at([content], 0)
    finally:
        file.close()


def _take_no_room(filesystem: FileSystem, path: str) -> None:
    try:
        filesystem.remove(path)
    except OSError:
        pass  # It was never there, or the next one overwrites it.


def put_replacement(filesystem: FileSystem, path: str) -> None:
    """The second half: when it raises, `path` may hold either content, durably or not."""
    rename_replacement(filesystem, path)
    safety.sync_replaced_name(filesystem, path.rpartition("/")[0])


def rename_replacement(filesystem: FileSystem, path: str) -> None:
    """`path` has the new content; the name is not durable."""
    filesystem.rename(path + TEMPORARY, path)


def read_file(filesystem: FileSystem, path: str) -> bytes | None:
    """The whole content of a small file; None when there is no such file."""
    try:
        file = filesystem.open(path, read_only=True)
    except FileNotFoundError:
        return None
    try:
        return bytes(file.read_at(file.size(), 0))
    finally:
        file.close()


def encode_offsets(offsets: Mapping[PartitionKey, int]) -> bytes:
    lines = ["0", str(len(offsets))]
    lines += [f"{topic} {partition} {offsets[topic, partition]}" for topic, partition in offsets]
    return ("\n".join(lines) + "\n").encode()

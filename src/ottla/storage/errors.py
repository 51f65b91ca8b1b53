"""What the storage refuses, and why; each error carries the code a client is answered."""

from __future__ import annotations

import errno
from typing import Final, NamedTuple

from ottla.wire.errors import ErrorCode

#: The disk, or what its owner may use of it, is full: what was to be written was not.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class NoRoomError(OSError):
    """Small files could not be replaced, because the disk is full, and are as they were.
    Everything else that was asked for is durable."""

    def __init__(self, *paths: str) -> None:
        super().__init__(errno.ENOSPC, "No space left on device", paths[0])
        self.paths = paths


class StorageError(Exception):
    """Base of everything the storage raises on purpose."""

    code = ErrorCode.UNKNOWN_SERVER_ERROR

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RecordError(NamedTuple):
    """One refused record: its index within the batch, and why (KIP-467)."""

    batch_index: int
    message: str


class AppendError(StorageError):
    """The append changed nothing. `record_errors` names the guilty records, if one can."""

    def __init__(
        self, code: ErrorCode, message: str, record_errors: tuple[RecordError, ...] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.record_errors = record_errors


class OffsetOutOfRangeError(StorageError):
    """The offset is below the log's start or above its end."""

    code = ErrorCode.OFFSET_OUT_OF_RANGE


class CorruptLogError(StorageError):
    """Stored bytes are not what was written; they are never served."""

    code = ErrorCode.CORRUPT_MESSAGE

    def __init__(self, path: str, position: int, why: str) -> None:
        super().__init__(f"{path} is corrupt at position {position}: {why}")
        self.path = path
        self.position = position
        self.why = why


class LogOfflineError(StorageError):
    """The log stopped after a failed write or sync; only a restart brings it back."""

    code = ErrorCode.KAFKA_STORAGE_ERROR


class DirectoryRefusedError(StorageError):
    """A data directory that is not ours, in use or unreadable; nothing in it was touched."""

    code = ErrorCode.KAFKA_STORAGE_ERROR

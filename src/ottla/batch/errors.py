"""The one exception that bytes claiming to be records can raise."""

from __future__ import annotations

from ottla.wire.errors import ErrorCode


class CorruptBatchError(Exception):
    """Bytes that are not the batch, message set or record they claim to be.

    `code` is what a producer is answered: CORRUPT_MESSAGE for broken framing or
    checksums, INVALID_RECORD for sound framing around impossible content,
    UNSUPPORTED_COMPRESSION_TYPE for an unknown codec.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

"""The cluster's metadata, record by record (`ottla-metadata.journal`).

Shape, big-endian: 8 bytes "OTTLAMJ" and the version (1), then frames: uint32
length of the payload, uint32 crc, int64 durable_position, payload. A frame is
one change, whole or not at all; what it says is the broker's business.
Integrity: CRC-32C of durable_position and payload. At a start the journal ends
at its first bad frame, and the rest is cut off: it was never durable, and so
never answered. Unless a later sound frame knows better: durable_position says
up to where the journal was durable when the frame was written. Damage below
that is damage to what was promised, and the start is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from ottla.batch.checksum import crc32c
from ottla.seams.filesystem import File, FileSystem
from ottla.storage import safety
from ottla.storage.checkpoints import (
    put_replacement,
    write_atomically,
    write_replacement,
)
from ottla.storage.directory_state import DirectoryState
from ottla.storage.errors import AppendError, CorruptLogError
from ottla.storage.flush import Durable, FlushTicket
from ottla.storage.open_files import Handle

FILE_NAME: Final = "ottla-metadata.journal"
MAX_RECORD_BYTES: Final = 16_777_216
_MAGIC: Final = b"OTTLAMJ\x01"
_FRAME: Final = struct.Struct(">IIq")
_DURABLE_POSITION: Final = struct.Struct(">q")
_CRC_START: Final = 8
#: A journal below this size is never worth rewriting.
_SMALL_BYTES: Final = 1_048_576


class MetadataJournal:
    """Appended to on the loop, made durable by flush tickets; made by `open`."""

    def __init__(
        self, filesystem: FileSystem, state: DirectoryState, path: str, file: File, end: int
    ) -> None:
        self._filesystem = filesystem
        self._state = state
        self._path = path
        self._file = file
        self._ticket: FlushTicket | None = None
        self._size_when_written = end
        #: Where the next record goes; everything below `durable_position` is durable.
        self.end_position = end
        self.durable_position = end

    @classmethod
    def open(
        cls, filesystem: FileSystem, state: DirectoryState, directory: str
    ) -> tuple[MetadataJournal, list[bytes]]:
        """The journal and all its records, in order; an empty one where there is none.

        A torn end is cut off, and what is kept is durable. Raises `CorruptLogError`
        when what was durable once is damaged, and `OSError`.
        """
        path = f"{directory}/{FILE_NAME}"
        if not filesystem.exists(path):
            write_atomically(filesystem, path, _MAGIC)
        file = filesystem.open(path)
        data = bytes(file.read_at(file.size(), 0))
        if data[: len(_MAGIC)] != _MAGIC:
            file.close()
            raise CorruptLogError(path, 0, "not a metadata journal of this version")
        found, end = _decode(data)
        if end < len(data):
            if _durable_position_behind(data, end) > end:
                file.close()
                raise CorruptLogError(path, end, "damaged below what was durable")
            safety.cut_bad_tail(file, end)
        safety.make_kept_tail_durable(file)
        safety.sync_new_names(filesystem, directory)
        journal = cls(filesystem, state, path, file, end)
        if state.is_cache_doubtful:
            journal.rewrite(found)
        return journal, found

    def append(self, record: bytes) -> int:
        """`record` is written at the end. It is durable once `durable_position` is at least
        the position returned. Raises `AppendError`, having changed nothing."""
        if self._state.reason is not None:
            error = self._state.offline_error()
            raise AppendError(error.code, error.message)
        assert len(record) <= MAX_RECORD_BYTES
        frame = _encode(record, self.durable_position)
        try:
            self._file.write_at([frame], self.end_position)
        except OSError as failure:
            try:
                self._file.truncate(self.end_position)
            except OSError as second:
                self._state.fail(f"writing {self._path}", second)
            raise self._state.refused(f"write {self._path}", failure) from failure
        self.end_position += len(frame)
        return self.end_position

    def begin_flush(self) -> FlushTicket | None:
        """A ticket for everything appended so far; None when all of it is durable or a ticket
        is out."""
        is_idle = self.durable_position == self.end_position
        if is_idle or self._ticket is not None or self._state.reason is not None:
            return None
        durable = Durable(((self._path, Handle(self._file)),))
        self._ticket = FlushTicket(self, self._filesystem, durable, self.end_position)
        return self._ticket

    def finish_flush(self, ticket: FlushTicket, error: OSError | None) -> None:
        """What the ticket covers is durable, or the directory goes offline."""
        if ticket is not self._ticket:
            return
        self._ticket = None
        if error is not None:
            self._state.fail(f"flushing {self._path}", error)
            if not safety.may_trust_after_failed_sync():
                return
        self.durable_position = ticket.end_offset

    @property
    def is_bloated(self) -> bool:
        """Whether most of the file is likely to be history: time to `rewrite`."""
        return self.end_position > max(_SMALL_BYTES, 4 * self._size_when_written)

    def rewrite(self, records: Iterable[bytes]) -> None:
        """The journal durably holds just these records, which say what all before said.
        Blocks for two syncs. Raises `OSError`; the old journal goes on, unless it was in the
        middle of being replaced: then the directory goes offline."""
        content = bytearray(_MAGIC)
        for record in records:
            # The file takes its place only when all of it is durable.
            content += _encode(record, len(content))
        write_replacement(self._filesystem, self._path, content)
        try:
            put_replacement(self._filesystem, self._path)
            file = self._filesystem.open(self._path)
        except OSError as error:
            self._state.fail(f"replacing {self._path}", error)
            raise
        self._file.close()
        self._file = file
        self._ticket = None
        self.end_position = self.durable_position = self._size_when_written = len(content)

    def close(self) -> None:
        """Make everything durable and close the file. Raises `OSError`."""
        try:
            if self._state.reason is None and self.durable_position < self.end_position:
                safety.sync_appended_data(self._file)
                self.durable_position = self.end_position
        finally:
            self._file.close()


def sound_bytes(data: bytes) -> int:
    """Up to where a journal's file is what was written; 0 when it is no journal."""
    return _decode(data)[1] if data[: len(_MAGIC)] == _MAGIC else 0


def _encode(record: bytes, durable_position: int) -> bytes:
    covered = _DURABLE_POSITION.pack(durable_position) + record
    return _FRAME.pack(len(record), crc32c(covered), durable_position) + record


def _decode(data: bytes) -> tuple[list[bytes], int]:
    """The records up to the first bad frame, and its position."""
    found = []
    position = len(_MAGIC)
    while (size := _frame_size(data, position)) is not None:
        found.append(data[position + _FRAME.size : position + size])
        position += size
    return found, position


def _frame_size(data: bytes, position: int) -> int | None:
    """Size of the sound frame at `position`; None when there is none."""
    if position + _FRAME.size > len(data):
        return None
    length, crc, _ = _FRAME.unpack_from(data, position)
    end = position + _FRAME.size + length
    if length > MAX_RECORD_BYTES or end > len(data):
        return None
    if not safety.is_journal_frame_intact(memoryview(data)[position + _CRC_START : end], crc):
        return None
    return int(end - position)


def _durable_position_behind(data: bytes, start: int) -> int:
    """The furthest durable position that a sound frame behind `start` speaks of."""
    furthest = 0
    for position in range(start + 1, len(data) - _FRAME.size):
        durable_position = _FRAME.unpack_from(data, position)[2]
        if furthest < durable_position <= position and _frame_size(data, position):
            furthest = durable_position
    return furthest

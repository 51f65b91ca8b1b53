"""Files by `pwritev`, `pread` and `RWF_NOWAIT`: Linux on ordinary filesystems."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Final

from ottla.seams.filesystem import Buffer

#: What one pwritev takes at most (IOV_MAX of Linux).
_MAX_BUFFERS_PER_WRITE: Final = 1024


class PositionedFile:
    """A file whose reads can say that they would have to wait for the disk."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @property
    def path(self) -> str:
        return self._path

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        wanted = sum(len(buffer) for buffer in buffers)
        written = os.pwritev(self._descriptor, buffers[:_MAX_BUFFERS_PER_WRITE], position)
        if written != wanted:
            self._write_rest(buffers, position, written)

    def _write_rest(self, buffers: Sequence[Buffer], position: int, written: int) -> None:
        """A write may be short (a signal, a disk almost full): go on until all is written
        or the system says why not."""
        pending = [memoryview(buffer) for buffer in buffers]
        position += written
        while True:
            while pending and written >= len(pending[0]):
                written -= len(pending.pop(0))
            if not pending:
                return
            pending[0] = pending[0][written:]
            written = os.pwritev(self._descriptor, pending[:_MAX_BUFFERS_PER_WRITE], position)
            if written == 0:
                raise OSError(errno.EIO, "the system wrote nothing", self._path)
            position += written

    def read_at(self, size: int, position: int) -> bytes:
        data = os.pread(self._descriptor, size, position)
        if len(data) == size:
            return data
        parts = [data]
        while data and (size := size - len(data)) > 0:
            position += len(data)
            data = os.pread(self._descriptor, size, position)
            parts.append(data)
        return b"".join(parts)

    def read_cached_at(self, size: int, position: int) -> Buffer | None:
        buffer = bytearray(size)
        try:
            got = os.preadv(self._descriptor, [buffer], position, os.RWF_NOWAIT)
            if got == size:
                return buffer
            # Short either at the end of the file or at the end of what is cached: only
            # another read can tell.
            with memoryview(buffer) as view:
                while got < size:
                    more = os.preadv(self._descriptor, [view[got:]], position + got, os.RWF_NOWAIT)
                    if more == 0:
                        break
                    got += more
        except BlockingIOError:
            return None
        del buffer[got:]
        return buffer

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def can_read_without_waiting(descriptor: int) -> bool:
    """Whether the filesystem of an open file knows RWF_NOWAIT (tmpfs, for one, does not)."""
    if not (hasattr(os, "RWF_NOWAIT") and hasattr(os, "pwritev") and hasattr(os, "fdatasync")):
        return False
    try:
        os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True

"""Files by seek, read and write: for systems and filesystems without the better calls.

Reads are taken to be served from memory, as they are on tmpfs; elsewhere a
cold read holds up the caller.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Sequence

from ottla.seams.filesystem import Buffer


class PlainFile:
    """A file with one position, so every access takes a lock."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._lock = threading.Lock()

    @property
    def path(self) -> str:
        return self._path

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        with self._lock:
            os.lseek(self._descriptor, position, os.SEEK_SET)
            for buffer in buffers:
                pending = memoryview(buffer)
                while pending:
                    written = os.write(self._descriptor, pending)
                    if written == 0:
                        raise OSError(errno.EIO, "the system wrote nothing", self._path)
                    pending = pending[written:]

    def read_at(self, size: int, position: int) -> bytes:
        parts = []
        with self._lock:
            os.lseek(self._descriptor, position, os.SEEK_SET)
            while size > 0:
                data = os.read(self._descriptor, size)
                if not data:
                    break
                parts.append(data)
                size -= len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_cached_at(self, size: int, position: int) -> Buffer | None:
        return self.read_at(size, position)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        sync_descriptor(self._descriptor)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def sync_descriptor(descriptor: int) -> None:
    """Make a file durable with the strongest call the system has."""
    if sys.platform == "darwin":
        import fcntl

        # On macOS fsync leaves the data in the drive's own cache.
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)

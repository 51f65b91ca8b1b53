"""What the storage needs of a filesystem, and what it may assume of it.

Two things are told apart: what is *written* (visible to every later read) and
what is *durable* (survives a power cut). A write becomes durable when `sync`
of its file returns; a name (created, renamed, removed) when `sync_directory`
of its directory returns. Nothing else makes anything durable.

Errors: every method raises `OSError` as the operating system would. A failed
`sync` must never be retried: the state of the unsynced pages is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview


class File(Protocol):
    """An open file, read and written at explicit byte positions.

    `sync` may run in another thread while `write_at` runs on the loop; it
    covers at least every write that returned before `sync` was called.
    """

    @property
    def path(self) -> str: ...

    def size(self) -> int:
        """Length in bytes, as written."""

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        """Write all buffers one after the other at `position`; never a part of them
        without raising."""

    def read_at(self, size: int, position: int) -> bytes:
        """Read up to `size` bytes; fewer only at the end of the file."""

    def read_cached_at(self, size: int, position: int) -> Buffer | None:
        """As `read_at`, or None when the answer would have to wait for the disk.

        Any buffer, not only `bytes`: the system fills a bytearray, and a copy
        of every fetched byte would cost as much as the read."""

    def truncate(self, size: int) -> None:
        """Cut (or extend with zeros) to `size` bytes."""

    def sync(self) -> None:
        """Make everything written so far, and the length, durable."""

    def close(self) -> None: ...


class DirectoryLock(Protocol):
    """Held while a process owns a data directory."""

    def release(self) -> None: ...


class FileSystem(Protocol):
    """Files and names below one machine's root. Paths are strings with "/"."""

    def open(self, path: str, *, create: bool = False, read_only: bool = False) -> File:
        """Open an existing file, or create it (empty) when `create` is set."""

    def exists(self, path: str) -> bool: ...

    def is_directory(self, path: str) -> bool: ...

    def file_size(self, path: str) -> int: ...

    def list_directory(self, path: str) -> list[str]:
        """Names in a directory, sorted."""

    def make_directory(self, path: str) -> None:
        """Create a directory and its missing parents; no error when it exists."""

    def rename(self, old: str, new: str) -> None:
        """Rename a file or directory, replacing a file at `new`, atomically."""

    def remove(self, path: str) -> None:
        """Remove a file."""

    def remove_tree(self, path: str) -> None:
        """Remove a directory and everything in it."""

    def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable."""

    def free_bytes(self, path: str) -> int:
        """Room left for writing below `path`."""

    def total_bytes(self, path: str) -> int:
        """Size of the volume that holds `path`, with what others have put on it."""

    def lock(self, path: str) -> DirectoryLock | None:
        """Take the lock file at `path` for this process; None when another holds it."""

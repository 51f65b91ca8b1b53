"""A file and a filesystem that pass everything on to another one.

What a disk betrays, records or forgets is written as a subclass of these that
changes the methods it is about, and only those.
"""

from __future__ import annotations

from collections.abc import Sequence

from ottla.seams.filesystem import Buffer, DirectoryLock, File, FileSystem


class DelegatingFile:
    """Implements `File` over another one."""

    def __init__(self, inner: File) -> None:
        self._inner = inner

    @property
    def path(self) -> str:
        return self._inner.path

    def size(self) -> int:
        return self._inner.size()

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        self._inner.write_at(buffers, position)

    def read_at(self, size: int, position: int) -> bytes:
        return self._inner.read_at(size, position)

    def read_cached_at(self, size: int, position: int) -> Buffer | None:
        return self._inner.read_cached_at(size, position)

    def truncate(self, size: int) -> None:
        self._inner.truncate(size)

    def sync(self) -> None:
        self._inner.sync()

    def close(self) -> None:
        self._inner.close()


class DelegatingFileSystem:
    """Implements `FileSystem` over another one."""

    def __init__(self, inner: FileSystem) -> None:
        self._inner = inner

    def open(self, path: str, *, create: bool = False, read_only: bool = False) -> File:
        return self._inner.open(path, create=create, read_only=read_only)

    def exists(self, path: str) -> bool:
        return self._inner.exists(path)

    def is_directory(self, path: str) -> bool:
        return self._inner.is_directory(path)

    def file_size(self, path: str) -> int:
        return self._inner.file_size(path)

    def list_directory(self, path: str) -> list[str]:
        return self._inner.list_directory(path)

    def make_directory(self, path: str) -> None:
        self._inner.make_directory(path)

    def rename(self, old: str, new: str) -> None:
        self._inner.rename(old, new)

    def remove(self, path: str) -> None:
        self._inner.remove(path)

    def remove_tree(self, path: str) -> None:
        self._inner.remove_tree(path)

    def sync_directory(self, path: str) -> None:
        self._inner.sync_directory(path)

    def free_bytes(self, path: str) -> int:
        return self._inner.free_bytes(path)

    def total_bytes(self, path: str) -> int:
        return self._inner.total_bytes(path)

    def lock(self, path: str) -> DirectoryLock | None:
        return self._inner.lock(path)

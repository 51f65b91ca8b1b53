"""A bounded set of open files, so that any number of partitions needs few descriptors.

The least recently used file is closed when another must be opened. Files in
the hands of a flush are pinned: they stay open until it has returned.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ottla.seams.filesystem import File, FileSystem

DEFAULT_LIMIT: Final = 384


class Handle:
    """An open file and how many flushes hold it."""

    __slots__ = ("file", "is_forgotten", "pins")

    def __init__(self, file: File) -> None:
        self.file = file
        self.pins = 0
        self.is_forgotten = False


class OpenFiles:
    """Opens files by path and keeps the most recently used `limit` of them open."""

    def __init__(self, filesystem: FileSystem, limit: int = DEFAULT_LIMIT) -> None:
        self.filesystem = filesystem
        self._limit = limit
        self._handles: OrderedDict[str, Handle] = OrderedDict()
        self._pinned = 0

    def __len__(self) -> int:
        return len(self._handles)

    def get(self, path: str) -> File:
        """The file at `path`, which must exist, open for reading and writing."""
        handle = self._handles.get(path)
        if handle is None:
            return self._add(path, self.filesystem.open(path))
        self._handles.move_to_end(path)
        return handle.file

    def create(self, path: str) -> File:
        """The file at `path`, created empty or emptied."""
        self.forget(path)
        file = self.filesystem.open(path, create=True)
        if file.size():
            file.truncate(0)
        return self._add(path, file)

    def open_or_create(self, path: str) -> File:
        """The file at `path`, created empty if there is none."""
        handle = self._handles.get(path)
        if handle is not None:
            return handle.file
        return self._add(path, self.filesystem.open(path, create=True))

    def pin(self, path: str) -> Handle | None:
        """Keep an open file open until `unpin`; None when it is not open, or when
        pins already hold half of the limit."""
        handle = self._handles.get(path)
        if handle is None or self._pinned * 2 >= self._limit:
            return None
        handle.pins += 1
        self._pinned += 1
        return handle

    def unpin(self, handle: Handle) -> None:
        handle.pins -= 1
        self._pinned -= 1
        if handle.is_forgotten and not handle.pins:
            handle.file.close()

    def forget(self, path: str) -> None:
        """Close the file at `path` if it is open: its name is about to change or to go."""
        handle = self._handles.pop(path, None)
        if handle is not None:
            self._let_go(handle)

    def forget_below(self, directory: str) -> None:
        """`forget` everything in a directory."""
        prefix = directory + "/"
        for path in [p for p in self._handles if p.startswith(prefix)]:
            self.forget(path)

    def close(self) -> None:
        """Close everything that no flush holds."""
        for path in list(self._handles):
            self.forget(path)

    def _add(self, path: str, file: File) -> File:
        self._handles[path] = Handle(file)
        if len(self._handles) > self._limit:
            self._close_one()
        return file

    def _close_one(self) -> None:
        newest = next(reversed(self._handles))
        for path, handle in self._handles.items():
            if not handle.pins and path != newest:
                del self._handles[path]
                handle.file.close()
                return

    @staticmethod
    def _let_go(handle: Handle) -> None:
        if handle.pins:
            handle.is_forgotten = True
        else:
            handle.file.close()

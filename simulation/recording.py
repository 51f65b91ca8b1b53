"""The real filesystem, with a side directory that knows what of it is durable.

Killing a process tests no sync: the page cache survives it. A broker on this
filesystem keeps beside its data directory, for every file, the bytes that a
returned sync covered (a shadow file, by number) and the names in the order of
their changes and directory syncs (`names.jsonl`). `simulation.reverting`
turns the data directory back into what a power cut would have left.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ottla.seams.delegating import DelegatingFile, DelegatingFileSystem
from ottla.seams.filesystem import Buffer, DirectoryLock, File, FileSystem

NAMES_FILE: Final = "names.jsonl"


class _Unsynced:
    """What of one file no returned sync covers. Shared by all who have it open."""

    def __init__(self, number: int, *, is_unknown: bool) -> None:
        self.number = number
        self.ranges: list[tuple[int, int]] = [(0, 1 << 62)] if is_unknown else []
        self.shortest: int | None = 0 if is_unknown else None
        self.lock = threading.Lock()
        self.sync_lock = threading.Lock()

    def note_write(self, start: int, end: int) -> None:
        with self.lock:
            if self.ranges and self.ranges[-1][1] == start:
                self.ranges[-1] = (self.ranges[-1][0], end)
            else:
                self.ranges.append((start, end))

    def note_truncate(self, size: int) -> None:
        with self.lock:
            self.shortest = size if self.shortest is None else min(size, self.shortest)

    def take(self, file: File) -> tuple[list[tuple[int, bytes]], int | None, int]:
        """The bytes to become durable, the shortest the file has been, and its size."""
        with self.lock:
            size = file.size()
            parts = [
                (start, file.read_at(min(end, size) - start, start))
                for start, end in self.ranges
                if start < size
            ]
            shortest = self.shortest
            self.ranges = []
            self.shortest = None
        return parts, shortest, size


class RecordingFile(DelegatingFile):
    """A real file whose syncs are also done to its shadow."""

    def __init__(self, inner: File, unsynced: _Unsynced, side: str) -> None:
        super().__init__(inner)
        self._unsynced = unsynced
        self._shadow = f"{side}/{unsynced.number}"

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        self._inner.write_at(buffers, position)
        self._unsynced.note_write(position, position + sum(len(buffer) for buffer in buffers))

    def truncate(self, size: int) -> None:
        self._inner.truncate(size)
        self._unsynced.note_truncate(size)

    def sync(self) -> None:
        with self._unsynced.sync_lock:
            parts, shortest, size = self._unsynced.take(self._inner)
            self._inner.sync()
            if shortest is None:
                self._add_to_shadow(parts, size)
            else:
                self._replace_shadow(parts, shortest, size)

    def _add_to_shadow(self, parts: list[tuple[int, bytes]], size: int) -> None:
        descriptor = os.open(self._shadow, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            for position, data in parts:
                os.pwrite(descriptor, data, position)
            os.ftruncate(descriptor, size)
        finally:
            os.close(descriptor)

    def _replace_shadow(self, parts: list[tuple[int, bytes]], shortest: int, size: int) -> None:
        """At once, or not at all: a kill in between may not lose what was durable before."""
        shadow = Path(self._shadow)
        content = bytearray(shadow.read_bytes()[:shortest] if shadow.exists() else b"")
        for position, data in parts:
            content.extend(bytes(max(0, position - len(content))))
            content[position : position + len(data)] = data
        content.extend(bytes(max(0, size - len(content))))
        del content[size:]
        new = Path(f"{self._shadow}.new")
        new.write_bytes(content)
        new.replace(shadow)


class RecordingFileSystem(DelegatingFileSystem):
    """Implements `FileSystem` over another one, recording everything below `root`.

    A side directory without names takes everything that is there as durable;
    one that has them goes on where it stopped, as after a kill.
    """

    def __init__(self, inner: FileSystem, root: str, side: str) -> None:
        super().__init__(inner)
        self._root = root
        self._side = side
        self._numbers: dict[str, int] = {}
        self._unsynced: dict[int, _Unsynced] = {}
        self._lock = threading.Lock()
        os.makedirs(side, exist_ok=True)
        is_new = not os.path.exists(f"{side}/{NAMES_FILE}")
        self._next_number = 1
        if not is_new:
            self._resume()
        self._names = os.open(f"{side}/{NAMES_FILE}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if is_new and inner.is_directory(root):
            self._take_as_durable(root)
        elif not is_new:
            self._record_what_was_missed(root)

    def _resume(self) -> None:
        from simulation.reverting import complete_rename, replay_names

        complete_rename(self._side)
        _, self._numbers = replay_names(self._side, self._root)
        self._next_number = max([0, *self._numbers.values()]) + 1
        for number in self._numbers.values():
            self._unsynced[number] = _Unsynced(number, is_unknown=True)

    def _take_as_durable(self, directory: str) -> None:
        self._record("make_directory", directory)
        for name in self._inner.list_directory(directory):
            path = f"{directory}/{name}"
            if self._inner.is_directory(path):
                self._take_as_durable(path)
            else:
                number = self._number_new_file(path)
                shutil.copyfile(path, f"{self._side}/{number}")
        self._record("sync_directory", directory)

    def _record_what_was_missed(self, directory: str) -> None:
        """The kill may have come between a change of a name and its record."""
        if directory == self._root:
            for path in [p for p in self._numbers if not self._inner.exists(p)]:
                self._forget_name(path)
        for name in self._inner.list_directory(directory):
            path = f"{directory}/{name}"
            if self._inner.is_directory(path):
                self._record("make_directory", path)
                self._record_what_was_missed(path)
            elif path not in self._numbers:
                number = self._number_new_file(path)
                self._unsynced[number] = _Unsynced(number, is_unknown=True)

    def _forget_name(self, path: str) -> None:
        self._numbers.pop(path, None)
        self._record("remove", path)

    def _record(self, *change: str | int) -> None:
        os.write(self._names, json.dumps(change).encode() + b"\n")

    def _is_inside(self, path: str) -> bool:
        return path == self._root or path.startswith(f"{self._root}/")

    def _number_new_file(self, path: str) -> int:
        with self._lock:
            number = self._next_number
            self._next_number += 1
            self._numbers[path] = number
            self._unsynced[number] = _Unsynced(number, is_unknown=False)
            self._record("create", path, number)
        return number

    def open(self, path: str, *, create: bool = False, read_only: bool = False) -> File:
        is_new = create and not self._inner.exists(path)
        file = self._inner.open(path, create=create, read_only=read_only)
        if not self._is_inside(path):
            return file
        number = self._number_new_file(path) if is_new else self._numbers[path]
        return RecordingFile(file, self._unsynced[number], self._side)

    def make_directory(self, path: str) -> None:
        self._inner.make_directory(path)
        if self._is_inside(path):
            self._record("make_directory", path)

    def rename(self, old: str, new: str) -> None:
        with self._lock:
            # A kill may come between the rename and its record; a file that was replaced then
            # would look like the old one with other bytes.
            self._record("renaming", old, new)
            self._inner.rename(old, new)
            for path in [p for p in self._numbers if p == old or p.startswith(f"{old}/")]:
                self._numbers[new + path[len(old) :]] = self._numbers.pop(path)
            self._record("rename", old, new)

    def remove(self, path: str) -> None:
        with self._lock:
            self._inner.remove(path)
            self._forget_name(path)

    def remove_tree(self, path: str) -> None:
        with self._lock:
            self._record("remove_tree", path)
            self._inner.remove_tree(path)
            for gone in [p for p in self._numbers if p.startswith(f"{path}/")]:
                del self._numbers[gone]

    def sync_directory(self, path: str) -> None:
        self._inner.sync_directory(path)
        if self._is_inside(path):
            self._record("sync_directory", path)

    def lock(self, path: str) -> DirectoryLock | None:
        is_new = not self._inner.exists(path)
        lock = self._inner.lock(path)
        if is_new and lock is not None and self._is_inside(path):
            self._number_new_file(path)
        return lock

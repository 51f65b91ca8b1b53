"""The real filesystem: names, directories, and which kind of file to open where."""

from __future__ import annotations

import os
import shutil
import sys

from ottla.seams.filesystem import DirectoryLock, File
from ottla.seams.real.lock import try_lock
from ottla.seams.real.plain import PlainFile, sync_descriptor
from ottla.seams.real.positioned import PositionedFile, can_read_without_waiting


class RealFileSystem:
    """Implements `FileSystem`. Each device is probed once for what its files can do."""

    def __init__(self, *, plain: bool = False) -> None:
        """`plain` uses the plain files everywhere, as on systems without the better calls."""
        self._plain = plain
        self._is_positioned: dict[int, bool] = {}

    def open(self, path: str, *, create: bool = False, read_only: bool = False) -> File:
        flags = os.O_RDONLY if read_only else os.O_RDWR
        if create:
            flags |= os.O_CREAT
        flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags, 0o644)
        if self._plain:
            return PlainFile(path, descriptor)
        device = os.fstat(descriptor).st_dev
        is_positioned = self._is_positioned.get(device)
        if is_positioned is None:
            is_positioned = self._is_positioned[device] = can_read_without_waiting(descriptor)
        return PositionedFile(path, descriptor) if is_positioned else PlainFile(path, descriptor)

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(path)

    def file_size(self, path: str) -> int:
        return os.stat(path).st_size

    def list_directory(self, path: str) -> list[str]:
        return sorted(os.listdir(path))

    def make_directory(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)

    def rename(self, old: str, new: str) -> None:
        os.replace(old, new)

    def remove(self, path: str) -> None:
        os.unlink(path)

    def remove_tree(self, path: str) -> None:
        shutil.rmtree(path)

    def sync_directory(self, path: str) -> None:
        if sys.platform == "win32":
            return  # Windows cannot; NTFS journals names by itself.
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync_descriptor(descriptor)
        finally:
            os.close(descriptor)

    def free_bytes(self, path: str) -> int:
        return shutil.disk_usage(path).free

    def total_bytes(self, path: str) -> int:
        return shutil.disk_usage(path).total

    def lock(self, path: str) -> DirectoryLock | None:
        return try_lock(path)

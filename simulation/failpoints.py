"""Named moments at which a real broker process dies.

Each safety step is a call of the filesystem, so a filesystem that kills its own
process at the nth call of a kind for a path of a kind reaches every one of
them. Nothing of this is in the broker: `simulation.recorded_up` puts it in.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

from ottla.seams.delegating import DelegatingFile, DelegatingFileSystem
from ottla.seams.filesystem import Buffer, File, FileSystem


class Failpoint(NamedTuple):
    """`when` is before, within or after a call of this kind for a path like this one."""

    when: str
    kind: str
    path: str
    #: Whether it is reached while starting after a crash, and not while working.
    is_at_start: bool = False


_LOG: Final = r"\d{20}\.log$"

FAILPOINTS: Final[dict[str, Failpoint]] = {
    "half of an append is written": Failpoint("within", "write", _LOG),
    "appended, not synced": Failpoint("before", "sync", _LOG),
    "synced, not answered": Failpoint("after", "sync", _LOG),
    "offsets appended, not synced": Failpoint("before", "sync", r"__consumer_offsets-\d+/.*\.log$"),
    "offsets synced, not answered": Failpoint("after", "sync", r"__consumer_offsets-\d+/.*\.log$"),
    "transaction appended, not synced": Failpoint("before", "sync", r"__transaction_state-.*log$"),
    "transaction synced, not answered": Failpoint("after", "sync", r"__transaction_state-.*log$"),
    "segment rolled, name not synced": Failpoint("after", "create", _LOG),
    "index of a rolled segment created": Failpoint("after", "create", r"\d{20}\.index$"),
    "index written, not synced": Failpoint("before", "sync", r"\d{20}\.(index|timeindex)$"),
    "names about to be synced": Failpoint("before", "sync_directory", r"-\d+$"),
    "names synced": Failpoint("after", "sync_directory", r"-\d+$"),
    "producer snapshot half written": Failpoint("within", "write", r"\.snapshot"),
    "producer snapshot not synced": Failpoint("before", "sync", r"\.snapshot"),
    "checkpoint written, not synced": Failpoint("before", "sync", r"checkpoint.*\.tmp$"),
    "checkpoint synced, not renamed": Failpoint("before", "rename", r"checkpoint$"),
    "checkpoint renamed, name not synced": Failpoint("after", "rename", r"checkpoint$"),
    "half of a journal entry is written": Failpoint("within", "write", r"\.journal$"),
    "journal written, not synced": Failpoint("before", "sync", r"\.journal$"),
    "journal synced, nobody told": Failpoint("after", "sync", r"\.journal$"),
    "journal snapshot half written": Failpoint("within", "write", r"\.journal\.tmp$"),
    "journal snapshot not renamed": Failpoint("before", "rename", r"\.journal$"),
    "journal snapshot renamed": Failpoint("after", "rename", r"\.journal$"),
    "compacted segment half written": Failpoint("within", "write", r"\.log\.cleaned$"),
    "compacted segment not renamed": Failpoint("before", "rename", r"\.log\.swap$"),
    "compacted segment ready to swap": Failpoint("after", "rename", r"\.log\.swap$"),
    "replaced segment being renamed": Failpoint("before", "rename", r"\.deleted$"),
    "replaced segment renamed": Failpoint("after", "rename", r"\.deleted$"),
    "compacted segment swapped": Failpoint("after", "rename", _LOG),
    "topic about to be renamed away": Failpoint("before", "rename", r"-delete$"),
    "topic renamed away": Failpoint("after", "rename", r"-delete$"),
    "topic about to be removed": Failpoint("before", "remove_tree", r"-delete$"),
    "partition directory made": Failpoint("after", "make_directory", r"-\d+$"),
    "old segment about to be removed": Failpoint("before", "remove", r"\.log"),
    "old segment removed": Failpoint("after", "remove", r"\.log"),
    "recovery: tail about to be cut": Failpoint("before", "truncate", _LOG, True),
    "recovery: tail cut": Failpoint("after", "truncate", _LOG, True),
    "recovery: kept tail not synced": Failpoint("before", "sync", _LOG, True),
    "recovery: kept tail synced": Failpoint("after", "sync", _LOG, True),
    "recovery: checkpoint not renamed": Failpoint("before", "rename", r"checkpoint$", True),
}


class _Bomb:
    """Kills this process at the nth time its failpoint is reached."""

    def __init__(self, failpoint: Failpoint, hit: int) -> None:
        self._failpoint = failpoint
        self._path = re.compile(failpoint.path)
        self._left = hit
        self._lock = threading.Lock()

    def is_reached(self, when: str, kind: str, path: str) -> bool:
        """Counts; True at the last one."""
        point = self._failpoint
        if when != point.when or kind != point.kind or self._path.search(path) is None:
            return False
        with self._lock:
            self._left -= 1
            return self._left == 0

    def check(self, when: str, kind: str, path: str) -> None:
        if self.is_reached(when, kind, path):
            os.kill(os.getpid(), signal.SIGKILL)


class _File(DelegatingFile):
    """A file that may be the death of its process."""

    def __init__(self, inner: File, bomb: _Bomb) -> None:
        super().__init__(inner)
        self._bomb = bomb

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        if self._bomb.is_reached("within", "write", self.path):
            data = b"".join(buffers)
            self._inner.write_at([data[: len(data) // 2]], position)
            os.kill(os.getpid(), signal.SIGKILL)
        self._inner.write_at(buffers, position)

    def truncate(self, size: int) -> None:
        self._bomb.check("before", "truncate", self.path)
        self._inner.truncate(size)
        self._bomb.check("after", "truncate", self.path)

    def sync(self) -> None:
        self._bomb.check("before", "sync", self.path)
        self._inner.sync()
        self._bomb.check("after", "sync", self.path)


class MortalFileSystem(DelegatingFileSystem):
    """Implements `FileSystem` over another one, and dies at a failpoint."""

    def __init__(self, inner: FileSystem, failpoint: Failpoint, hit: int) -> None:
        super().__init__(inner)
        self._bomb = _Bomb(failpoint, hit)

    def open(self, path: str, *, create: bool = False, read_only: bool = False) -> File:
        is_new = create and not self._inner.exists(path)
        file = self._inner.open(path, create=create, read_only=read_only)
        if is_new:
            self._bomb.check("after", "create", path)
        return _File(file, self._bomb)

    def make_directory(self, path: str) -> None:
        self._inner.make_directory(path)
        self._bomb.check("after", "make_directory", path)

    def rename(self, old: str, new: str) -> None:
        self._bomb.check("before", "rename", new)
        self._inner.rename(old, new)
        self._bomb.check("after", "rename", new)

    def remove(self, path: str) -> None:
        self._bomb.check("before", "remove", path)
        self._inner.remove(path)
        self._bomb.check("after", "remove", path)

    def remove_tree(self, path: str) -> None:
        self._bomb.check("before", "remove_tree", path)
        self._inner.remove_tree(path)

    def sync_directory(self, path: str) -> None:
        self._bomb.check("before", "sync_directory", path)
        self._inner.sync_directory(path)
        self._bomb.check("after", "sync_directory", path)

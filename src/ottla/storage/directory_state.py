"""What all logs of a data directory share: whether it may still be used.

One failed sync takes the whole directory offline until a restart: what the
disk holds is no longer known. The mark left behind tells the next start, if the
machine itself stays up, that the page cache and the disk may differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ottla.seams.filesystem import FileSystem
from ottla.storage.errors import FULL, AppendError, LogOfflineError
from ottla.wire.errors import ErrorCode

SYNC_FAILED_MARK: Final = "ottla.sync-failed"


class DirectoryState:
    """Shared by all logs of one directory. `reason` is None while all is well."""

    __slots__ = (
        "_filesystem",
        "_path",
        "has_moved_log_starts",
        "is_cache_doubtful",
        "reason",
        "tell",
    )

    def __init__(self, filesystem: FileSystem, path: str) -> None:
        self._filesystem = filesystem
        self._path = path
        self.reason: str | None = None
        #: A sync failed before this start: what the page cache holds may not be on the disk,
        #: and no sync will bring it there. Whatever is not known to be durable is rewritten.
        self.is_cache_doubtful = filesystem.exists(f"{path}/{SYNC_FAILED_MARK}")
        #: Tells the person who runs the broker what was found in a log opened only now, and
        #: that the disk is full.
        self.tell: Callable[[str], None] = lambda _sentence: None
        #: A log's start offset moved since it was last made durable.
        self.has_moved_log_starts = False

    def fail(self, what: str, error: OSError) -> None:
        """Take the directory offline for good; the first reason stays."""
        if self.reason is not None:
            return
        self.reason = f"{what}: {error}"
        try:
            # Needs no sync: it matters only as long as the page cache it warns of lives.
            self._filesystem.open(f"{self._path}/{SYNC_FAILED_MARK}", create=True).close()
        except OSError:
            # A disk that takes no file takes no restart either.
            pass

    def refused(self, what: str, error: OSError) -> AppendError:
        """A write that failed and changed nothing. That the disk is full is also told to the
        person who runs the broker: clients only hear that they should come again."""
        why = str(error)
        if error.errno in FULL:
            self.told_full()
            why = f"the disk of {self._path} is full"
        return AppendError(ErrorCode.KAFKA_STORAGE_ERROR, f"Cannot {what}: {why}")

    def told_full(self) -> None:
        """The person who runs the broker knows that the disk is full."""
        self.tell(
            f"the disk of {self._path} is full: new records are refused and nothing is lost; "
            "make room, and it goes on by itself"
        )

    def offline_error(self) -> LogOfflineError:
        return LogOfflineError(f"The log directory is offline: {self.reason}")

    def trust_cache_again(self) -> None:
        """Everything doubtful was written again and is durable."""
        if self.is_cache_doubtful:
            self._filesystem.remove(f"{self._path}/{SYNC_FAILED_MARK}")
            self.is_cache_doubtful = False

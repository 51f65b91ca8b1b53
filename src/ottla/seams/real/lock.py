"""The lock on a data directory, which Kafka's own brokers respect and which ours respects."""

from __future__ import annotations

import os
import sys


class RealDirectoryLock:
    """An open, locked file; closing it lets the lock go."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def try_lock(path: str) -> RealDirectoryLock | None:
    """Lock the file at `path`, creating it; None when another broker holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    try:
        _lock_descriptor(descriptor)
    except (BlockingIOError, PermissionError):
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return RealDirectoryLock(descriptor)


def _lock_descriptor(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        # flock refuses a second broker in this process, lockf is what the JVM's FileLock takes.
        # A lockf lock is lost when any descriptor of the file closes, so flock comes first.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

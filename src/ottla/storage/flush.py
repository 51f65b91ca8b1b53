"""Making things durable in a worker thread, on behalf of the loop that owns the log.

A ticket is cut by the owner on the loop, run in a worker, and handed back to
the owner on the loop. It holds only what no longer changes: files by path (and
those open, pinned), small files with their content, directories.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from ottla.seams.filesystem import FileSystem
from ottla.storage import safety
from ottla.storage.checkpoints import rename_replacement, write_replacement
from ottla.storage.errors import NoRoomError
from ottla.storage.open_files import Handle


class FlushOwner(Protocol):
    """What cut a ticket and takes it back."""

    def finish_flush(self, ticket: FlushTicket, error: OSError | None) -> None: ...


class Durable(NamedTuple):
    """What a ticket makes durable."""

    #: Path, and the open file when there is one.
    files: tuple[tuple[str, Handle | None], ...]
    #: Directories that hold new names.
    directories: tuple[str, ...] = ()
    #: Path and content of small files to be replaced; a function makes content in the worker.
    replacements: tuple[tuple[str, bytes | Callable[[], bytes]], ...] = ()


class FlushTicket:
    """Everything below `end_offset` is durable once `run` has returned."""

    __slots__ = (
        "_filesystem",
        "durable",
        "end_offset",
        "is_checkpoint",
        "missing",
        "owner",
        "segment",
        "size",
    )

    def __init__(
        self,
        owner: FlushOwner,
        filesystem: FileSystem,
        durable: Durable,
        end_offset: int,
        segment: int = 0,
        size: int = 0,
        *,
        is_checkpoint: bool = False,
    ) -> None:
        self.owner = owner
        self._filesystem = filesystem
        self.durable = durable
        self.end_offset = end_offset
        #: Base offset of the active segment, and its size, when the ticket was cut.
        self.segment = segment
        self.size = size
        #: Whether indexes and producers are covered, too.
        self.is_checkpoint = is_checkpoint
        #: Files that were gone when their turn came: the owner knows whether they may be.
        self.missing: list[str] = []

    def run(self) -> None:
        """Sync everything; called in a worker thread. Raises `OSError`: `NoRoomError` when
        only small files were left out, because the disk is full."""
        durable = self.durable
        for path, handle in durable.files:
            if handle is not None:
                safety.sync_appended_data(handle.file)
            else:
                self._sync_by_path(path)
        left_out: list[str] = []
        replaced = [
            self._replace(path, content, left_out) for path, content in durable.replacements
        ]
        for directory in durable.directories:
            self._sync_names(directory, safety.sync_new_names)
        for renamed_in in dict.fromkeys(replaced):
            if renamed_in is not None and renamed_in not in durable.directories:
                self._sync_names(renamed_in, safety.sync_replaced_name)
        if left_out:
            raise NoRoomError(*left_out)

    def leave_out(self, directory: str) -> None:
        """Whoever runs it syncs this directory himself, once for many tickets."""
        rest = tuple(name for name in self.durable.directories if name != directory)
        self.durable = self.durable._replace(directories=rest)

    def _replace(
        self, path: str, content: bytes | Callable[[], bytes], left_out: list[str]
    ) -> str | None:
        """The directory whose name leads to other content now."""
        directory = path.rpartition("/")[0]
        try:
            write_replacement(self._filesystem, path, content() if callable(content) else content)
            rename_replacement(self._filesystem, path)
        except FileNotFoundError:
            self.missing.append(path)
            return None
        except NoRoomError:
            left_out.append(path)
            return None
        return directory

    def _sync_names(self, directory: str, sync: Callable[[FileSystem, str], None]) -> None:
        try:
            sync(self._filesystem, directory)
        except FileNotFoundError:
            self.missing.append(directory)

    def _sync_by_path(self, path: str) -> None:
        try:
            file = self._filesystem.open(path)
        except FileNotFoundError:
            self.missing.append(path)
            return
        try:
            safety.sync_appended_data(file)
        finally:
            file.close()


def run_now(ticket: FlushTicket) -> None:
    """Run a ticket and give it back to its owner. Raises `OSError`."""
    try:
        ticket.run()
    except OSError as error:
        ticket.owner.finish_flush(ticket, error)
        raise
    ticket.owner.finish_flush(ticket, None)

"""What a log has written and no flush ticket has covered yet."""

from __future__ import annotations

from collections.abc import Callable

from ottla.storage.flush import Durable, FlushOwner, FlushTicket
from ottla.storage.open_files import OpenFiles


class Unflushed:
    """Collects on the loop, is cut into tickets; at most one ticket is out."""

    __slots__ = ("_files", "_new_names", "_replacements", "_ticket", "_written")

    def __init__(self, files: OpenFiles) -> None:
        self._files = files
        self._written: dict[str, None] = {}
        self._new_names: dict[str, None] = {}
        self._replacements: dict[str, bytes | Callable[[], bytes]] = {}
        self._ticket: FlushTicket | None = None

    @property
    def is_ticket_out(self) -> bool:
        return self._ticket is not None

    def note_written(self, *paths: str) -> None:
        """These files have content that is not durable."""
        for path in paths:
            self._written[path] = None

    def note_new_names(self, *directories: str) -> None:
        """These directories hold names that are not durable."""
        for directory in directories:
            self._new_names[directory] = None

    def replace(self, path: str, content: bytes) -> None:
        """Have a small file written, atomically, by the next ticket."""
        self._replacements[path] = content

    def forget(self, path: str) -> None:
        """The file is about to go."""
        self._written.pop(path, None)

    def cut(
        self, owner: FlushOwner, end_offset: int, segment: int, size: int, *, is_checkpoint: bool
    ) -> FlushTicket | None:
        """A ticket for everything noted, or None when there is nothing."""
        assert self._ticket is None
        if not (self._written or self._new_names or self._replacements):
            return None
        durable = Durable(
            tuple((path, self._files.pin(path)) for path in self._written),
            tuple(self._new_names),
            tuple(self._replacements.items()),
        )
        self._written, self._new_names, self._replacements = {}, {}, {}
        self._ticket = FlushTicket(
            owner,
            self._files.filesystem,
            durable,
            end_offset,
            segment,
            size,
            is_checkpoint=is_checkpoint,
        )
        return self._ticket

    def take_back(self, ticket: FlushTicket) -> bool:
        """The ticket has run. Whether it still counts."""
        for _, handle in ticket.durable.files:
            if handle is not None:
                self._files.unpin(handle)
        if ticket is not self._ticket:
            return False
        self._ticket = None
        return True

    def recall(self) -> None:
        """What the ticket that is out covers is taken for unflushed again: whatever a worker
        still does with it, the next ticket covers it, too."""
        if self._ticket is None:
            return
        durable, self._ticket = self._ticket.durable, None
        self.note_written(*(path for path, _ in durable.files))
        self.note_new_names(*durable.directories)
        self._replacements = dict(durable.replacements) | self._replacements

    def abandon(self) -> None:
        """The log is being deleted. A ticket that is out keeps its files open."""
        self._ticket = None
        self._written, self._new_names, self._replacements = {}, {}, {}

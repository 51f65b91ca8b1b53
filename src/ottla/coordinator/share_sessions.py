"""Share sessions: which partitions a share consumer reads, kept between requests.

A session belongs to a member of a group. Its requests carry an epoch: 0 opens
it (or opens it anew), -1 closes it, and in between it counts up, so that a lost
or repeated request is noticed (KIP-932).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ottla.wire.errors import ErrorCode

OPEN_EPOCH: Final = 0
CLOSE_EPOCH: Final = -1
LAST_EPOCH: Final = 2**31 - 1

#: A topic id and a partition.
Slot: TypeAlias = tuple[bytes, int]


@dataclass(slots=True)
class ShareSession:
    """An open session; `partitions` in the order in which they are served next."""

    group_id: str
    member_id: str
    connection_id: int
    epoch: int = OPEN_EPOCH
    partitions: dict[Slot, None] = field(default_factory=dict)

    def served(self, slot: Slot) -> None:
        """Put a partition that was just served behind the others."""
        if slot in self.partitions:
            del self.partitions[slot]
            self.partitions[slot] = None


class ShareSessions:
    """All sessions, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sessions: dict[tuple[str, str], ShareSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, group_id: str, member_id: str) -> ShareSession | None:
        return self._sessions.get((group_id, member_id))

    def use(
        self, group_id: str, member_id: str, epoch: int, connection_id: int, *, opens: bool
    ) -> tuple[ErrorCode, ShareSession | None]:
        """The session that a request belongs to, with its epoch counted up.

        `opens` says whether the request may open one (ShareFetch may). With the
        closing epoch the session is returned but not ended; call `close`.
        """
        key = (group_id, member_id)
        if epoch == OPEN_EPOCH:
            if not opens:
                return ErrorCode.INVALID_SHARE_SESSION_EPOCH, None
            if key not in self._sessions and len(self._sessions) >= self._limit:
                return ErrorCode.SHARE_SESSION_LIMIT_REACHED, None
            session = self._sessions[key] = ShareSession(group_id, member_id, connection_id, 1)
            return ErrorCode.NONE, session
        known = self._sessions.get(key)
        if known is None:
            return ErrorCode.SHARE_SESSION_NOT_FOUND, None
        if epoch == CLOSE_EPOCH:
            return ErrorCode.NONE, known
        if epoch != known.epoch:
            return ErrorCode.INVALID_SHARE_SESSION_EPOCH, None
        known.epoch = 1 if epoch == LAST_EPOCH else epoch + 1
        known.connection_id = connection_id
        return ErrorCode.NONE, known

    def close(self, session: ShareSession) -> None:
        self._sessions.pop((session.group_id, session.member_id), None)

    def of_connection(self, connection_id: int) -> list[ShareSession]:
        """The sessions that a lost connection leaves behind."""
        return [s for s in self._sessions.values() if s.connection_id == connection_id]

    def change(
        self, session: ShareSession, added: Iterable[Slot], forgotten: Iterable[Slot]
    ) -> None:
        for slot in added:
            session.partitions.setdefault(slot, None)
        for slot in forgotten:
            session.partitions.pop(slot, None)

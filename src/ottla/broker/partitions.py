"""A partition: its log, what of it is visible, and who waits for that to change.

Visible below the high watermark: under fsync durability everything flushed,
under page-cache durability everything written. Acknowledgements wait for the
high watermark to pass their records; fetches wait for it to move at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeAlias

from ottla.storage.partition_log import AppendInfo, PartitionLog
from ottla.wire.errors import ErrorCode

#: Called with NONE when the records are visible, or with why they never will be.
Acknowledge: TypeAlias = Callable[[ErrorCode], None]


class Watcher(Protocol):
    """A parked fetch."""

    def bytes_became_visible(self, partition: Partition, size: int) -> None:
        """`size` more bytes can be read from a partition watched."""

    def partition_failed(self) -> None:
        """A partition watched was deleted or went offline: look again at once."""


class ParkedFetch(Protocol):
    """A fetch that waits for something."""

    def look_again(self) -> None:
        """Something changed: answer, or go on waiting."""

    def abandon(self) -> None:
        """The client has left."""


class Partition:
    """One partition of one topic; all of its waiting operations are in here."""

    __slots__ = (
        "_acknowledgements",
        "_invisible",
        "high_watermark",
        "index",
        "is_flush_scheduled",
        "is_flushed_by_rounds",
        "is_flushing",
        "leader_epoch",
        "log",
        "offline_error",
        "topic_id",
        "topic_name",
        "watchers",
    )

    def __init__(
        self,
        topic_name: str,
        topic_id: bytes,
        index: int,
        log: PartitionLog,
        leader_epoch: int,
        *,
        is_flushed_by_rounds: bool,
    ) -> None:
        self.topic_name = topic_name
        self.topic_id = topic_id
        self.index = index
        self.log = log
        self.leader_epoch = leader_epoch
        #: True under fsync durability: visible is what flush rounds have covered.
        self.is_flushed_by_rounds = is_flushed_by_rounds
        # Recovery ends by making the kept tail durable, so all of it is visible.
        self.high_watermark: int = log.log_end_offset
        #: A ticket of its log is out.
        self.is_flushing = False
        #: Under page-cache durability: `flush.ms` is running.
        self.is_flush_scheduled = False
        #: NONE while the partition serves.
        self.offline_error = ErrorCode.NONE
        self.watchers: dict[Watcher, None] = {}
        self._acknowledgements: deque[tuple[int, Acknowledge]] = deque()
        #: Appended and not visible: (end offset, bytes), in order.
        self._invisible: deque[tuple[int, int]] = deque()

    def __repr__(self) -> str:
        return f"<Partition {self.topic_name}-{self.index} hw={self.high_watermark}>"

    @property
    def log_start_offset(self) -> int:
        return self.log.log_start_offset

    @property
    def last_stable_offset(self) -> int:
        """Below it no transaction is open: what read_committed may see."""
        return self.log.last_stable_offset(self.high_watermark)

    def visible_end_offset(self, isolation_level: int) -> int:
        """Exclusive end of what a reader of this isolation level may see."""
        return self.last_stable_offset if isolation_level else self.high_watermark

    def check_leader_epoch(self, current_leader_epoch: int) -> ErrorCode:
        """Whether a client's view of the leader is ours; -1 means it has none (KIP-320)."""
        if current_leader_epoch < 0 or current_leader_epoch == self.leader_epoch:
            return ErrorCode.NONE
        if current_leader_epoch < self.leader_epoch:
            return ErrorCode.FENCED_LEADER_EPOCH
        return ErrorCode.UNKNOWN_LEADER_EPOCH

    def end_offset_for_epoch(self, leader_epoch: int) -> tuple[int, int]:
        """The largest epoch known up to this one, and where it ended; (-1, -1) if unknown."""
        if leader_epoch == self.leader_epoch:
            return leader_epoch, self.log.log_end_offset
        if leader_epoch < 0 or leader_epoch > self.leader_epoch:
            return -1, -1
        return self.log.end_offset_for_epoch(leader_epoch)

    def appended(self, info: AppendInfo) -> None:
        """The log grew; visible at once under page-cache durability."""
        if self.is_flushed_by_rounds:
            self._invisible.append((info.last_offset + 1, info.size))
            return
        self.high_watermark = self.log.log_end_offset
        if self._acknowledgements:
            self._acknowledge_visible()
        for watcher in tuple(self.watchers):
            watcher.bytes_became_visible(self, info.size)

    def when_visible(self, end_offset: int, acknowledge: Acknowledge) -> None:
        """Call back once everything below `end_offset` is visible; now, if it is."""
        if end_offset <= self.high_watermark:
            acknowledge(ErrorCode.NONE)
        elif self.offline_error:
            acknowledge(self.offline_error)
        else:
            self._acknowledgements.append((end_offset, acknowledge))

    def advance(self, high_watermark: int) -> None:
        """Everything below `high_watermark` is visible now."""
        if high_watermark <= self.high_watermark:
            return
        self.high_watermark = high_watermark
        size = 0
        invisible = self._invisible
        while invisible and invisible[0][0] <= high_watermark:
            size += invisible.popleft()[1]
        self._acknowledge_visible()
        for watcher in tuple(self.watchers):
            watcher.bytes_became_visible(self, size)

    def _acknowledge_visible(self) -> None:
        waiting = self._acknowledgements
        while waiting and waiting[0][0] <= self.high_watermark:
            waiting.popleft()[1](ErrorCode.NONE)

    def fail(self, error: ErrorCode) -> None:
        """The partition is gone (deleted) or offline: tell everyone who waits."""
        self.offline_error = error
        waiting, self._acknowledgements = self._acknowledgements, deque()
        for _, acknowledge in waiting:
            acknowledge(error)
        for watcher in tuple(self.watchers):
            watcher.partition_failed()

"""Flush rounds: what is dirty becomes durable, and only then acknowledged and visible.

The driver takes a round of tickets, runs each in a thread and hands it back.
Partitions complete independently. The directory's own checkpoints (log start
offsets, recovery points) go with the rounds as a ticket of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.storage.errors import NoRoomError
from ottla.storage.log_config import MAX_LONG
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.partitions import Acknowledge, Partition
    from ottla.storage.flush import FlushTicket


class FlushRounds:
    """What is dirty, what is being flushed, and who waits for the directory."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._dirty: dict[Partition, None] = {}
        self._flushing: dict[FlushTicket, Partition] = {}
        #: Who waits for the checkpoints of the directory to be durable.
        self._checkpoint_waiters: list[Acknowledge] = []
        self._covered_waiters: list[Acknowledge] = []
        self._directory_ticket: FlushTicket | None = None
        self._wants_directory_flush = False

    def flush_soon(self, partition: Partition) -> None:
        """Have the next round make the partition's log durable."""
        if partition not in self._dirty:
            self._dirty[partition] = None
            self._broker.effects.flush_wanted()

    def appended(self, partition: Partition) -> None:
        """A partition has grown: flush it now, or as `flush.messages` and `flush.ms` say."""
        if partition.is_flushed_by_rounds:
            self.flush_soon(partition)
            return
        log, config = partition.log, partition.log.config
        if log.log_end_offset - log.flushed_end_offset >= config.flush_messages:
            self.flush_soon(partition)
        elif config.flush_ms < MAX_LONG and not partition.is_flush_scheduled:
            partition.is_flush_scheduled = True

            def flush(wall_ms: int, mono_ms: int) -> None:
                partition.is_flush_scheduled = False
                self.flush_soon(partition)

            broker = self._broker
            broker.deadlines.at(broker.mono_ms + config.flush_ms, flush)

    def forget(self, partition: Partition) -> None:
        """The partition is gone: nobody waits for its flush."""
        self._dirty.pop(partition, None)

    def take(self) -> list[FlushTicket]:
        """Tickets for everything dirty."""
        dirty, self._dirty = self._dirty, {}
        tickets = []
        for partition in dirty:
            if partition.offline_error:
                continue
            if partition.is_flushing:
                self._dirty[partition] = None
                continue
            ticket = partition.log.begin_flush()
            if ticket is None:
                partition.advance(partition.log.flushed_end_offset)
                continue
            partition.is_flushing = True
            self._flushing[ticket] = partition
            tickets.append(ticket)
        if self._wants_directory_flush:
            self._begin_directory_flush(tickets)
        if tickets:
            self._broker.metrics.flush_rounds += 1
        return tickets

    def finish(self, ticket: FlushTicket, error: OSError | None) -> None:
        """A ticket has run: acknowledge and show what it covers, or go offline."""
        if ticket is self._directory_ticket:
            self._finish_directory_flush(ticket, error)
            return
        broker = self._broker
        partition = self._flushing.pop(ticket)
        partition.is_flushing = False
        partition.log.finish_flush(ticket, error)
        if partition in self._dirty:
            broker.effects.flush_wanted()
        broker.metrics.flushes += 1
        is_failed = error is not None and not isinstance(error, NoRoomError)
        if is_failed and (partition.offline_error is not ErrorCode.UNKNOWN_TOPIC_OR_PARTITION):
            broker.metrics.flush_failures += 1
            broker.log_directory_failed()
        elif not partition.offline_error:
            partition.advance(partition.log.flushed_end_offset)
            broker.check_log_directory()

    def when_checkpointed(self, acknowledge: Acknowledge) -> None:
        """Call back once the log start offsets, as they are now, are durable."""
        self._checkpoint_waiters.append(acknowledge)
        self.flush_directory()

    def flush_directory(self) -> None:
        """Have the next round write the directory's checkpoints."""
        self._wants_directory_flush = True
        self._broker.effects.flush_wanted()

    def _begin_directory_flush(self, tickets: list[FlushTicket]) -> None:
        if self._directory_ticket is not None:
            return
        self._wants_directory_flush = False
        waiters, self._checkpoint_waiters = self._checkpoint_waiters, []
        ticket = self._broker.log_directory.begin_flush()
        if ticket is None:
            code = (
                ErrorCode.KAFKA_STORAGE_ERROR
                if self._broker.is_log_directory_offline
                else ErrorCode.NONE
            )
            for acknowledge in waiters:
                acknowledge(code)
            return
        self._directory_ticket = ticket
        self._covered_waiters = waiters
        tickets.append(ticket)

    def _finish_directory_flush(self, ticket: FlushTicket, error: OSError | None) -> None:
        self._directory_ticket = None
        self._broker.log_directory.finish_flush(ticket, error)
        if error is not None and not isinstance(error, NoRoomError):
            self._broker.metrics.flush_failures += 1
            self._broker.log_directory_failed()
        waiters, self._covered_waiters = self._covered_waiters, []
        for acknowledge in waiters:
            acknowledge(ErrorCode.NONE if error is None else ErrorCode.KAFKA_STORAGE_ERROR)
        if self._wants_directory_flush:
            self._broker.effects.flush_wanted()

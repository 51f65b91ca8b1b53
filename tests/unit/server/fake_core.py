"""A core that answers frames as their first byte tells, for tests of the driver alone.

e: answer with the same bytes. h: hold, and answer when `release_held` is called.
b: answer with as many bytes as the int32 after it says. x: bad input, close.
d: dirty the fake log, answer when it is flushed. !: a bug.
"""

from __future__ import annotations

from ottla.broker.budget import Budget
from ottla.broker.connection import Connection, ResponseSlot
from ottla.broker.effects import Effects
from ottla.broker.metrics import Metrics


class FakeTicket:
    def __init__(self, waiting: list[tuple[Connection, ResponseSlot]]) -> None:
        self.waiting = waiting
        self.runs = 0
        self.error: OSError | None = None

    def run(self) -> None:
        self.runs += 1
        if self.error is not None:
            raise self.error


class FakeCore:
    def __init__(self, effects: Effects, budget: Budget | None = None) -> None:
        self.effects = effects
        self.budget = budget or Budget()
        self.metrics = Metrics()
        self.connections: list[Connection] = []
        self.lost: list[Connection] = []
        self.held: list[tuple[Connection, ResponseSlot]] = []
        self.dirty: list[tuple[Connection, ResponseSlot]] = []
        self.frames: list[bytes] = []
        self.frame_sizes: list[int] = []
        self.rounds = 0
        self.disk_error: OSError | None = None
        self.flush_errors: list[OSError] = []
        self.deadline: int | None = None
        self.woken_at: list[int] = []

    def dispatch(
        self, connection: Connection, frame: bytearray | memoryview, wall_ms: int, mono_ms: int
    ) -> None:
        assert not connection.is_paused
        self.frame_sizes.append(len(frame))
        kind = bytes(frame[:1])
        if len(frame) < 1000:
            self.frames.append(bytes(frame))
        if kind == b"!":
            raise KeyError("bug")
        if kind == b"x":
            connection.close("bad")
            return
        slot = connection.take_slot()
        if kind == b"h":
            self.held.append((connection, slot))
        elif kind == b"b":
            size = int.from_bytes(frame[1:5], "big")
            connection.fill_slot(slot, (size.to_bytes(4, "big"), bytes(size)))
        elif kind == b"d":
            self.dirty.append((connection, slot))
            self.effects.flush_wanted()
        else:
            connection.fill_slot(slot, (len(frame).to_bytes(4, "big"), bytes(frame)))

    def release_held(self) -> None:
        held, self.held = self.held, []
        for connection, slot in held:
            connection.fill_slot(slot, (b"\0\0\0\1h",))

    def open_connection(
        self,
        listener: str,
        local: tuple[str, int],
        peer: tuple[str, int],
        certificate_principal: str | None = None,
        mono_ms: int | None = None,
    ) -> Connection:
        connection = Connection(
            len(self.connections), listener, local, peer, self.effects, self.budget
        )
        self.connections.append(connection)
        return connection

    def connection_lost(self, connection: Connection) -> None:
        connection.released()
        self.lost.append(connection)

    def unsent_changed(self, connection: Connection, unsent_bytes: int) -> None:
        if not connection.is_closed:
            connection.unsent_changed(unsent_bytes)

    def on_time(self, wall_ms: int, mono_ms: int) -> None:
        if self.deadline is not None and mono_ms >= self.deadline:
            self.deadline = None
            self.woken_at.append(mono_ms)

    def next_deadline_ms(self) -> int | None:
        return self.deadline

    def take_flush_round(self) -> list[FakeTicket]:
        dirty, self.dirty = self.dirty, []
        self.rounds += bool(dirty)
        tickets = [FakeTicket([one]) for one in dirty]
        for ticket in tickets:
            ticket.error = self.disk_error
        return tickets

    def finish_flush(
        self, ticket: FakeTicket, error: OSError | None, wall_ms: int, mono_ms: int
    ) -> None:
        assert ticket.runs == 1
        if error is not None:
            self.flush_errors.append(error)
            return
        for connection, slot in ticket.waiting:
            connection.fill_slot(slot, (b"\0\0\0\1d",))

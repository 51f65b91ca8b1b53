from __future__ import annotations

from tests.support.core import Sink

from ottla.broker.budget import Budget
from ottla.broker.connection import MAX_IN_PROGRESS, MAX_UNSENT_BYTES, Connection


def make() -> tuple[Connection, Sink]:
    sink = Sink()
    return Connection(1, "PLAINTEXT", ("::1", 9092), ("::1", 4), sink, Budget()), sink


def test_responses_leave_in_the_order_of_requests() -> None:
    connection, sink = make()
    first, second, third = (connection.take_slot() for _ in range(3))
    connection.fill_slot(second, [b"2"])
    connection.fill_slot(third, [])
    assert sink.sent == {}
    assert connection.held_bytes == connection.budget.unsent_bytes == 1
    connection.fill_slot(first, [b"1"])
    assert sink.sent[connection] == b"12"
    assert connection.held_bytes == connection.budget.unsent_bytes == 0


def test_pauses_with_too_many_in_progress_and_resumes() -> None:
    connection, sink = make()
    slots = [connection.take_slot() for _ in range(MAX_IN_PROGRESS)]
    assert connection.is_paused
    connection.fill_slot(slots[1], [b"x"])
    assert connection.is_paused
    connection.fill_slot(slots[0], [])
    assert not connection.is_paused
    assert sink.resumed == [connection]


def test_pauses_while_the_client_does_not_read() -> None:
    connection, sink = make()
    sink.is_stuck = True
    connection.fill_slot(connection.take_slot(), [bytes(MAX_UNSENT_BYTES)])
    assert connection.is_paused
    connection.unsent_changed(10)
    assert not connection.is_paused
    assert connection.budget.unsent_bytes == 10
    connection.released()
    assert connection.budget.unsent_bytes == 0


def test_a_barrier_holds_until_it_is_lifted() -> None:
    connection, _ = make()
    connection.mute()
    connection.fill_slot(connection.take_slot(), [b"x"])
    assert connection.is_paused
    connection.unmute()
    assert not connection.is_paused


def test_closes_once_and_sends_nothing_afterwards() -> None:
    connection, sink = make()
    slot = connection.take_slot()
    connection.close("why")
    connection.close("again")
    connection.fill_slot(slot, [b"x"])
    assert sink.closed == {connection: "why"}
    assert sink.sent == {}

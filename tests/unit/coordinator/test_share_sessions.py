"""Share sessions and their epochs."""

from __future__ import annotations

from ottla.coordinator.share_sessions import LAST_EPOCH, ShareSessions
from ottla.wire.errors import ErrorCode

A, B = (b"a" * 16, 0), (b"b" * 16, 1)


def test_a_session_is_opened_counted_and_closed() -> None:
    sessions = ShareSessions(10)
    error, session = sessions.use("g", "m", 0, 1, opens=True)
    assert error == ErrorCode.NONE
    assert session is not None
    sessions.change(session, [A, B], [])
    assert sessions.use("g", "m", 1, 1, opens=True) == (ErrorCode.NONE, session)
    assert sessions.use("g", "m", 1, 1, opens=True)[0] == ErrorCode.INVALID_SHARE_SESSION_EPOCH
    assert sessions.use("g", "m", 2, 1, opens=False) == (ErrorCode.NONE, session)
    session.served(A)
    sessions.change(session, [A], [B])
    assert list(session.partitions) == [A]
    assert sessions.use("g", "m", -1, 1, opens=True) == (ErrorCode.NONE, session)
    sessions.close(session)
    assert sessions.use("g", "m", -1, 1, opens=True)[0] == ErrorCode.SHARE_SESSION_NOT_FOUND
    assert sessions.use("g", "m", 3, 1, opens=True)[0] == ErrorCode.SHARE_SESSION_NOT_FOUND


def test_an_acknowledgement_opens_nothing() -> None:
    sessions = ShareSessions(10)
    assert sessions.use("g", "m", 0, 1, opens=False)[0] == ErrorCode.INVALID_SHARE_SESSION_EPOCH


def test_there_is_a_limit_but_not_for_opening_anew() -> None:
    sessions = ShareSessions(1)
    _, first = sessions.use("g", "m", 0, 1, opens=True)
    _, again = sessions.use("g", "m", 0, 2, opens=True)
    assert first is not again
    error, _ = sessions.use("g", "n", 0, 1, opens=True)
    assert error == ErrorCode.SHARE_SESSION_LIMIT_REACHED
    assert sessions.of_connection(2) == [again]
    assert sessions.find("g", "m") is again
    assert len(sessions) == 1


def test_the_epoch_wraps_to_one() -> None:
    sessions = ShareSessions(1)
    _, session = sessions.use("g", "m", 0, 1, opens=True)
    assert session is not None
    session.epoch = LAST_EPOCH
    sessions.use("g", "m", LAST_EPOCH, 1, opens=True)
    assert session.epoch == 1

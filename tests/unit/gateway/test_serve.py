"""Opening the doors."""

from __future__ import annotations

from tests.support.accepting import answers_leave_at_once

from ottla.gateway.serve import bind


async def test_an_answer_is_sent_at_once_and_waits_for_no_acknowledgement() -> None:
    assert await answers_leave_at_once(bind("REST Proxy", "127.0.0.1", 0, print))

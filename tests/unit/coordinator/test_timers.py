"""Deadlines by key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ottla.coordinator.timers import TimerKey, Timers

A, B = TimerKey("x", "a"), TimerKey("x", "b")


def test_due_keys_come_earliest_first_and_once() -> None:
    timers = Timers()
    timers.schedule(A, 20)
    timers.schedule(B, 10)
    assert timers.next_deadline_ms() == 10
    assert timers.pop_due(30) == [B, A]
    assert timers.pop_due(30) == []
    assert timers.next_deadline_ms() is None


def test_a_deadline_can_be_moved_both_ways_and_taken_back() -> None:
    timers = Timers()
    timers.schedule(A, 20)
    timers.schedule(A, 50)
    assert timers.pop_due(20) == []
    timers.schedule(A, 30)
    assert timers.next_deadline_ms() == 30
    timers.cancel(A)
    timers.cancel(A)
    assert timers.next_deadline_ms() is None
    timers.schedule(A, 40)
    assert timers.pop_due(40) == [A]


@given(
    st.lists(
        st.tuples(st.sampled_from(["set", "cancel", "pop"]), st.integers(0, 3), st.integers(0, 50))
    )
)
def test_timers_agree_with_a_dictionary(steps: list[tuple[str, int, int]]) -> None:
    timers, model = Timers(), dict[TimerKey, int]()
    now = 0
    for action, which, amount in steps:
        key = TimerKey("k", str(which))
        if action == "set":
            timers.schedule(key, now + amount)
            model[key] = now + amount
        elif action == "cancel":
            timers.cancel(key)
            model.pop(key, None)
        else:
            now += amount
            due = timers.pop_due(now)
            assert sorted(due) == sorted(k for k, deadline in model.items() if deadline <= now)
            assert [model[k] for k in due] == sorted(model[k] for k in due)
            for k in due:
                del model[k]
        assert timers.next_deadline_ms() == min(model.values(), default=None)
        assert len(timers) == len(model)

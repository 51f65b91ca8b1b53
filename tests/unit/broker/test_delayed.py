from __future__ import annotations

from ottla.broker.delayed import SWEEP_FROM, Deadlines


def test_runs_in_order_of_deadline_then_arrival() -> None:
    deadlines, ran = Deadlines(), []
    deadlines.at(20, lambda w, m: ran.append("late"))
    deadlines.at(10, lambda w, m: ran.append("first"))
    deadlines.at(10, lambda w, m: ran.append("second"))
    assert deadlines.next_deadline_ms() == 10
    deadlines.run_due(0, 9)
    assert ran == []
    deadlines.run_due(0, 20)
    assert ran == ["first", "second", "late"]
    assert deadlines.next_deadline_ms() is None


def test_cancelled_never_runs_even_by_a_timer_of_the_same_moment() -> None:
    deadlines, ran = Deadlines(), []
    deadlines.at(10, lambda w, m: second.cancel())
    second = deadlines.at(10, lambda w, m: ran.append("second"))
    deadlines.run_due(0, 10)
    assert ran == []
    assert len(deadlines) == 0


def test_many_cancelled_timers_are_swept_out() -> None:
    deadlines = Deadlines()
    kept = deadlines.at(5, lambda w, m: None)
    for _ in range(4 * SWEEP_FROM):
        deadlines.at(10, lambda w, m: None).cancel()
    assert len(deadlines) == 1
    assert len(deadlines._heap) <= SWEEP_FROM + 1
    kept.cancel()
    kept.cancel()
    assert deadlines.next_deadline_ms() is None


def test_what_a_timer_adds_waits_for_the_next_call() -> None:
    deadlines, ran = Deadlines(), []
    deadlines.at(1, lambda w, m: (deadlines.at(1, lambda w, m: ran.append("again")), None)[1])
    deadlines.run_due(0, 1)
    assert ran == []
    deadlines.run_due(0, 1)
    assert ran == ["again"]

"""Bounded counters stay within their bounds and within the errors they state."""

from __future__ import annotations

import uuid
from collections import Counter
from random import Random

import pytest

from ottla.dashboard.counting import Audience, PerSecond, TopCounter


def test_counts_are_exact_while_the_keys_are_few() -> None:
    counter = TopCounter(capacity=10)
    for number in range(20):
        counter.add(f"key {number}", number + 1)
    assert counter.error == 0
    assert counter.top(2) == [("key 19", 20), ("key 18", 19)]


def test_ties_come_in_the_order_of_their_keys() -> None:
    counter = TopCounter()
    for key in ("b", "a", "c"):
        counter.add(key)
    assert counter.top(3) == [("a", 1), ("b", 1), ("c", 1)]


@pytest.mark.parametrize("seed", range(5))
def test_with_many_keys_counts_are_low_by_the_stated_error_at_most(seed: int) -> None:
    random = Random(seed)
    counter, truth = TopCounter(capacity=50), Counter[str]()
    for _ in range(20_000):
        key = f"key {int(random.paretovariate(0.8))}"
        counter.add(key, 2)
        truth[key] += 2
    assert len(counter) <= 100
    assert 0 < counter.error <= truth.total() / 50
    found = dict(counter.top(100))
    for key, count in found.items():
        assert truth[key] - counter.error <= count <= truth[key]
    assert all(key in found for key, count in truth.items() if count > counter.error)


def test_long_keys_are_cut() -> None:
    counter = TopCounter()
    counter.add("x" * 10_000)
    counter.add("x" * 5_000)
    ((key, count),) = counter.top(1)
    assert len(key) < 200
    assert count == 2


def test_users_sessions_and_shares_are_exact_within_the_capacity() -> None:
    audience = Audience()
    for user, session in [("u1", "s1"), ("u1", "s1"), ("u1", "s2"), ("u2", "s3"), ("", "s4")]:
        audience.see(user, session, "Norway" if user == "u1" else "Chad")
    assert (audience.users, audience.sessions) == (2, 4)
    assert audience.recurring_share == pytest.approx(1 / 4)
    assert audience.anonymous_share == pytest.approx(1 / 4)
    assert audience.top_countries(5) == [("Chad", 1), ("Norway", 1)]
    assert audience.is_exact


def test_beyond_the_capacity_a_sample_estimates_within_a_few_per_cent() -> None:
    random = Random(3)
    audience = Audience(capacity=4_096)
    users: list[str] = []
    sessions = anonymous = recurring = 0
    for _ in range(40_000):
        choice = random.random()
        if choice < 0.1:
            user, anonymous = "", anonymous + 1
        elif choice < 0.5 and users:
            user, recurring = random.choice(users), recurring + 1
        else:
            user = str(uuid.UUID(int=random.getrandbits(128)))
            users.append(user)
        sessions += 1
        audience.see(user, f"session {sessions}", f"country {len(user) and int(user[0], 16) % 2}")
    assert not audience.is_exact
    # The sample holds at least 2,048 sessions: six standard errors are 13 % and 7 points.
    assert audience.users == pytest.approx(len(users), rel=0.13)
    assert audience.sessions == pytest.approx(sessions, rel=0.13)
    assert audience.anonymous_share == pytest.approx(anonymous / sessions, abs=0.07)
    assert audience.recurring_share == pytest.approx(recurring / sessions, abs=0.07)
    assert sum(count for _, count in audience.top_countries(5)) == audience.users


def test_no_audience_has_no_shares() -> None:
    assert Audience().recurring_share == 0
    assert Audience().anonymous_share == 0


def test_seconds_are_counted_within_the_window() -> None:
    rates = PerSecond(seconds=10)
    for second in (100, 101, 101, 103):
        rates.add(second, 5)
    assert rates.series(103, 4) == [5, 10, 0, 5]
    rates.add(90, 1)
    assert rates.series(95, 10) == [0] * 10


def test_the_window_of_seconds_stays_bounded() -> None:
    rates = PerSecond(seconds=10)
    for second in range(10_000):
        rates.add(second, 1)
    assert rates.series(9_999, 10) == [1] * 10
    assert rates.series(9_950, 10) == [0] * 10

from __future__ import annotations

from ottla.broker.budget import FLOOR_BYTES, Budget

MEGABYTE = 1024 * 1024


def test_greedy_readers_never_pass_the_limit() -> None:
    budget = Budget(64 * MEGABYTE)
    granted = 0
    for _ in range(200):
        granted = budget.response_allowance(0)
        budget.change_unsent(granted)
    assert granted == FLOOR_BYTES
    assert budget.unsent_bytes < 64 * MEGABYTE + 200 * FLOOR_BYTES
    assert budget.is_exhausted()


def test_a_reader_with_nothing_unsent_always_gets_the_floor() -> None:
    budget = Budget(MEGABYTE)
    budget.change_unsent(2 * MEGABYTE)
    assert budget.response_allowance(0) == FLOOR_BYTES
    assert budget.response_allowance(1) == 0
    budget.change_unsent(-2 * MEGABYTE)
    assert budget.response_allowance(1) > FLOOR_BYTES


def test_requests_count_and_one_is_always_admitted() -> None:
    budget = Budget(MEGABYTE)
    assert budget.admit_request(5 * MEGABYTE)
    assert not budget.admit_request(1)
    budget.release_request(5 * MEGABYTE)
    assert budget.admit_request(1)
    assert budget.remaining_bytes == MEGABYTE - 1


def test_requests_may_have_a_smaller_limit_of_their_own() -> None:
    budget = Budget(10 * MEGABYTE, MEGABYTE)
    assert budget.admit_request(MEGABYTE - 5)
    assert not budget.admit_request(6)
    assert budget.admit_request(5)
    assert Budget(MEGABYTE, 2 * MEGABYTE).request_limit_bytes == MEGABYTE

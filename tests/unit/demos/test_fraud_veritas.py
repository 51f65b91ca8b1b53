"""Veritas answers by chance, and whoever asks it copes when it does not answer."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator

import pytest

from ottla.demos.fraud.accounts import BankAccount
from ottla.demos.fraud.veritas import (
    ChanceVeritas,
    CircuitBreaker,
    HttpVeritas,
    VeritasDownError,
    decide,
)
from ottla.demos.fraud.veritas_service import Character, VeritasServer, serve

ACCOUNT = BankAccount("Ada", "Lovelace", "4111111111111111", 12.5)


@contextlib.contextmanager
def service(character: Character) -> Iterator[str]:
    addresses: queue.Queue[str] = queue.Queue()
    server = VeritasServer(character, "127.0.0.1", 0, addresses.put)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield addresses.get(timeout=90)
    finally:
        server.should_exit = True
        thread.join()


def test_one_seed_always_decides_the_same_about_a_card() -> None:
    assert [decide(str(n), 3, 0.5) for n in range(50)] == [
        decide(str(n), 3, 0.5) for n in range(50)
    ]
    assert [decide(str(n), 3, 0.5) for n in range(50)] != [
        decide(str(n), 4, 0.5) for n in range(50)
    ]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_authorized_accounts_can_be_chosen(share: float) -> None:
    veritas = ChanceVeritas(seed=1, authorized=share)
    count = sum(
        veritas.is_authorized(ACCOUNT._replace(card_number=str(number))) for number in range(2_000)
    )
    assert count / 2_000 == pytest.approx(share, abs=0.05)


def test_the_service_answers_as_its_seed_decides() -> None:
    with service(Character(seed=7, latency_s=0)) as url:
        with contextlib.closing(HttpVeritas(url)) as veritas:
            for number in range(30):
                account = ACCOUNT._replace(card_number=str(number))
                assert veritas.is_authorized(account) == decide(str(number), 7, 0.5)


def test_failures_are_retried_with_growing_pauses() -> None:
    pauses: list[float] = []
    with service(Character(seed=7, latency_s=0, failure_rate=1.0)) as url:
        veritas = HttpVeritas(url, tries=4, pause_s=0.1, wait=pauses.append)
        with pytest.raises(VeritasDownError, match="status 503"):
            veritas.is_authorized(ACCOUNT)
    assert pauses == [0.1, 0.2, 0.4]


def test_an_unreliable_service_is_asked_until_it_answers() -> None:
    with service(Character(seed=7, latency_s=0, failure_rate=0.5)) as url:
        patient = HttpVeritas(url, tries=30, wait=lambda _: None, breaker=CircuitBreaker(1_000))
        with contextlib.closing(patient) as veritas:
            for number in range(20):
                account = ACCOUNT._replace(card_number=str(number))
                assert veritas.is_authorized(account) == decide(str(number), 7, 0.5)


def test_a_slow_service_runs_into_the_time_out() -> None:
    with service(Character(seed=7, latency_s=1.0)) as url:
        veritas = HttpVeritas(url, tries=1, timeout_s=0.05)
        with pytest.raises(VeritasDownError, match="no answer in time"):
            veritas.is_authorized(ACCOUNT)


def test_nobody_there_is_told_and_the_breaker_spares_the_next_tries() -> None:
    veritas = HttpVeritas("127.0.0.1:1", tries=10, wait=lambda _: None, breaker=CircuitBreaker(3))
    with pytest.raises(VeritasDownError, match="connection refused"):
        veritas.is_authorized(ACCOUNT)
    with pytest.raises(VeritasDownError, match="circuit breaker is open") as caught:
        veritas.is_authorized(ACCOUNT)
    assert caught.value.retry_after_s > 1


def test_the_breaker_lets_one_try_pass_after_its_pause() -> None:
    breaker = CircuitBreaker(failures=2, pause_s=5)
    breaker.note_failure(100.0)
    assert breaker.wait_s(100.0) == 0
    breaker.note_failure(101.0)
    assert breaker.is_open
    assert breaker.wait_s(102.0) == pytest.approx(4.0)
    assert breaker.wait_s(106.0) == 0
    breaker.note_failure(106.0)  # the try failed, too
    assert breaker.wait_s(107.0) == pytest.approx(4.0)
    breaker.note_success()
    assert not breaker.is_open


@pytest.mark.parametrize("url", ["ftp://veritas", "http://", "://"])
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not an http address"):
        HttpVeritas(url)


def test_a_taken_port_is_told() -> None:
    with service(Character(seed=7)) as url:
        port = int(url.rpartition(":")[2])
        assert not serve(Character(seed=7), "127.0.0.1", port, lambda _: None)

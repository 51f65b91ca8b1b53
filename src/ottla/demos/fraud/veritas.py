"""Asking Veritas, the (fake) service that knows whether an account is to be trusted.

`ChanceVeritas` answers in the process. `HttpVeritas` asks a service, with a time-out,
retries with growing pauses, and a circuit breaker that spares a service in trouble.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Protocol
from urllib.parse import urlsplit

from ottla.demos.fraud.accounts import BankAccount


class VeritasDownError(Exception):
    """Veritas gave no answer; whoever asks may ask again after `retry_after_s`."""

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Veritas(Protocol):
    def is_authorized(self, account: BankAccount) -> bool:
        """Errors: VeritasDownError."""
        ...

    def close(self) -> None:
        """Nobody asks any more."""
        ...


def decide(card_number: str, seed: int, authorized: float) -> bool:
    """Chance decides, but for one seed always the same about one card: retries are safe."""
    digest = blake2b(f"{seed}:{card_number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 < authorized


class ChanceVeritas:
    """Answers at once, without a network."""

    def __init__(self, seed: int, authorized: float = 0.5) -> None:
        self._seed = seed
        self._authorized = authorized

    def is_authorized(self, account: BankAccount) -> bool:
        return decide(account.card_number, self._seed, self._authorized)

    def close(self) -> None:
        pass


class CircuitBreaker:
    """Opens after so many failures in a row; then lets one try pass after each pause."""

    def __init__(self, failures: int = 5, pause_s: float = 2.0) -> None:
        self._limit = failures
        self._pause_s = pause_s
        self._failures = 0
        self._closed_again_s = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= self._limit

    def wait_s(self, mono_s: float) -> float:
        """How long nobody should ask; 0 lets the next try pass."""
        return max(0.0, self._closed_again_s - mono_s) if self.is_open else 0.0

    def note_success(self) -> None:
        self._failures = 0

    def note_failure(self, mono_s: float) -> None:
        self._failures += 1
        if self.is_open:
            self._closed_again_s = mono_s + self._pause_s


class HttpVeritas:
    """Asks `POST URL/verify`; keeps its connection open between questions."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 2.0,
        tries: int = 4,
        pause_s: float = 0.1,
        breaker: CircuitBreaker | None = None,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url} is not an http address")
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname, parts.port, timeout=timeout_s)
        self._path = f"{parts.path.rstrip('/')}/verify"
        self._tries = tries
        self._pause_s = pause_s
        self._wait = wait
        self.breaker = breaker or CircuitBreaker()

    def close(self) -> None:
        self._connection.close()

    def is_authorized(self, account: BankAccount) -> bool:
        """Errors: VeritasDownError, after all tries or while the breaker is open."""
        pause = self._pause_s
        reason = "the circuit breaker is open"
        for attempt in range(self._tries):
            if self.breaker.wait_s(time.monotonic()) > 0:
                break
            try:
                answer = self._ask(account)
                self.breaker.note_success()
                return answer
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                reason = _reason(error)
                self._connection.close()
                self.breaker.note_failure(time.monotonic())
            if attempt + 1 < self._tries:
                self._wait(pause)
                pause *= 2
        raise VeritasDownError(reason, max(pause, self.breaker.wait_s(time.monotonic())))

    def _ask(self, account: BankAccount) -> bool:
        body = json.dumps(account._asdict())
        self._connection.request("POST", self._path, body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        return bool(json.loads(text)["authorized"])


def _reason(error: Exception) -> str:
    """Why there was no answer, for a person."""
    match error:
        case TimeoutError():
            return "no answer in time"
        case OSError(strerror=str(text)):
            return text.lower()
        case KeyError():
            return "its answer holds no decision"
    return str(error) or type(error).__name__

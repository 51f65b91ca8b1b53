"""Counters whose memory is bounded, whatever the stream holds. Each states its error."""

from __future__ import annotations

import heapq
from collections import Counter

MAX_KEY_LENGTH = 120  # characters kept of a key: a counter's memory is keys times this


class TopCounter:
    """The largest of many weighted counts (Misra and Gries's algorithm, shrunk in batches).

    Exact until more than twice `capacity` different keys have come. From then on a count
    may be too low, by at most `error`, which is at most the sum of all weights divided by
    `capacity`; a key that has more than that is never missed.
    """

    def __init__(self, capacity: int = 1_000) -> None:
        self.capacity = capacity
        self.error = 0
        self._counts: dict[str, int] = {}
        self._limit = 2 * capacity

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, key: str, weight: int = 1) -> None:
        counts = self._counts
        if key in counts:
            counts[key] += weight
            return
        counts[key[:MAX_KEY_LENGTH]] = counts.get(key[:MAX_KEY_LENGTH], 0) + weight
        if len(counts) > self._limit:
            self._shrink()

    def top(self, count: int) -> list[tuple[str, int]]:
        """The `count` largest, largest first; ties in the order of their keys."""
        return heapq.nsmallest(count, self._counts.items(), key=lambda item: (-item[1], item[0]))

    def _shrink(self) -> None:
        """Take the same off each count, as much as leaves at most `capacity` of them."""
        loss = heapq.nlargest(self.capacity + 1, self._counts.values())[-1]
        self._counts = {key: n - loss for key, n in self._counts.items() if n > loss}
        self.error += loss


class Audience:
    """Distinct users and sessions, and shares among the sessions, from a bounded sample.

    Exact while at most `capacity` sessions have been seen. Beyond that only users whose
    hash ends in `level` zero bits are kept (all their sessions with them), and numbers are
    multiplied up: with the default capacity, at least 65,536 sessions remain in the sample,
    so distinct users have a standard error of 0.4 % and the shares one of 0.2 points.
    A session without a user id counts as anonymous, and as nobody's.
    """

    def __init__(self, capacity: int = 131_072) -> None:
        self.capacity = capacity
        self.level = 0
        self._mask = 0
        self._sessions: dict[int, int] = {}  # hash of the session -> hash of its owner
        self._users: dict[int, str] = {}  # hash of the user -> country
        self._countries: Counter[str] = Counter()
        self._anonymous = 0

    def see(self, user_id: str, session_id: str, country: str) -> None:
        owner = hash(user_id or session_id)
        if owner & self._mask:
            return
        session = hash(session_id)
        if session in self._sessions:
            return
        self._sessions[session] = owner
        if not user_id:
            self._anonymous += 1
        elif owner not in self._users:
            country = country[:MAX_KEY_LENGTH]
            self._users[owner] = country
            self._countries[country] += 1
        if len(self._sessions) > self.capacity:
            self._thin_out()

    @property
    def is_exact(self) -> bool:
        return self.level == 0

    @property
    def sessions(self) -> int:
        return len(self._sessions) << self.level

    @property
    def users(self) -> int:
        return len(self._users) << self.level

    @property
    def anonymous_share(self) -> float:
        return self._anonymous / max(1, len(self._sessions))

    @property
    def recurring_share(self) -> float:
        """Sessions of a user who had another one before, among all sessions."""
        of_users = len(self._sessions) - self._anonymous
        return (of_users - len(self._users)) / max(1, len(self._sessions))

    def top_countries(self, count: int) -> list[tuple[str, int]]:
        """Countries with most distinct users, and how many."""
        largest = heapq.nsmallest(
            count, self._countries.items(), key=lambda item: (-item[1], item[0])
        )
        return [(country, users << self.level) for country, users in largest]

    def _thin_out(self) -> None:
        while len(self._sessions) > self.capacity:
            self.level += 1
            self._mask = (1 << self.level) - 1
            mask = self._mask
            self._sessions = {s: o for s, o in self._sessions.items() if not o & mask}
        self._users = {user: c for user, c in self._users.items() if not user & mask}
        self._countries = Counter(self._users.values())
        self._anonymous = sum(o not in self._users for o in self._sessions.values())


class PerSecond:
    """Events in each of the last `seconds` seconds, by the timestamps of their records."""

    def __init__(self, seconds: int = 900) -> None:
        self._seconds = seconds
        self._counts: dict[int, int] = {}
        self.newest = 0

    def add(self, second: int, events: int) -> None:
        """Count events of a second since 1970; seconds too old for the window are left out."""
        if second > self.newest:
            self.newest = second
            if len(self._counts) > 2 * self._seconds:
                oldest = second - self._seconds
                self._counts = {s: n for s, n in self._counts.items() if s > oldest}
        elif second <= self.newest - self._seconds:
            return
        self._counts[second] = self._counts.get(second, 0) + events

    def series(self, last_second: int, seconds: int) -> list[int]:
        """Events of each of the `seconds` seconds that end with `last_second`."""
        first = last_second - seconds + 1
        return [self._counts.get(second, 0) for second in range(first, last_second + 1)]

"""The simulated shop: a dispatcher that keeps users online, and the users who make events.

Plain and deterministic: `advance` moves the shop to a time and hands over what its users
did until then, so the same seed gives the same events, byte for byte, at any pace. Times
are run seconds from the start; the simulated clock follows from them. A heap holds each
user's next batch, so 100,000 users need neither threads nor tasks.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable
from random import Random
from typing import NamedTuple, TypeVar

from ottla.demos.analytics.rules import Rules
from ottla.demos.analytics.traffic import TrafficPattern

DISPATCH_INTERVAL_S = 0.25
MAX_USERS_REMEMBERED = 200_000  # who may return; beyond it somebody is forgotten at random
MAX_PEAK = 100_000

_T = TypeVar("_T")
Emit = Callable[[str, list[str]], None]  # key, JSON documents of one batch


@dataclasses.dataclass(frozen=True)
class ShopSettings:
    """Numbers of a shop; those per minute and in seconds count run time, not simulated time."""

    peak_users: int = 300
    events_per_minute: float = 32.0  # of one user
    batch_max: int = 8  # a batch has 1 … batch_max events
    recurring: float = 0.40
    anonymous: float = 0.10
    session_s: float = 30.0  # average life of a session that the pattern does not end sooner
    hour_s: float = 5.0  # length of a simulated hour
    start_time_s: int = 1_767_254_400  # simulated clock at the start, UTC (2026-01-01 08:00)
    pattern: TrafficPattern = dataclasses.field(default_factory=TrafficPattern)

    def __post_init__(self) -> None:
        limits = (
            (1 <= self.peak_users <= MAX_PEAK, f"peak must lie between 1 and {MAX_PEAK}"),
            (0 < self.events_per_minute <= 60_000, "events per minute must be above 0"),
            (1 <= self.batch_max <= 10_000, "a batch has 1 to 10000 events"),
            (0 <= self.recurring <= 1 and 0 <= self.anonymous <= 1, "shares lie in 0 … 1"),
            (self.recurring + self.anonymous <= 1, "recurring and anonymous exceed 1 together"),
            (self.session_s > 0, "a session lasts longer than 0 s"),
            (self.hour_s > 0, "a simulated hour lasts longer than 0 s"),
        )
        for is_fine, message in limits:
            if not is_fine:
                raise ValueError(message)

    @property
    def average_events_per_minute(self) -> float:
        """Events a minute over a whole simulated day."""
        return self.peak_users * self.pattern.average * self.events_per_minute


PRESETS = {
    # The write-up's "5000 messages a minute": 300 users at the peak are its own number; its
    # other one, 50 events each, would make 7,800 a minute with this pattern.
    "5000": ShopSettings(),
    "50": ShopSettings(peak_users=10, events_per_minute=9.6, batch_max=4),
}


class _Person(NamedTuple):
    user_id: str  # empty: anonymous
    properties: str  # JSON members
    is_known: bool = False  # some event has named this user


class _Session:
    __slots__ = ("index", "is_known", "key", "members", "person")

    def __init__(self, person: _Person, session_id: str, index: int) -> None:
        self.person = person
        self.is_known = person.is_known
        self.index = index  # in the list of those online; -1 once killed
        # Ordered per user; whoever has no id is ordered per session.
        self.key = person.user_id or session_id
        properties = f"{person.properties}," if person.properties else ""
        self.members = (
            f'{{"userId":"{person.user_id}","sessionId":"{session_id}",{properties}"time":'
        )


class Shop:
    """All users and their next batches; owned by whoever calls `advance`."""

    def __init__(self, settings: ShopSettings, rules: Rules, random: Random) -> None:
        self.settings = settings
        self.spawned = 0
        self.killed = 0
        self.events = 0
        self.now_s = 0.0
        self._rules = rules
        self._random = random
        self._draw_event = rules.event_drawer()
        self._online: list[_Session] = []
        self._away: list[_Person] = []
        self._owed_recurring = 0
        self._sequence = 0
        self._due: list[tuple[float, int, _Session | None]] = [(0.0, 0, None)]
        mean_batch = (1 + settings.batch_max) / 2
        self._batch_rate = settings.events_per_minute / 60 / mean_batch  # of one user, a second

    @property
    def online(self) -> int:
        return len(self._online)

    @property
    def hour(self) -> float:
        """Simulated time of day, in hours."""
        return self.simulated_time_s % 86_400 / 3_600

    @property
    def simulated_time_s(self) -> int:
        """Simulated clock, seconds since 1970, UTC."""
        return self._simulated(self.now_s)

    @property
    def target(self) -> int:
        """Users whom the traffic pattern wants online now."""
        return round(self.settings.peak_users * self.settings.pattern.factor(self.hour))

    @property
    def next_due_s(self) -> float:
        return self._due[0][0]

    def advance(self, until_s: float, emit: Emit, max_batches: int | None = None) -> int:
        """Do all that is due up to `until_s`, at most `max_batches` of it; returns the batches."""
        due = self._due
        batches = 0
        while due[0][0] <= until_s and batches != max_batches:
            moment, _, session = due[0]
            self.now_s = moment
            if session is None:
                self._dispatch()
                self._replace_first(moment + DISPATCH_INTERVAL_S, None)
                continue
            if session.index < 0:
                heapq.heappop(due)
                continue
            prefix = f"{session.members}{self._simulated(moment)},"
            size = int(self._random.random() * self.settings.batch_max) + 1
            draw = self._draw_event
            session.is_known = True
            emit(session.key, [f"{prefix}{draw()}}}" for _ in range(size)])
            self.events += size
            batches += 1
            self._replace_first(moment + self._random.expovariate(self._batch_rate), session)
        if batches != max_batches:
            self.now_s = max(self.now_s, until_s)
        return batches

    def _simulated(self, moment_s: float) -> int:
        return self.settings.start_time_s + int(moment_s / self.settings.hour_s * 3_600)

    def _replace_first(self, moment_s: float, session: _Session | None) -> None:
        self._sequence += 1
        heapq.heapreplace(self._due, (moment_s, self._sequence, session))

    def _dispatch(self) -> None:
        """Kill some at random, as sessions end by themselves; then meet the pattern."""
        random = self._random
        expected = len(self._online) * DISPATCH_INTERVAL_S / self.settings.session_s
        leaving = int(expected) + (random.random() < expected % 1)
        target = self.target
        leaving = min(max(leaving, len(self._online) - target), len(self._online))
        for _ in range(leaving):
            self._kill(int(random.random() * len(self._online)))
        while len(self._online) < target:
            self._spawn()

    def _spawn(self) -> None:
        random = self._random
        session = _Session(self._choose_person(), _draw_uuid(random), len(self._online))
        self._online.append(session)
        # The very first user acts at once, so that a run shows an event within its first second.
        delay = random.expovariate(self._batch_rate) if self.spawned else 0.0
        self.spawned += 1
        self._sequence += 1
        heapq.heappush(self._due, (self.now_s + delay, self._sequence, session))

    def _choose_person(self) -> _Person:
        """Somebody new, earlier or anonymous, in the shares that the settings ask for.

        A session that ought to be recurring when nobody can return yet is owed: later
        sessions recur more often until the share is met.
        """
        settings = self.settings
        choice = self._random.random()
        if choice < settings.anonymous:
            return _Person("", self._rules.draw_user())
        new = 1 - settings.anonymous - settings.recurring
        wants_recurring = choice >= settings.anonymous + new
        if self._owed_recurring and self._away and not wants_recurring:
            wants_recurring = choice >= settings.anonymous + new / 2
            self._owed_recurring -= wants_recurring
        if wants_recurring:
            if self._away:
                return _take(self._away, int(self._random.random() * len(self._away)))
            self._owed_recurring += 1
        return _Person(_draw_uuid(self._random), self._rules.draw_user())

    def _kill(self, index: int) -> None:
        session = _take(self._online, index)
        if index < len(self._online):
            self._online[index].index = index
        session.index = -1
        self.killed += 1
        if session.person.user_id and session.is_known:  # whom no event names, none can know
            if len(self._away) >= MAX_USERS_REMEMBERED:
                _take(self._away, int(self._random.random() * len(self._away)))
            self._away.append(session.person._replace(is_known=True))


def _take(items: list[_T], index: int) -> _T:
    """Remove an item in constant time; the last one takes its place."""
    item = items[index]
    last = items.pop()
    if index < len(items):
        items[index] = last
    return item


def _draw_uuid(random: Random) -> str:
    """A random UUID (version 4)."""
    bits = random.getrandbits(128)
    bits = bits & ~(0xF << 76) & ~(0x3 << 62) | (0x4 << 76) | (0x2 << 62)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

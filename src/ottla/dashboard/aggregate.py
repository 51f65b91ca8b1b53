"""Everything the dashboard knows about the shop, from its events: plain and bounded.

Ten million events or one, the memory is that of the bounded counters. An event that is not
what the shop sends changes nothing but the count of malformed ones.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from ottla.dashboard.counting import Audience, PerSecond, TopCounter

MAX_MONEY = 1 << 53  # of one event; more is malformed
TRAFFIC_KEPT = 2_000
ROWS = 30  # of each list in a snapshot

Row = tuple[str, int]


class LastError(NamedTuple):
    time_s: int  # simulated
    name: str
    location: str


class Malformed(NamedTuple):
    partition: int
    offset: int
    reason: str


class TrafficSample(NamedTuple):
    time_s: int  # simulated
    online: int
    target: int


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The numbers at one moment; lists are largest first, `last_errors` newest first."""

    events: int
    malformed: int
    last_malformed: Malformed | None
    time_s: int  # newest simulated time
    kinds: list[Row]
    lists: dict[str, list[Row]]
    list_errors: dict[str, int]  # by how much a count of the list may be too low
    last_errors: list[LastError]
    countries: list[Row]
    users: int
    sessions: int
    is_audience_exact: bool
    recurring_share: float
    anonymous_share: float
    money: int
    per_second: list[int]
    last_second: int  # of per_second, since 1970
    traffic: list[TrafficSample]
    pattern: tuple[float, ...]
    peak: int

    @property
    def online(self) -> TrafficSample | None:
        return self.traffic[-1] if self.traffic else None


LISTS = {
    "pages": "Top pages",
    "elements": "Top elements clicked",
    "sold_products": "Top products by money",
    "sold_colors": "Top colours bought",
    "cart_products": "Top products in carts",
    "cart_colors": "Top colours in carts",
    "error_modules": "Errors by module",
}


class Aggregate:
    """Counts events as they come."""

    def __init__(self) -> None:
        self.events = 0
        self.malformed = 0
        self.money = 0
        self._last_malformed: Malformed | None = None
        self._kinds = TopCounter(100)
        self._lists = {name: TopCounter() for name in LISTS}
        self._last_errors: deque[LastError] = deque(maxlen=ROWS)
        self._audience = Audience()
        self._per_second = PerSecond()
        self._time_s = 0
        self._traffic: deque[TrafficSample] = deque(maxlen=TRAFFIC_KEPT)
        self._pattern: tuple[float, ...] = ()
        self._peak = 0
        self._handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            "pageView": self._on_page_view,
            "click": self._on_click,
            "addToCart": self._on_add_to_cart,
            "buy": self._on_buy,
            "error": self._on_error,
        }

    def add(self, value: bytes | None) -> str | None:
        """Count one event; returns why it is malformed, or None."""
        try:
            event = orjson.loads(value or b"")
            kind = event["event"]
            user_id = event["userId"]
            session_id = event["sessionId"]
            time_s = event["time"]
            if type(time_s) is not int:
                return "time is not a whole number"
            if type(user_id) is not str or type(session_id) is not str or type(kind) is not str:
                return "event, userId or sessionId is not a text"
            handler = self._handlers.get(kind)
            if handler is not None:
                handler(event)
            country = event.get("country", "")
            self._audience.see(user_id, session_id, country if type(country) is str else "")
        except orjson.JSONDecodeError as error:
            return f"not JSON: {error}"
        except KeyError as error:
            return f"without {error.args[0]}"
        except (TypeError, AttributeError):
            return "not an event"
        except ValueError as error:
            return str(error)
        self._kinds.add(kind)
        self.events += 1
        if time_s > self._time_s:
            self._time_s = time_s
        return None

    def count_second(self, second: int, events: int) -> None:
        """Note that so many records bear a timestamp within this second since 1970."""
        self._per_second.add(second, events)

    def note_malformed(self, partition: int, offset: int, reason: str) -> None:
        self.malformed += 1
        self._last_malformed = Malformed(partition, offset, reason)

    @property
    def newest_second(self) -> int:
        """The latest timestamp of a record, in seconds since 1970; 0 without any."""
        return self._per_second.newest

    def add_traffic(self, value: bytes | None) -> None:
        """Take a record of the dispatcher: users online and what the pattern asks for."""
        try:
            record = orjson.loads(value or b"")
            sample = TrafficSample(
                int(record["time"]), int(record["online"]), int(record["target"])
            )
            pattern = tuple(float(factor) for factor in record["pattern"])
            peak = int(record["peak"])
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            return  # the next second brings another
        self._traffic.append(sample)
        self._pattern, self._peak = pattern[:24], peak

    def snapshot(self, second: int, seconds: int) -> Snapshot:
        """The numbers now, with events of the `seconds` seconds before `second`."""
        audience = self._audience
        return Snapshot(
            events=self.events,
            malformed=self.malformed,
            last_malformed=self._last_malformed,
            time_s=self._time_s,
            kinds=self._kinds.top(10),
            lists={name: counter.top(ROWS) for name, counter in self._lists.items()},
            list_errors={name: counter.error for name, counter in self._lists.items()},
            last_errors=list(reversed(self._last_errors)),
            countries=audience.top_countries(ROWS),
            users=audience.users,
            sessions=audience.sessions,
            is_audience_exact=audience.is_exact,
            recurring_share=audience.recurring_share,
            anonymous_share=audience.anonymous_share,
            money=self.money,
            per_second=self._per_second.series(second, seconds),
            last_second=second,
            traffic=list(self._traffic),
            pattern=self._pattern,
            peak=self._peak,
        )

    def _on_page_view(self, event: dict[str, Any]) -> None:
        self._lists["pages"].add(_text(event["page"]))

    def _on_click(self, event: dict[str, Any]) -> None:
        self._lists["elements"].add(_text(event["element"]))

    def _on_add_to_cart(self, event: dict[str, Any]) -> None:
        name, color, _, amount = _goods(event)
        self._lists["cart_products"].add(name, amount)
        self._lists["cart_colors"].add(color, amount)

    def _on_buy(self, event: dict[str, Any]) -> None:
        name, color, price, amount = _goods(event)
        self.money += price * amount
        self._lists["sold_products"].add(name, price * amount)
        self._lists["sold_colors"].add(color, amount)

    def _on_error(self, event: dict[str, Any]) -> None:
        name, location = _text(event["name"]), _text(event["location"])
        self._lists["error_modules"].add(location.partition(":")[0])
        self._last_errors.append(LastError(event["time"], name[:120], location[:120]))


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError("a text was expected")
    return value


def _goods(event: dict[str, Any]) -> tuple[str, str, int, int]:
    """Name, color, price and amount. Errors: KeyError, ValueError."""
    price, amount = event["price"], event["amount"]
    if type(price) is not int or type(amount) is not int:
        raise ValueError("price and amount must be whole numbers")
    if price < 0 or amount < 0 or price * amount > MAX_MONEY:
        raise ValueError("price or amount out of range")
    return _text(event["name"]), _text(event["color"]), price, amount

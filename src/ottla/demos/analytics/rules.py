"""The rules file: which events there are and what is drawn for each of their properties.

`rules.toml` beside this module is the default and explains the format. Rules are compiled
once into tables of ready JSON text, so that drawing an event costs a few look-ups.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from importlib import resources
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

MAX_VALUES = 65_536  # of one draw: bounds the memory that a rules file can ask for
_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")

Value = str | int


class RulesError(ValueError):
    """The rules file cannot be used; the message says where and why."""


class _Draw(NamedTuple):
    """Values and, unless all are alike, their cumulated weights."""

    values: list[Value]
    cumulated: list[float] | None


class _Properties(NamedTuple):
    """JSON members: a %-format and, for each %s in it, the texts to choose from."""

    template: str
    tables: tuple[list[str], ...]


class Rules:
    """Draws users' properties and events, as JSON members without the braces around them."""

    def __init__(self, text: str, random: Random) -> None:
        """Compile the TOML `text`. The same text and seed draw the same events.

        Raises RulesError.
        """
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RulesError(f"not TOML: {error}") from error
        unknown = sorted(set(document) - {"draw", "event", "user"})
        if unknown:
            raise RulesError(f"unknown table [{unknown[0]}]; known are draw, event and user")
        self._random = random
        draws = {
            name: _read_draw(f"draw.{name}", table, random)
            for name, table in _tables(document, "draw")
        }
        tables = {name: _spread(draw) for name, draw in draws.items()}
        kinds: list[_Properties] = []
        weights: list[float] = []
        for name, table in _tables(document, "event"):
            place = f"event.{name}"
            weights.append(_number(place, table, "weight", 1))
            properties = {"event": name}
            properties.update((key, v) for key, v in table.items() if key != "weight")
            kinds.append(_compile(place, properties, tables))
        if not kinds:
            raise RulesError("there is no [event.…]")
        if sum(weights) <= 0:
            raise RulesError("no event has a weight above 0")
        self._user = _compile("user", document.get("user", {}), tables)
        self._kinds = _spread(_Draw(list(range(len(kinds))), list(accumulate(weights))), kinds)

    def draw_user(self) -> str:
        """JSON members of a new user, such as `"country":"Norway"`; may be empty."""
        template, tables = self._user
        return template % tuple([self._random.choice(table) for table in tables])

    def event_drawer(self) -> Callable[[], str]:
        """A function that draws JSON members of one event, the kind of event first."""
        random = self._random.random
        kinds, count = self._kinds, len(self._kinds)

        def draw() -> str:
            template, tables = kinds[int(random() * count)]
            event: str = template % tuple([t[int(random() * len(t))] for t in tables])
            return event

        return draw


def default_rules_text() -> str:
    return resources.files(__package__).joinpath("rules.toml").read_text(encoding="utf-8")


def _tables(document: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
    tables = document.get(key, {})
    if not isinstance(tables, dict) or any(not isinstance(t, dict) for t in tables.values()):
        raise RulesError(f"[{key}.…] must be tables")
    return list(tables.items())


def _number(place: str, table: dict[str, Any], key: str, default: float) -> float:
    number = table.get(key, default)
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < 1e9:
        raise RulesError(f"{place}: {key} must be a number from 0 up, not {number!r}")
    return number


def _read_draw(place: str, table: dict[str, Any], random: Random) -> _Draw:
    skew = _number(place, table, "skew", 0)
    keys = frozenset(table) - {"skew"}
    if keys == {"choose"}:
        values = table["choose"]
        is_list = isinstance(values, list) and 0 < len(values) <= MAX_VALUES
        if not is_list or any(isinstance(v, bool) or not isinstance(v, str | int) for v in values):
            raise RulesError(f"{place}: choose must list texts or whole numbers")
    elif keys == {"from", "to"}:
        first, last = table["from"], table["to"]
        if not isinstance(first, int) or not isinstance(last, int) or first > last:
            raise RulesError(f"{place}: from and to must be whole numbers, from not above to")
        if last - first >= MAX_VALUES:
            raise RulesError(f"{place}: from … to may span {MAX_VALUES} values at most")
        values = list(range(first, last + 1))
    elif keys in ({"fake"}, {"fake", "count"}):
        values = _fake_values(place, table["fake"], table.get("count", 50), random)
    else:
        raise RulesError(f"{place}: give either choose, or from and to, or fake and count")
    if skew == 0:
        return _Draw(values, None)
    return _Draw(values, list(accumulate(1 / rank**skew for rank in range(1, len(values) + 1))))


def _fake_values(place: str, path: object, count: object, random: Random) -> list[Value]:
    from mimesis import Generic

    if not isinstance(count, int) or not 1 <= count <= MAX_VALUES:
        raise RulesError(f"{place}: count must be a whole number from 1 to {MAX_VALUES}")
    names = path.split(".") if isinstance(path, str) else []
    if len(names) != 2 or any(name.startswith("_") for name in names):
        raise RulesError(f"{place}: fake must look like 'address.country', not {path!r}")
    provider = getattr(Generic(seed=random.getrandbits(64)), names[0], None)
    method = getattr(provider, names[1], None)
    if not callable(method):
        raise RulesError(f"{place}: mimesis has no {path}")
    found: dict[Value, None] = {}
    for _ in range(count * 20):  # many providers repeat themselves
        value = method()
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise RulesError(f"{place}: {path} makes neither texts nor whole numbers")
        found[value] = None
        if len(found) == count:
            break
    return list(found)


_TABLE_SIZE = 4096  # entries of a weighted table: weights are kept to 1 / 4096


def _spread(draw: _Draw, items: list[Any] | None = None) -> list[Any]:
    """A table in which each value stands as often as its weight asks, at least once.

    Choosing evenly from it draws by weight. Holds `items[value]`, or the value itself.
    """
    table: list[Any]
    if draw.cumulated is None:
        table = list(draw.values)
    else:
        table = []
        total = draw.cumulated[-1]
        size = max(_TABLE_SIZE, 4 * len(draw.values))
        previous = 0.0
        for value, end in zip(draw.values, draw.cumulated, strict=True):
            if end > previous:
                table += [value] * max(1, round(size * (end - previous) / total))
            previous = end
    return table if items is None else [items[index] for index in table]


def _compile(place: str, properties: dict[str, Any], draws: dict[str, list[Value]]) -> _Properties:
    members = []
    tables: list[list[str]] = []
    for key, rule in properties.items():
        if isinstance(rule, bool) or not isinstance(rule, str | int | float):
            raise RulesError(f"{place}: {key} must be a text or a number")
        name = _json(key).replace("%", "%%")
        if not isinstance(rule, str):
            members.append(f"{name}:{_json(rule)}")
            continue
        placeholders = _PLACEHOLDER.findall(rule)
        for placeholder in placeholders:
            if placeholder not in draws:
                raise RulesError(f"{place}: {key} names {{{placeholder}}}, which is not drawn")
        if len(placeholders) == 1 and rule == f"{{{placeholders[0]}}}":
            members.append(f"{name}:%s")
            tables.append([_json(value) for value in draws[placeholders[0]]])
            continue
        pieces = _PLACEHOLDER.split(rule)  # literal, name, literal, name, … literal
        text = "".join(
            "%s" if index % 2 else _json(piece)[1:-1].replace("%", "%%")
            for index, piece in enumerate(pieces)
        )
        members.append(f'{name}:"{text}"')
        for placeholder in placeholders:
            tables.append([_json(str(value))[1:-1] for value in draws[placeholder]])
    return _Properties(",".join(members), tuple(tables))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)

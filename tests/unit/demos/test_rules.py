"""Rules files are compiled into events, or refused with a sentence that says where."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

import pytest

from ottla.demos.analytics.rules import Rules, RulesError, default_rules_text


def events_of(text: str, count: int, seed: int = 1) -> list[dict[str, object]]:
    draw = Rules(text, Random(seed)).event_drawer()
    return [json.loads(f"{{{draw()}}}") for _ in range(count)]


def test_the_default_rules_make_the_five_events_of_the_write_up() -> None:
    properties = {
        "pageView": {"page": str},
        "click": {"element": str},
        "addToCart": {"name": str, "color": str, "price": int, "amount": int},
        "buy": {"name": str, "color": str, "price": int, "amount": int},
        "error": {"name": str, "location": str},
    }
    seen = set()
    for event in events_of(default_rules_text(), 2_000):
        kind = str(event.pop("event"))
        seen.add(kind)
        assert {name: type(value) for name, value in event.items()} == properties[kind]
        if kind == "error":
            module, function, line = str(event["location"]).split(":")
            assert module
            assert function
            assert line.isdigit()
    assert seen == set(properties)


def test_the_default_user_has_a_country_and_a_user_agent() -> None:
    user = json.loads(f"{{{Rules(default_rules_text(), Random(1)).draw_user()}}}")
    assert set(user) == {"country", "userAgent"}


def test_the_same_seed_draws_the_same() -> None:
    text = default_rules_text()
    assert events_of(text, 50, seed=7) == events_of(text, 50, seed=7)
    assert events_of(text, 50, seed=7) != events_of(text, 50, seed=8)


def test_weights_decide_how_often_an_event_comes() -> None:
    text = "[event.rare]\nweight = 1\n[event.often]\nweight = 3\n[event.never]\nweight = 0\n"
    kinds = Counter(event["event"] for event in events_of(text, 4_000))
    assert kinds["often"] / kinds["rare"] == pytest.approx(3, rel=0.15)
    assert "never" not in kinds


def test_skew_makes_the_first_values_popular() -> None:
    text = '[draw.x]\nchoose = ["a", "b"]\nskew = 1\n[event.e]\nx = "{x}"\n'
    values = Counter(event["x"] for event in events_of(text, 4_000))
    assert values["a"] / values["b"] == pytest.approx(2, rel=0.15)


def test_every_value_of_a_range_comes_and_none_beside_it() -> None:
    text = '[draw.n]\nfrom = -1\nto = 2\n[event.e]\nn = "{n}"\n'
    assert {event["n"] for event in events_of(text, 200)} == {-1, 0, 1, 2}


def test_texts_survive_quotes_percents_braces_and_other_alphabets() -> None:
    text = """
[draw.odd]
choose = ['a "quoted" 100 % {thing}\\', "žluťoučký\\n"]
[event."50 % \\"off\\""]
'the % of "it"' = "{odd}"
mixed = '%s "{odd}" 5 %'
number = 2.5
"""
    for event in events_of(text, 50):
        assert event["event"] == '50 % "off"'
        odd = str(event['the % of "it"'])
        assert odd in {'a "quoted" 100 % {thing}\\', "žluťoučký\n"}
        assert str(event["mixed"]).startswith('%s "')
        assert event["number"] == 2.5


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[event.e", "not TOML"),
        ("", r"no \[event"),
        ("[event.e]\nweight = 0", "no event has a weight"),
        ("[event.e]\nweight = -1", "event.e: weight"),
        ('[event.e]\nx = "{nobody}"', r"event.e: x names \{nobody\}"),
        ("[event.e]\nx = [1]", "event.e: x must be"),
        ("[evnet.e]", r"unknown table \[evnet\]"),
        ("[event.e]\n[draw.x]\nchoose = []", "draw.x: choose"),
        ("[event.e]\n[draw.x]\nchoose = [true]", "draw.x: choose"),
        ("[event.e]\n[draw.x]\nfrom = 2\nto = 1", "draw.x: from"),
        ("[event.e]\n[draw.x]\nfrom = 1\nto = 99999999", "draw.x: from"),
        ("[event.e]\n[draw.x]\npick = 1", "draw.x: give either"),
        ('[event.e]\n[draw.x]\nfake = "address"', "draw.x: fake"),
        ('[event.e]\n[draw.x]\nfake = "address.__init__"', "draw.x: fake"),
        ('[event.e]\n[draw.x]\nfake = "address.nothing"', "mimesis has no address.nothing"),
        ('[event.e]\n[draw.x]\nfake = "address.coordinates"', "neither texts nor"),
        ("event = 3", r"\[event"),
    ],
)
def test_rules_that_cannot_be_used_say_where_and_why(text: str, sentence: str) -> None:
    with pytest.raises(RulesError, match=sentence):
        Rules(text, Random(1))

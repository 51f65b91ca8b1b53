"""The shop's events become the write-up's lists; what is not an event changes none of them."""

from __future__ import annotations

import json

import pytest

from ottla.dashboard.aggregate import Aggregate, Snapshot
from ottla.dashboard.plain import text_of


def event(kind: str, user: str = "u1", session: str = "s1", **properties: object) -> bytes:
    head = {"event": kind, "userId": user, "sessionId": session, "time": 1_767_254_400}
    return json.dumps({**head, "country": "Norway", **properties}).encode()


def goods(kind: str, name: str, color: str, price: int, amount: int) -> bytes:
    return event(kind, name=name, color=color, price=price, amount=amount)


def aggregate_of(*events: bytes) -> Aggregate:
    aggregate = Aggregate()
    for value in events:
        assert aggregate.add(value) is None
    return aggregate


def snapshot_of(*events: bytes) -> Snapshot:
    return aggregate_of(*events).snapshot(0, 1)


def test_pages_and_elements_are_counted() -> None:
    snapshot = snapshot_of(
        event("pageView", page="/"), event("pageView", page="/"), event("click", element="menu")
    )
    assert snapshot.lists["pages"] == [("/", 2)]
    assert snapshot.lists["elements"] == [("menu", 1)]
    assert snapshot.kinds == [("pageView", 2), ("click", 1)]


def test_products_are_ranked_by_money_and_colours_by_amount() -> None:
    snapshot = snapshot_of(
        goods("buy", "rug", "red", 100, 1),
        goods("buy", "lamp", "white", 30, 4),
        goods("addToCart", "rug", "red", 100, 7),
    )
    assert snapshot.lists["sold_products"] == [("lamp", 120), ("rug", 100)]
    assert snapshot.lists["sold_colors"] == [("white", 4), ("red", 1)]
    assert snapshot.lists["cart_products"] == [("rug", 7)]
    assert snapshot.lists["cart_colors"] == [("red", 7)]
    assert snapshot.money == 220


def test_errors_are_counted_by_module_and_the_last_are_kept() -> None:
    errors = [event("error", name=f"E{n}", location=f"cart:add:{n}") for n in range(100)]
    snapshot = snapshot_of(*errors)
    assert snapshot.lists["error_modules"] == [("cart", 100)]
    assert snapshot.last_errors[0].name == "E99"
    assert len(snapshot.last_errors) == 30


def test_other_kinds_of_events_are_counted_as_such() -> None:
    snapshot = snapshot_of(event("newsletter", mood="fine"))
    assert snapshot.kinds == [("newsletter", 1)]
    assert snapshot.countries == [("Norway", 1)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "not JSON"),
        (b"", "not JSON"),
        (b'{"uuid":"x", "key":1,"msg":success", "event":"kafka test"}', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 5_000, "not JSON"),
        (b"3", "not an event"),
        (b"null", "not an event"),
        (b'["event"]', "not an event"),
        (b"{}", "without event"),
        (event("pageView"), "without page"),
        (event("pageView", page=3), "a text was expected"),
        (event("pageView", page=["/"]), "a text was expected"),
        (event("pageView", page="/", time="now"), "time is not"),
        (event("pageView", page="/", userId=None), "userId"),
        (event("pageView", page="/", event={}), "event"),
        (goods("buy", "rug", "red", 1, -1), "out of range"),
        (goods("buy", "rug", "red", 1 << 60, 1 << 3), "out of range"),
        (event("buy", name="rug", color="red", price=1.5, amount=1), "whole numbers"),
        (event("buy", name="rug", color="red", price=True, amount=1), "whole numbers"),
        (event("error", name="E", location=None), "a text was expected"),
    ],
)
def test_malformed_events_are_named_and_change_nothing(value: bytes | None, reason: str) -> None:
    aggregate = Aggregate()
    before = aggregate.snapshot(0, 1)
    found = aggregate.add(value)
    assert found is not None
    assert reason in found
    assert aggregate.snapshot(0, 1) == before


def test_the_dispatchers_records_give_users_online_and_the_pattern() -> None:
    aggregate = Aggregate()
    aggregate.add_traffic(
        b'{"time":1767254400,"online":90,"target":100,"peak":300,"pattern":[0.5,1]}'
    )
    for junk in (b"", b"3", b"{}", None, b'{"time":"x","online":1,"target":1,"peak":1}'):
        aggregate.add_traffic(junk)
    snapshot = aggregate.snapshot(0, 1)
    assert snapshot.online is not None
    assert (snapshot.online.online, snapshot.online.target) == (90, 100)
    assert (snapshot.pattern, snapshot.peak) == ((0.5, 1.0), 300)
    assert len(snapshot.traffic) == 1


def test_the_plain_text_holds_all_lists_and_the_malformed() -> None:
    aggregate = aggregate_of(
        event("error", name="Timeout", location="cart:add:7"),
        goods("buy", "rug", "red", 1_000, 2),
    )
    aggregate.note_malformed(2, 41, "not JSON")
    text = text_of(aggregate.snapshot(0, 1))
    for part in (
        "2 events, 1 malformed", "partition 2 offset 41: not JSON", "Top products by money",
        "2,000  rug", "Errors by module", "cart:add:7", "Users by country", "1  Norway",
    ):  # fmt: skip
        assert part in text


def test_absurd_times_are_shown_as_unknown() -> None:
    aggregate = aggregate_of(event("pageView", page="/", time=1 << 62))
    assert "shop time ?" in text_of(aggregate.snapshot(0, 1))

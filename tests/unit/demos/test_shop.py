"""The simulated shop follows its pattern, its shares and its seed, at any pace."""

from __future__ import annotations

import dataclasses
import json
import uuid
from random import Random

import pytest

from ottla.demos.analytics.rules import Rules, default_rules_text
from ottla.demos.analytics.shop import PRESETS, Shop, ShopSettings
from ottla.demos.analytics.traffic import TrafficPattern

DAY_S = 24 * 5.0  # a simulated day at the default speed


def make_shop(settings: ShopSettings, seed: int = 1) -> Shop:
    random = Random(seed)
    return Shop(settings, Rules(default_rules_text(), random), random)


def run(shop: Shop, until_s: float) -> list[str]:
    events: list[str] = []
    shop.advance(until_s, lambda _, batch: events.extend(batch))
    return events


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_default_preset_makes_4500_to_5500_messages_a_minute_over_a_day(seed: int) -> None:
    days = 3
    events = len(run(make_shop(PRESETS["5000"], seed), days * DAY_S))
    assert 4_500 <= events / (days * DAY_S / 60) <= 5_500


def test_the_small_preset_makes_about_50_messages_a_minute() -> None:
    days = 20
    events = len(run(make_shop(PRESETS["50"]), days * DAY_S))
    assert events / (days * DAY_S / 60) == pytest.approx(50, rel=0.1)


def test_the_first_event_comes_at_once_even_at_night_and_with_one_user() -> None:
    settings = dataclasses.replace(PRESETS["50"], start_time_s=3 * 3_600)
    assert run(make_shop(settings), 0.0)


def test_as_many_users_are_online_as_the_pattern_asks() -> None:
    shop = make_shop(PRESETS["5000"])
    for hour in range(24):
        run(shop, hour * 5.0)
        assert shop.target == pytest.approx(300 * shop.settings.pattern.factor(8 + hour), abs=1)
        assert abs(shop.online - shop.target) <= 0.05 * 300


def test_users_are_killed_though_the_pattern_is_flat() -> None:
    settings = dataclasses.replace(PRESETS["5000"], pattern=TrafficPattern([1.0] * 24))
    shop = make_shop(settings)
    run(shop, 60.0)
    assert shop.online == 300
    assert shop.killed == pytest.approx(300 * 60 / settings.session_s, rel=0.2)


def test_events_carry_the_users_properties() -> None:
    for text in run(make_shop(PRESETS["5000"]), 2.0):
        event = json.loads(text)
        assert uuid.UUID(event["sessionId"]).version == 4
        assert event["userId"] == "" or uuid.UUID(event["userId"]).version == 4
        assert type(event["time"]) is int
        assert event["country"]
        assert event["userAgent"]
        assert event["event"] in {"pageView", "click", "addToCart", "buy", "error"}


def test_the_shares_of_recurring_and_anonymous_users_are_those_asked_for() -> None:
    shop = make_shop(dataclasses.replace(PRESETS["5000"], session_s=5.0))
    sessions: dict[str, str] = {}
    for text in run(shop, 5 * DAY_S):
        event = json.loads(text)
        sessions[event["sessionId"]] = event["userId"]
    anonymous = sum(not user for user in sessions.values())
    users = {user for user in sessions.values() if user}
    recurring = len(sessions) - anonymous - len(users)
    assert anonymous / len(sessions) == pytest.approx(0.10, abs=0.02)
    assert recurring / len(sessions) == pytest.approx(0.40, abs=0.03)


def test_simulated_time_runs_720_times_as_fast_as_the_clock() -> None:
    shop = make_shop(PRESETS["5000"])
    times = [json.loads(text)["time"] for text in run(shop, 10.0)]
    assert times == sorted(times)
    assert times[0] == shop.settings.start_time_s
    assert shop.simulated_time_s == shop.settings.start_time_s + 7_200
    assert shop.hour == pytest.approx(10.0)


def test_the_same_seed_makes_the_same_events_whatever_the_steps() -> None:
    in_one_go = run(make_shop(PRESETS["5000"], 5), 3.0)
    shop, in_steps = make_shop(PRESETS["5000"], 5), []
    for step in range(301):
        in_steps += run(shop, step / 100)
    assert in_steps == in_one_go
    assert run(make_shop(PRESETS["5000"], 6), 3.0) != in_one_go


def test_a_limit_of_batches_ends_a_step_early_and_loses_nothing() -> None:
    whole = run(make_shop(PRESETS["5000"]), 1.0)
    shop, events = make_shop(PRESETS["5000"]), []
    while shop.advance(1.0, lambda _, batch: events.extend(batch), max_batches=3) == 3:
        pass
    assert events == whole


def test_a_hundred_thousand_users_need_no_task_each() -> None:
    settings = dataclasses.replace(PRESETS["5000"], peak_users=100_000)
    shop = make_shop(settings)
    events = run(shop, 0.5)
    assert shop.online > 50_000
    assert len(events) > 5_000


@pytest.mark.parametrize(
    "change",
    [
        {"peak_users": 0},
        {"peak_users": 100_001},
        {"batch_max": 0},
        {"recurring": 0.95},
        {"anonymous": -0.1},
        {"hour_s": 0.0},
        {"session_s": 0.0},
        {"events_per_minute": 0.0},
    ],
)
def test_settings_that_make_no_shop_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        ShopSettings(**change)  # type: ignore[arg-type]

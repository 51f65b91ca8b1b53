"""The dashboard on a terminal of several sizes, driven by keys.

Its reader talks to librdkafka's own mock cluster, which is empty; the tests feed the
aggregate themselves. Reading from a real broker is tested in tests/apps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from ottla.dashboard.app import Dashboard, HelpScreen
from ottla.dashboard.panels import ORDER, CatchUp, ListPanel, Tiles
from ottla.dashboard.reader import Reader

MOCK_CLUSTER = {"bootstrap.servers": "", "test.mock.num.brokers": "1"}


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader(MOCK_CLUSTER, "analytics")
    with reader.lock:
        feed(reader)
    yield reader
    reader.close()


def feed(reader: Reader) -> None:
    head = {"userId": "u", "sessionId": "s", "time": 1_767_254_400, "country": "Norway"}
    goods = {"color": "red", "price": 1_000, "amount": 2}
    for number in range(40):
        product = f"product {number:02d}"
        reader.aggregate.add(
            json.dumps({**head, **goods, "event": "buy", "name": product}).encode()
        )
    reader.aggregate.add(
        json.dumps(
            {**head, "event": "error", "name": "OutOfStock", "location": "cart:add:7"}
        ).encode()
    )
    traffic = {"time": 1_767_254_400, "online": 90, "target": 100, "peak": 300}
    reader.aggregate.add_traffic(json.dumps({**traffic, "pattern": [0.5] * 24}).encode())
    reader.aggregate.count_second(int(time.time()) - 2, 41)


def text_on(app: Dashboard) -> str:
    screen = app.screen
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in screen._compositor.render_strips()
    )


def visible_lists(app: Dashboard) -> list[str]:
    return [panel.list_name for panel in app.query(ListPanel) if not panel.has_class("hidden")]


async def test_a_small_terminal_shows_three_lists_and_a_large_one_all(reader: Reader) -> None:
    addresses = [("Metrics", "http://127.0.0.1:9308"), ("broker", "127.0.0.1:9092")]
    app = Dashboard(reader, ["try: kafka-topics --list"], addresses)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert visible_lists(app) == list(ORDER[:3])
        text = text_on(app)
        for part in ("product 00", "Events per second", "Users online", "try: kafka-topics --list"):
            assert part in text
        assert "broker 127.0.0.1:9092   Metrics http://127.0.0.1:9308" in text
        await pilot.resize_terminal(140, 45)
        await pilot.pause()
        assert visible_lists(app) == list(ORDER)
        text = text_on(app)
        assert "OutOfStock cart:add:7" in text
        assert "Norway" in text
        assert "80.0k" in text  # sold


async def test_a_narrow_terminal_shows_fewer_numbers_but_those_whole(reader: Reader) -> None:
    app = Dashboard(reader)
    async with app.run_test(size=(60, 30)) as pilot:
        await pilot.pause()
        tiles = app.query_one(Tiles)
        labels, values = str(tiles.render()).split("\n")
        assert "recurring" in labels.split()
        assert "malformed" not in labels.split()
        assert len(labels) <= 60
        assert len(values.split()) == 7


async def test_arrows_turn_pages_and_scroll_rows(reader: Reader) -> None:
    app = Dashboard(reader)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("right", "right", "right")
        await pilot.pause()
        assert visible_lists(app) == list(ORDER[3:6])
        await pilot.press("left", "left", "left", "left")
        await pilot.pause()
        assert visible_lists(app) == list(ORDER[6:])
        await pilot.press("right")
        await pilot.pause()
        assert "product 00" in text_on(app)
        await pilot.press("down", "down")
        await pilot.pause()
        assert "product 00" not in text_on(app)
        assert "product 02" in text_on(app)
        await pilot.press("up", "up")
        await pilot.pause()
        assert "product 00" in text_on(app)


async def test_a_list_can_be_enlarged_and_put_back(reader: Reader) -> None:
    app = Dashboard(reader)
    async with app.run_test(size=(140, 45)) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        assert visible_lists(app) == [ORDER[0]]
        assert "product 15" in text_on(app)
        await pilot.press("escape")
        await pilot.pause()
        assert visible_lists(app) == list(ORDER)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_q_and_ctrl_c_quit_and_close_the_reader(reader: Reader, key: str) -> None:
    app = Dashboard(reader)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(key)
        await pilot.pause()
    assert app.return_code == 0
    assert not app.is_running


async def test_help_opens_over_the_dashboard_and_closes(reader: Reader) -> None:
    app = Dashboard(reader, (), [("broker", "127.0.0.1:9092")])
    async with app.run_test(size=(80, 40)) as pilot:
        await pilot.press("?")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        assert "broker             127.0.0.1:9092" in text_on(app)
        assert "joins no group and commits nothing" in text_on(app)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, HelpScreen)


async def test_progress_shows_only_while_history_is_read(reader: Reader) -> None:
    with reader.lock:
        reader.progress.add_partition(0, 0, 1_000)
        reader.progress.move(0, 250)
    app = Dashboard(reader)
    async with app.run_test(size=(80, 24)) as pilot:
        app._show()
        await pilot.pause()
        assert app.query_one(CatchUp).has_class("active")
        assert "25%  250 of 1.00k" in text_on(app)


async def test_malformed_events_are_named_on_the_screen(reader: Reader) -> None:
    with reader.lock:
        reader.aggregate.note_malformed(2, 17, "not JSON [really]")
    app = Dashboard(reader)
    async with app.run_test(size=(80, 24)) as pilot:
        app._show()
        await pilot.pause()
        assert "1 malformed, the last in partition 2 at offset 17: not JSON [really]" in text_on(
            app
        )


@pytest.mark.parametrize("size", [(20, 8), (40, 15), (60, 20), (300, 100)])
async def test_odd_sizes_are_survived(reader: Reader, size: tuple[int, int]) -> None:
    app = Dashboard(reader)
    async with app.run_test(size=size) as pilot:
        app._show()
        await pilot.pause()
        assert visible_lists(app)

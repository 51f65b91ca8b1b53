"""What pages say when Kafka is not there, or goes away while somebody looks."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import running_console

from ottla.embedded import Broker

pytestmark = pytest.mark.browser


def test_a_wrong_address_is_said_on_every_page(page: Page, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    log = tmp_path / "log"
    with running_console(nobody, log) as console:
        sentence = f"Kafka at {nobody} does not answer: cannot connect"
        for path in ("/", "/topics", "/topics/orders", "/groups", "/demos", "/admin/acls"):
            page.goto(console + path)
            expect(page.get_by_text(sentence).first).to_be_visible()
            expect(page.get_by_text("There is no topic")).to_have_count(0)
        page.goto(f"{console}/topics/orders")
        expect(page.get_by_text("Whether there is a topic orders cannot be known")).to_be_visible()
    assert log.read_text().count("Kafka at") == 1, "said once in the terminal, not at each try"


def test_a_broker_that_stops_and_comes_back_under_an_open_page(page: Page, tmp_path: Path) -> None:
    data, name = tmp_path / "data", f"kept-{time.time_ns()}"
    with Broker(data_dir=data, topics={name: 1}) as broker:
        address = broker.bootstrap_servers
        port = int(address.rpartition(":")[2])
        with running_console(address, tmp_path / "log") as console:
            page.goto(f"{console}/topics/{name}")
            expect(page.get_by_text("0 records, newest")).to_be_visible()
            warning = page.get_by_role("alert").filter(has_text="does not answer")
            expect(warning).to_have_count(0)
            broker.stop()
            expect(warning).to_contain_text("Is a broker running there")
            page.get_by_role("button", name="Read", exact=True).click()
            expect(page.get_by_text("Is its broker running")).to_be_visible()
            with Broker(data_dir=data, port=port):
                expect(warning).to_have_count(0)
                page.get_by_role("button", name="Read", exact=True).click()
                expect(page.get_by_text("0 records, newest")).to_be_visible()

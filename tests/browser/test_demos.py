"""The demos, started, watched and stopped in a browser."""

from __future__ import annotations

import json
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=alert(3)>"


def test_the_shop_starts_shows_its_numbers_and_stops(page: Page, console: str) -> None:
    page.goto(f"{console}/demos")
    page.get_by_role("link", name="Watch it live").first.click()
    expect(page).to_have_url(f"{console}/demos/analytics")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("running for")).to_be_visible()
    expect(page.get_by_text("then live; nothing is committed")).to_be_visible()
    sold = page.locator(".card", has_text="Top pages")
    expect(sold.locator(".bars .row").first).to_be_visible()
    for title in ("Top colours in carts", "Errors by module", "Last errors", "Users by country"):
        expect(page.get_by_text(title)).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Start")).to_be_visible()


def test_fraud_decisions_stream_by(page: Page, console: str, bootstrap_servers: str) -> None:
    topic = f"accounts-{time.time_ns()}"
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    account = {"FirstName": HOSTILE, "LastName": "B", "CreditCardNumber": "4000123412341234"}
    value = json.dumps({**account, "Amount": 12.5})
    producer.produce(f"{topic}-unauthorized", value, headers={"source": f"{topic}[0]@7"})
    producer.produce(f"{topic}-malformed", b"\xff", headers={"source": HOSTILE})
    producer.flush(90)
    page.goto(f"{console}/demos/fraud?topic={topic}")
    row = page.locator("tr", has_text="UNAUTHORIZED")
    expect(row).to_contain_text("•••• 1234")
    expect(row).to_contain_text(HOSTILE)
    expect(page.locator("tr", has_text="MALFORMED")).to_contain_text("cannot be read")
    assert page.locator("img[src=x]").count() == 0
    producer.produce(f"{topic}-authorized", json.dumps({**account, "Amount": 1}))
    producer.flush(90)
    expect(page.locator("tr", has_text="AUTHORIZED").first).to_be_visible()


def test_what_was_done_is_in_the_audit_topic(
    page: Page, console: str, bootstrap_servers: str
) -> None:
    name = f"audited-{time.time_ns()}"
    page.goto(f"{console}/topics")
    page.get_by_role("button", name="Create a topic").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_role("button", name="Create", exact=True).click()
    expect(page).to_have_url(f"{console}/topics/{name}")
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": name})
    consumer.assign([TopicPartition("ottla-console-audit", 0, 0)])
    entries = []
    while not any(entry.get("topic") == name for entry in entries):
        entries += [json.loads(m.value()) for m in consumer.consume(100, 1.0) if not m.error()]
    (entry,) = [entry for entry in entries if entry.get("topic") == name]
    assert entry["action"] == "create topic"
    assert entry["user"] == "local"
    assert entry["outcome"] == "done"
    consumer.close()

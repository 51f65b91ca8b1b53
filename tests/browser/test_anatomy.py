"""A log and a rebalance, looked at in a browser."""

from __future__ import annotations

import os
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_a_rebalance_and_a_growing_log(page: Page, console: str) -> None:
    page.goto(f"{console}/anatomy")
    page.get_by_role("button", name="Start the playground").click()
    expect(page.get_by_text("A log that is compacted")).to_be_visible()
    page.get_by_role("button", name="Add a consumer").click()
    expect(page.locator("svg", has_text="reader-1")).to_contain_text("6 partitions")
    page.get_by_role("button", name="Add a consumer").click()
    expect(page.locator("svg", has_text="reader-2")).to_contain_text("3 partitions")
    expect(page.get_by_text("joined").first).to_be_visible()
    page.get_by_role("button", name="Remove one").click()
    expect(page.get_by_text("left").first).to_be_visible()
    page.get_by_role("button", name="Stop the playground").click()
    expect(page.get_by_role("button", name="Start the playground")).to_be_visible(timeout=40_000)


def test_a_topics_log_is_drawn(page: Page, console: str, bootstrap_servers: str) -> None:
    name = f"drawn-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 1)])[name].result(90)
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    for n in range(40):
        producer.produce(name, str(n))
    producer.flush(90)
    page.goto(f"{console}/topics/{name}?tab=anatomy")
    expect(page.get_by_text("high watermark 40")).to_be_visible()
    if not os.environ.get("OTTLA_TEST_BOOTSTRAP_SERVERS"):  # else its files may be elsewhere
        expect(page.get_by_text("no: it is written to")).to_be_visible()
    page.get_by_role("tab", name="Configuration").click()
    expect(page).to_have_url(f"{console}/topics/{name}?tab=configuration")


def test_all_partitions_of_a_young_topic_can_be_looked_at(
    page: Page, console: str, bootstrap_servers: str
) -> None:
    name = f"young-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 3)])[name].result(90)
    page.goto(f"{console}/topics/{name}?tab=anatomy&partition=1")
    picker = page.get_by_role("combobox", name="Partition to look at")
    expect(picker).to_be_visible()
    picker.click()
    expect(page.get_by_role("option")).to_have_count(3)
    page.get_by_role("option", name="partition 2").click()
    expect(page).to_have_url(f"{console}/topics/{name}?tab=anatomy&partition=2")

"""What a person does with a topic's contents, done in a browser."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from confluent_kafka.cimpl import NewTopic
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def table(bootstrap_servers: str) -> str:
    """Sixty records of three keys, one of them deleted at the end."""
    name = f"table-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    wanted = NewTopic(name, 2, config={"retention.ms": "7300000"})
    admin.create_topics([wanted])[name].result(90)
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    for n in range(60):
        value = json.dumps({"n": n, "text": "it's"})
        producer.produce(name, value, key=f"user-{n % 3}")
    producer.produce(name, None, key="user-2")
    producer.flush(90)
    return name


def test_latest_per_key(page: Page, console: str, table: str) -> None:
    page.goto(f"{console}/topics/{table}")
    page.get_by_role("button", name="Latest per key").click()
    expect(page.get_by_text("2 found; all of 61 records covered")).to_be_visible()
    expect(page.get_by_role("cell", name="user-0")).to_have_count(1)
    expect(page.get_by_role("cell", name='{"n": 57')).to_be_visible()


def test_a_young_topics_partitions_can_be_chosen(
    page: Page, console: str, bootstrap_servers: str
) -> None:
    name = f"young-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 2)])[name].result(90)
    page.goto(f"{console}/topics/{name}")
    page.locator('[aria-label="Partition"]').click()
    expect(page.get_by_role("option", name="partition 1")).to_be_visible()


def test_a_record_as_a_command(page: Page, console: str, table: str) -> None:
    page.goto(f"{console}/topics/{table}")
    page.get_by_role("cell", name='{"n": 59').click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("tab", name="curl").click()
    expect(dialog.get_by_text("curl -X POST")).to_be_visible()
    dialog.get_by_role("tab", name="kcat").click()
    expect(dialog.get_by_text(f"-t {table}")).to_be_visible()


def test_statistics_and_the_shape_of_json(page: Page, console: str, table: str) -> None:
    page.goto(f"{console}/topics/{table}?tab=statistics")
    expect(page.get_by_role("cell", name="0 … 59")).to_be_visible()
    page.get_by_role("button", name="Count").click()
    expect(page.get_by_text("all of the topic covered")).to_be_visible()
    expect(page.locator(".tile", has_text="Distinct keys")).to_contain_text("3")


def test_a_whole_topic_goes_out_and_into_its_clone(
    page: Page, console: str, table: str, tmp_path: Path, bootstrap_servers: str
) -> None:
    page.goto(f"{console}/topics/{table}")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_text("The whole topic as CSV").click()
    path = tmp_path / "topic.csv"
    download.value.save_as(path)
    assert len(path.read_text().splitlines()) == 62
    page.get_by_role("tab", name="Partitions").click()
    page.get_by_role("button", name="Clone").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Partitions")).to_have_value("2")
    expect(dialog.get_by_label("Configuration")).to_have_value("retention.ms=7300000")
    dialog.get_by_role("button", name="Create", exact=True).click()
    copy = f"{table}-copy"
    expect(page).to_have_url(f"{console}/topics/{copy}")
    page.get_by_role("button", name="Import").click()
    page.set_input_files("input[type=file]", path)
    expect(page.get_by_text("61 records imported")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_text("61 records, newest")).to_be_visible()
    resource = ConfigResource(ResourceType.TOPIC, copy)
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    config = admin.describe_configs([resource])[resource].result(90)
    assert config["retention.ms"].value == "7300000"


def test_a_key_says_what_it_means(page: Page, console: str, table: str) -> None:
    page.goto(f"{console}/topics/{table}?tab=configuration")
    page.get_by_label("Search settings").fill("retention.ms")
    page.get_by_role("button", name="Change retention.ms", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Now 7300000 (2 h 1 min), set by this topic")).to_be_visible()


def test_records_appear_live_and_a_big_one_breaks_nothing(
    page: Page, console: str, bootstrap_servers: str
) -> None:
    name = f"live-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 1)])[name].result(90)
    page.goto(f"{console}/topics/{name}")
    expect(page.get_by_text("0 records, newest")).to_be_visible()
    page.get_by_role("switch", name="live").click()
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    producer.produce(name, "x" * 900_000, key="big")
    producer.flush(90)
    page.get_by_role("cell", name="big", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Only the first 256 KiB are shown")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    producer.produce(name, "after it", key="small")
    producer.flush(90)
    expect(page.get_by_role("cell", name="after it")).to_be_visible()


def test_what_was_opened_and_closed_is_gone(page: Page, console: str, table: str) -> None:
    """A tab that stays open for days holds no more than it shows."""
    page.goto(f"{console}/topics/{table}")
    expect(page.get_by_text("61 records, newest")).to_be_visible()
    page.wait_for_load_state("networkidle")
    count = "Object.keys(mounted_app.elements).length"
    before = page.evaluate(count)
    openers = ("^Open the record", "^Produce$", "^Import$", "Settings", "Add a cluster")
    for opener in openers:
        page.get_by_role("button", name=re.compile(opener)).first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        dialog.get_by_role("button", name=re.compile("^(Close|Cancel)$")).click()
        expect(dialog).to_have_count(0)
    # The framework keeps one empty element of each.
    page.wait_for_function(f"{count} <= {before + len(openers)}")


def test_partitions_are_added_and_a_topic_is_emptied(
    page: Page, console: str, bootstrap_servers: str
) -> None:
    name = f"emptied-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 1)])[name].result(90)
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    producer.produce(name, "gone soon")
    producer.flush(90)
    page.goto(f"{console}/topics/{name}?tab=partitions")
    page.get_by_role("button", name="Add partitions").click()
    page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("Partitions added")).to_be_visible()
    page.get_by_role("button", name="Empty").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(f"Type {name} to confirm").fill(name)
    dialog.get_by_role("button", name="Delete all records").click()
    expect(page.get_by_text(f"{name} is empty")).to_be_visible()
    assert len(admin.list_topics(name, timeout=90).topics[name].partitions) == 2
    page.goto(f"{console}/topics/{name}")
    expect(page.get_by_text("0 records, newest")).to_be_visible()


def test_live_means_the_newest(page: Page, console: str, table: str) -> None:
    page.goto(f"{console}/topics/{table}")
    start = page.get_by_role("combobox", name="Where to start")
    live = page.get_by_role("switch", name="live")
    start.click()
    page.get_by_role("option", name="from the beginning").click()
    live.click()
    expect(start).to_have_value("newest")
    start.click()
    page.get_by_role("option", name="from an offset").click()
    expect(live).not_to_be_checked()
    page.get_by_label("offset", exact=True).fill("5")
    page.get_by_label("offset", exact=True).press("Enter")
    expect(page.get_by_text("records, from an offset")).to_be_visible()

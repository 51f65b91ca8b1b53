"""What a person does in the console, done in a browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}"


@pytest.fixture(scope="module")
def topic(bootstrap_servers: str) -> str:
    """A topic with two hundred records, some of them unpleasant."""
    name = f"orders-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, num_partitions=3)])[name].result(90)
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    for n in range(200):
        value = json.dumps({"n": n, "user": {"id": f"u{n % 7}"}})
        producer.produce(name, value, key=f"key-{n}", headers=[("trace", f"t{n}".encode())])
    producer.produce(name, HOSTILE, key=HOSTILE, headers=[("h", HOSTILE.encode())])
    producer.produce(name, bytes(range(256)), key=b"\xff\x00")
    producer.flush(90)
    return name


@pytest.fixture(scope="module")
def group(bootstrap_servers: str, topic: str) -> Iterator[str]:
    """A group with one member that has read everything and committed half."""
    name = f"{topic}-group"
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": name,
            "client.id": "reader-one",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    seen = 0
    while seen < 50:
        seen += len(consumer.consume(50, 1.0))
    consumer.commit(asynchronous=False)
    yield name
    consumer.close()


def test_overview_says_what_there_is(page: Page, console: str, topic: str) -> None:
    page.goto(console)
    expect(page.get_by_text("Records per second")).to_be_visible()
    expect(page.get_by_text("Busiest topics")).to_be_visible()
    expect(page.locator(".tile", has_text="Quorum")).to_contain_text("of")
    expect(page.locator(".tile", has_text="Disk used")).to_contain_text("B")
    # Without a metrics address it says why there are no latencies.
    expect(page.get_by_text("no metrics address was given").first).to_be_visible()


def test_find_a_topic_and_open_it(page: Page, console: str, topic: str) -> None:
    page.goto(f"{console}/topics")
    page.get_by_label("Search topics").fill(topic)
    row = page.get_by_role("cell", name=topic)
    row.click()
    expect(page).to_have_url(f"{console}/topics/{topic}")
    expect(page.get_by_text("100 records, newest")).to_be_visible()


def test_read_from_the_beginning_of_one_partition(page: Page, console: str, topic: str) -> None:
    page.goto(f"{console}/topics/{topic}")
    page.get_by_label("Where to start").click()
    page.get_by_role("option", name="from the beginning").click()
    page.locator('[aria-label="Partition"]').click()
    page.get_by_role("option", name="partition 1").click()
    page.get_by_role("button", name="Read").click()
    expect(page.get_by_text("from the beginning").nth(1)).to_be_visible()
    first = page.locator("tbody tr").first.locator("td")
    expect(first.nth(0)).to_have_text("1")
    expect(first.nth(1)).to_have_text("0")


def test_search_covers_all_and_says_so(page: Page, console: str, topic: str) -> None:
    page.goto(f"{console}/topics/{topic}")
    page.get_by_label("Search text").fill("key-42")
    page.get_by_label("Search in").click()
    page.get_by_role("option", name="key").click()
    page.get_by_role("button", name="Search all").click()
    expect(page.get_by_text("1 found; all of 202 records covered")).to_be_visible()
    expect(page.get_by_role("cell", name="key-42")).to_be_visible()


def test_search_by_json_path(page: Page, console: str, topic: str) -> None:
    page.goto(f"{console}/topics/{topic}")
    page.get_by_label("JSON path").fill("user.id")
    page.get_by_label("Search text").fill("u3")
    page.get_by_role("button", name="Search all").click()
    expect(page.get_by_text("29 found; all of 202 records covered")).to_be_visible()


def test_a_link_to_one_record_and_the_keyboard(page: Page, console: str, topic: str) -> None:
    page.goto(f"{console}/topics/{topic}?partition=1&offset=3")
    button = page.get_by_role("button", name="Open the record at offset 3", exact=True)
    button.press("Enter")
    expect(page.get_by_role("dialog").get_by_text("partition 1 · offset 3")).to_be_visible()
    link = page.get_by_role("dialog").get_by_role("link", name="Link to this record")
    assert (link.get_attribute("href") or "").endswith("?partition=1&offset=3")
    page.goto(f"{console}/topics")
    page.get_by_label("Search topics").fill(topic)
    page.get_by_role("link", name=topic, exact=True).press("Enter")
    expect(page).to_have_url(f"{console}/topics/{topic}")
    page.goto(f"{console}/topics/{topic}?search=key-42")
    expect(page.get_by_text("1 found; all of 202 records covered")).to_be_visible()


def test_a_refresh_takes_no_focus_from_a_link(
    page: Page, console: str, bootstrap_servers: str
) -> None:
    name = f"growing-{time.time_ns()}"
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 1)])[name].result(90)
    page.goto(f"{console}/topics")
    page.get_by_label("Search topics").fill(name)
    expect(page.get_by_text("1 topic", exact=True)).to_be_visible()
    link = page.get_by_role("link", name=name, exact=True)
    link.focus()
    producer.produce(name, b"one more")
    producer.flush(90)
    row = page.get_by_role("row").filter(has=link)
    expect(row.get_by_role("cell").nth(3)).to_have_text("1")
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{console}/topics/{name}")


def test_a_record_in_full_and_odd_bytes(page: Page, console: str, topic: str) -> None:
    page.goto(f"{console}/topics/{topic}")
    page.get_by_label("Search text").fill("key-7")
    page.get_by_role("button", name="Search all").click()
    page.get_by_role("cell", name="key-7", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text('"id": "u0"')).to_be_visible()
    expect(dialog.get_by_text("trace: t7")).to_be_visible()
    dialog.get_by_role("tab", name="hex").click()
    expect(dialog.get_by_text("00000000  7b 22 6e 22")).to_be_visible()


def test_hostile_content_is_shown_and_not_run(page: Page, console: str, topic: str) -> None:
    page.goto(f"{console}/topics/{topic}")
    page.get_by_label("Search text").fill("onerror")
    page.get_by_role("button", name="Search all").click()
    expect(page.get_by_text("1 found; all of 202 records covered")).to_be_visible()
    page.get_by_role("cell", name=HOSTILE).first.click()
    expect(page.get_by_role("dialog").get_by_text(HOSTILE).first).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


def test_export_keeps_every_byte(page: Page, console: str, topic: str, tmp_path: Path) -> None:
    page.goto(f"{console}/topics/{topic}")
    page.locator('[aria-label="How many"]').click()
    page.get_by_role("option", name="500").click()
    page.get_by_role("button", name="Read").click()
    expect(page.get_by_text("202 records, newest")).to_be_visible()
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_text("These records as JSON lines").click()
    path = tmp_path / "export.jsonl"
    download.value.save_as(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 202
    assert any("value_base64" in line for line in lines)


def test_group_shows_members_and_lag(page: Page, console: str, topic: str, group: str) -> None:
    page.goto(f"{console}/groups/{group}")
    expect(page.locator("svg", has_text="reader-one")).to_be_visible(timeout=30_000)
    expect(page.get_by_text(f"{topic}-0", exact=True)).to_be_visible()
    page.goto(f"{console}/groups")
    page.get_by_label("Search groups").fill(group)
    expect(page.get_by_role("cell", name=group)).to_be_visible(timeout=30_000)


def test_configuration_of_a_topic(page: Page, console: str, topic: str) -> None:
    page.goto(f"{console}/topics/{topic}")
    page.get_by_role("tab", name="Configuration").click()
    expect(page.get_by_role("button", name="Change retention.ms", exact=True)).to_be_visible()


def test_a_zookeeper_address_gets_a_sentence(page: Page, console: str) -> None:
    page.goto(console)
    page.get_by_label("Add a cluster").click()
    page.get_by_label("Name").fill("old")
    page.get_by_label("Bootstrap servers").fill("zoo1:2181,zoo2:2181,zoo3:2181")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("That is a ZooKeeper address")).to_be_visible()


def test_a_cluster_with_settings_of_its_own_is_added(
    page: Page, console: str, bootstrap_servers: str
) -> None:
    name = f"other-{time.time_ns()}"
    page.goto(console)
    page.get_by_label("Add a cluster").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Bootstrap servers").fill(bootstrap_servers)
    page.get_by_label("Client properties").fill("sasl.mechanism=NONE-SUCH\nno.such.setting=1")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text('No such configuration property: "no.such.setting"')).to_be_visible()
    page.get_by_label("Client properties").fill("client.id=me\nsocket.timeout.ms=9000")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("combobox", name="Cluster")).to_have_value(name)
    expect(page.locator(".tile", has_text="Brokers")).to_contain_text(re.compile("[1-9]"))
    # What the address names holds for whoever gets the link.
    expect(page).to_have_url(f"{console}/?cluster={name}")
    page.goto(f"{console}/topics?cluster=local")
    expect(page.get_by_role("combobox", name="Cluster")).to_have_value("local")
    page.goto(f"{console}/groups?cluster={name}")
    expect(page.get_by_role("combobox", name="Cluster")).to_have_value(name)


def test_unknown_topic_is_said(page: Page, console: str) -> None:
    page.goto(f"{console}/topics/none-such")
    expect(page.get_by_text("There is no topic none-such")).to_be_visible()


def test_keys_lead_to_pages(page: Page, console: str) -> None:
    page.goto(console)
    expect(page.get_by_text("Busiest topics")).to_be_visible()
    page.keyboard.press("t")
    expect(page).to_have_url(f"{console}/topics")


def test_create_produce_configure_and_delete_a_topic(
    page: Page, console: str, bootstrap_servers: str
) -> None:
    name = f"made-{time.time_ns()}"
    page.goto(f"{console}/topics")
    page.get_by_role("button", name="Create a topic").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Create", exact=True).click()
    expect(dialog.get_by_text("Give the topic a name.")).to_be_visible()
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Partitions").fill("2")
    dialog.get_by_label("Configuration, key=value").fill("retention.ms=7200000")
    dialog.get_by_role("button", name="Create", exact=True).click()
    expect(page).to_have_url(f"{console}/topics/{name}")
    page.get_by_role("button", name="Produce", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Key (empty: none)").fill("ada")
    dialog.get_by_label("Value", exact=True).fill("hello from the console")
    dialog.get_by_label("Headers, name=value").fill("trace=t1")
    dialog.get_by_role("button", name="Produce", exact=True).click()
    expect(page.get_by_role("cell", name="hello from the console")).to_be_visible()
    page.get_by_role("tab", name="Configuration").click()
    page.get_by_role("button", name="Change retention.ms", exact=True).click()
    page.get_by_role("dialog").get_by_label("Value (empty: the default)").fill("3700000")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("cell", name="3700000")).to_be_visible()
    page.get_by_role("tab", name="Partitions").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Delete for ever").click()
    expect(dialog.get_by_text("That is not the topic's name.")).to_be_visible()
    dialog.get_by_label(f"Type {name} to confirm").fill(name)
    dialog.get_by_role("button", name="Delete for ever").click()
    expect(page).to_have_url(f"{console}/topics")
    assert name not in AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics().topics


def test_reset_a_groups_offsets_after_a_look(
    page: Page, console: str, topic: str, bootstrap_servers: str
) -> None:
    from confluent_kafka import TopicPartition

    name = f"{topic}-reset"
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": name})
    consumer.commit(offsets=[TopicPartition(topic, 0, 7)], asynchronous=False)
    page.goto(f"{console}/groups/{name}")
    page.get_by_role("button", name="Reset offsets").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Reset", exact=True).click()
    expect(dialog.get_by_text("Look at the preview first.")).to_be_visible()
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog.get_by_text(f"{topic}-0: 7 → 0")).to_be_visible()
    # What was looked at is no longer what was chosen.
    dialog.get_by_role("combobox", name="Where").click()
    page.get_by_role("option", name="to a time").click()
    expect(dialog.get_by_text("7 → 0")).to_have_count(0)
    dialog.get_by_role("button", name="Reset", exact=True).click()
    expect(dialog.get_by_text("Look at the preview first.")).to_be_visible()
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog.get_by_text("Give the time as 2026-01-31 12:00.")).to_be_visible()
    dialog.get_by_role("combobox", name="Where").click()
    page.get_by_role("option", name="by so many records").click()
    dialog.get_by_label("Records, such as -100 for a hundred back").fill("-100")
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog.get_by_text(f"{topic}-0: 7 → 0")).to_be_visible()
    dialog.get_by_role("button", name="Reset", exact=True).click()
    expect(page.get_by_text("Offsets were reset")).to_be_visible()
    assert consumer.committed([TopicPartition(topic, 0)], timeout=90)[0].offset == 0
    consumer.close()


def test_login_is_asked_for_and_leads_back(page: Page, guarded_console: str) -> None:
    page.goto(f"{guarded_console}/topics")
    expect(page).to_have_url(f"{guarded_console}/login")
    page.get_by_label("User").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("User or password is wrong.")).to_be_visible()
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{guarded_console}/topics")
    expect(page.get_by_role("button", name="Create a topic")).to_be_visible()


def test_a_host_that_others_reach_needs_a_login() -> None:
    command = [
        sys.executable,
        "-m",
        "ottla.cli.main",
        "console",
        "--host",
        "0.0.0.0",
        "--port",
        "0",
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    ended = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=240, check=False
    )
    assert ended.returncode == 1
    assert "--auth USER:PASSWORD" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_group_and_a_member_with_hostile_names(
    page: Page, console: str, bootstrap_servers: str, topic: str
) -> None:
    name = f"a/b?c#{time.time_ns()} <b onclick=alert(3)>x</b>"
    settings = {"group.id": name, "client.id": HOSTILE, "auto.offset.reset": "earliest"}
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, **settings})
    try:
        consumer.subscribe([topic])
        while not consumer.consume(1, 1.0):
            pass
        consumer.commit(asynchronous=False)
        page.goto(f"{console}/groups")
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        expect(page.locator("svg text", has_text="onerror=alert(1)").first).to_be_visible()
    finally:
        consumer.close()


def test_a_group_that_is_not_there_is_said(page: Page, console: str) -> None:
    page.goto(f"{console}/groups/nobody")
    expect(page.get_by_text("There is no group nobody in this cluster now")).to_be_visible()


def test_an_expression_without_end_is_given_up(
    page: Page, console: str, bootstrap_servers: str
) -> None:
    name = f"endless-{time.time_ns()}"
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 1)])[name].result(90)
    producer.produce(name, "a" * 60 + "b")
    producer.flush(90)
    page.goto(f"{console}/topics/{name}")
    page.get_by_label("Search text").fill("(a|aa)+$")
    page.get_by_role("checkbox", name="regular expression").click()
    page.get_by_role("button", name="Search all").click()
    expect(page.get_by_text("The regular expression needs more than 1 s")).to_be_visible()


def test_what_is_counted_is_said(page: Page, console: str, topic: str) -> None:
    page.goto(f"{console}/topics")
    expect(page.get_by_title("Offsets that are held.")).to_have_text("Records")
    page.get_by_label("Search topics").fill(topic)
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=topic, exact=True))
    expect(row.get_by_role("cell").nth(3)).to_have_text("202")
    page.get_by_role("link", name=topic, exact=True).click()
    page.get_by_role("tab", name="Partitions").click()
    page.get_by_role("button", name="Messages of partition 1").click()
    expect(page).to_have_url(f"{console}/topics/{topic}?partition=1")

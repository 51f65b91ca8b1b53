"""What an administrator does with a cluster, done in a browser."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from playwright.sync_api import Page, expect
from tests.browser.conftest import running_console

from ottla.embedded import Broker

pytestmark = pytest.mark.browser
AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("dialog").get_by_label(label).click()
    page.get_by_role("option", name=option, exact=True).click()


def test_quorum_and_disks(page: Page, console: str) -> None:
    page.goto(f"{console}/admin")
    expect(page.get_by_role("cell", name="leader, epoch")).to_be_visible()
    page.get_by_role("tab", name="Disks").click()
    expect(page).to_have_url(f"{console}/admin/disks")
    expect(page.get_by_role("cell", name="fine").first).to_be_visible()
    expect(page.get_by_text("Largest topics")).to_be_visible()


def test_a_quota_is_set_and_removed(page: Page, console: str) -> None:
    user = f"user-{time.time_ns()}"
    page.goto(f"{console}/admin/quotas")
    page.get_by_role("button", name="Set a quota").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Set", exact=True).click()
    expect(dialog.get_by_text("Say whose quota it is.")).to_be_visible()
    dialog.get_by_label("user").fill(user)
    dialog.get_by_label("Value").fill("1048576")
    dialog.get_by_role("button", name="Set", exact=True).click()
    row = page.get_by_role("row", name=user)
    expect(row).to_contain_text("producer_byte_rate")
    row.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Value (empty: no quota)").fill("")
    dialog.get_by_role("button", name="Set", exact=True).click()
    expect(row).to_have_count(0)


def test_without_an_authorizer_that_is_said(page: Page, console: str) -> None:
    page.goto(f"{console}/admin/acls")
    said = page.get_by_text("The cluster has no authorizer, so nothing is forbidden")
    expect(said.or_(page.get_by_text("There are no rules"))).to_be_visible()
    if not os.environ.get("OTTLA_TEST_BOOTSTRAP_SERVERS"):  # that one may have an authorizer
        expect(said).to_be_visible()


@pytest.fixture
def authorized_console(bootstrap_servers: str, tmp_path: Path) -> Iterator[str]:
    """A console for a Kafka with an authorizer: the given one, or a broker of this test's own."""
    with contextlib.ExitStack() as stack:
        if not os.environ.get("OTTLA_TEST_BOOTSTRAP_SERVERS"):
            broker = stack.enter_context(Broker(config=AUTHORIZER))
            bootstrap_servers = broker.bootstrap_servers
        yield stack.enter_context(running_console(bootstrap_servers, tmp_path / "log"))


def test_a_rule_is_added_and_removed(page: Page, authorized_console: str) -> None:
    topic = f"topic-{time.time_ns()}"
    page.goto(f"{authorized_console}/admin/acls")
    page.get_by_role("button", name="Add a rule").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Who").fill("User:ada")
    dialog.get_by_label("Its name (* for all)").fill(topic)
    choose(page, "Operation", "WRITE")
    dialog.get_by_role("button", name="Add", exact=True).click()
    added = page.get_by_role("row", name=topic)
    refused = page.get_by_text("No Authorizer is configured")
    expect(added.or_(refused)).to_be_visible()
    if refused.is_visible():
        assert os.environ.get("OTTLA_TEST_BOOTSTRAP_SERVERS"), "ours has an authorizer"
        return
    expect(added).to_contain_text("write")
    added.click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(added).to_have_count(0)


def test_a_user_gets_a_password(page: Page, console: str, bootstrap_servers: str) -> None:
    user = f"scram-{time.time_ns()}"
    page.goto(f"{console}/admin/users")
    page.get_by_role("button", name="Add a user").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(user)
    dialog.get_by_label("Password").fill("secret")
    dialog.get_by_role("button", name="Set", exact=True).click()
    row = page.get_by_role("row", name=user)
    expect(row).to_contain_text("SCRAM-SHA-512")
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    assert user in admin.describe_user_scram_credentials().result(90)  # type: ignore[operator]
    row.click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)


def test_an_open_transaction_is_seen_and_ended(
    page: Page, console: str, bootstrap_servers: str
) -> None:
    name = f"txn-{time.time_ns()}"
    producer = Producer({"bootstrap.servers": bootstrap_servers, "transactional.id": name})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(name, "open")
    producer.flush(90)
    page.goto(f"{console}/topics/{name}?tab=producers")
    expect(page.get_by_role("row").nth(1)).to_be_visible()
    page.goto(f"{console}/topics/{name}")
    expect(page.get_by_text("0 records, newest; 1 offset without a record to read")).to_be_visible()
    page.goto(f"{console}/admin/transactions")
    row = page.get_by_role("row", name=name)
    expect(row).to_contain_text("Ongoing")
    row.click()
    page.get_by_role("dialog").get_by_role("button", name="End it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row).not_to_contain_text("Ongoing")
    expect(row.get_by_role("cell").nth(2)).to_have_text("–")  # no longer open for any time


def test_preferred_replicas_are_asked_to_lead(page: Page, console: str) -> None:
    page.goto(f"{console}/admin/replicas")
    expect(page.get_by_text("Nothing is being moved")).to_be_visible()
    page.get_by_role("button", name="Let the preferred replicas lead").click()
    page.get_by_role("dialog").get_by_role("button", name="Elect").click()
    expect(page.get_by_text("The preferred replicas lead already")).to_be_visible()

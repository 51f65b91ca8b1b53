"""Roles, colours, time zones, small screens, names for those who cannot see, other sites."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

MAIN_PAGES = ("/", "/topics", "/groups", "/demos", "/demos/analytics", "/anatomy", "/admin/disks")

NAMELESS = """() => [...document.querySelectorAll('button, a[href], input, [role=tab]')]
  .filter(e => e.checkVisibility() && e.type !== 'hidden')
  .filter(e => !(e.innerText || e.getAttribute('aria-label') || e.title || e.placeholder
    || (e.labels && e.labels.length && e.labels[0].innerText)
    || e.closest('label')?.innerText || e.closest('[aria-label]')).toString().trim())
  .map(e => e.outerHTML.slice(0, 200))"""


def log_in(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}/login")
    page.get_by_label("User").fill(name)
    page.get_by_label("Password").fill(name)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Busiest topics")).to_be_visible()


def test_a_viewer_looks_and_changes_nothing(page: Page, guarded_console: str) -> None:
    log_in(page, guarded_console, "guest")
    page.goto(f"{guarded_console}/topics")
    expect(page.get_by_role("button", name="Create a topic")).to_be_disabled()
    page.goto(f"{guarded_console}/demos")
    expect(page.get_by_role("button", name="Start").first).to_be_disabled()
    page.goto(f"{guarded_console}/admin/quotas")
    expect(page.get_by_role("button", name="Set a quota")).to_be_disabled()
    # The console's own password would go wherever a cluster that somebody adds is.
    expect(page.get_by_role("button", name="Add a cluster")).to_have_count(0)
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_text("Logged in as guest (viewer)")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{guarded_console}/login")


def test_a_deep_link_with_its_query_survives_the_login(page: Page, guarded_console: str) -> None:
    page.goto(f"{guarded_console}/demos/fraud?topic=elsewhere")
    page.get_by_label("User").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{guarded_console}/demos/fraud?topic=elsewhere")


def test_time_zone_and_colours_are_kept(page: Page, console: str) -> None:
    page.goto(f"{console}/topics/ottla-console-audit")
    page.get_by_role("button", name="Settings").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Time zone").fill("Asia/Tok")
    page.get_by_role("option", name="Asia/Tokyo").click()
    page.get_by_role("button", name="Settings").click()
    expect(dialog.get_by_label("Time zone")).to_have_value("Asia/Tokyo")
    dialog.get_by_role("combobox", name="Colours").click()
    page.get_by_role("option", name="dark").click()
    expect(page.locator("body.body--dark")).to_be_visible()
    page.goto(console)
    expect(page.locator("body.body--dark")).to_be_visible()
    chart = page.locator("canvas").first
    expect(chart).to_be_visible()
    midnight = "e => getElement(+e.closest('[id^=c]').id.slice(1)).chart.getOption()"
    midnight += ".xAxis[0].axisLabel.formatter(0)"
    assert chart.evaluate(midnight) == "09:00:00", "1970 began at nine in the morning in Tokyo"


@pytest.mark.parametrize("path", MAIN_PAGES)
def test_pages_fit_a_small_laptop_and_name_what_can_be_used(
    page: Page, console: str, path: str
) -> None:
    page.set_viewport_size({"width": 1024, "height": 640})
    page.goto(f"{console}{path}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1024
    assert page.evaluate(NAMELESS) == []


def test_other_sites_are_refused(page: Page, console: str) -> None:
    answer = page.request.get(console, headers={"Origin": "http://evil.example"})
    assert answer.status == 403
    assert "another site" in answer.text()
    answer = page.request.get(console, headers={"Host": "evil.example"})
    assert answer.status == 403
    answer = page.request.get(console)
    assert answer.status == 200
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.fixture(scope="module")
def busy(bootstrap_servers: str) -> Iterator[str]:
    """A topic that is written to all the time, and a group of the same name that reads it."""
    name = f"busy-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 3)])[name].result(20)
    ended = threading.Event()

    def work() -> None:
        producer = Producer({"bootstrap.servers": bootstrap_servers})
        settings = {"group.id": name, "auto.offset.reset": "earliest"}
        consumer = Consumer({"bootstrap.servers": bootstrap_servers, **settings})
        consumer.subscribe([name])
        while not ended.wait(0.05):
            for n in range(20):
                producer.produce(name, str(n))
            producer.poll(0)
            if consumer.poll(0) is not None:
                consumer.commit(asynchronous=True)
        producer.flush(20)
        consumer.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield name
    ended.set()
    thread.join()


USABLE = "button, a[href], input, textarea, [tabindex='0']"


@pytest.mark.parametrize(
    "path",
    ["/", "/topics", "/topics/{}", "/topics/{}?tab=partitions", "/topics/{}?tab=consumers",
     "/topics/{}?tab=anatomy", "/groups", "/groups/{}"],
)  # fmt: skip
def test_a_refresh_takes_nothing_that_is_being_used(
    page: Page, console: str, busy: str, path: str
) -> None:
    """What was there to click, to type in or to scroll is the same after the page has changed."""
    with page.expect_websocket() as socket:
        page.goto(console + path.format(busy))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text(busy).first).to_be_visible(timeout=40_000)
    if path.endswith("/{}"):  # a topic's records, live
        for live in page.get_by_role("switch", name="live").all():
            live.click()
    page.wait_for_load_state("networkidle")
    page.evaluate(
        # Links to what other tests make may leave a list for reasons of their own.
        "([selector, busy]) => { window.kept = [...document.querySelectorAll(selector)]"
        ".filter(e => e.checkVisibility() && !e.closest('.messages')"
        " && !(e.closest('.q-table') && e.href && !e.href.includes(busy))) }",
        [USABLE, busy],
    )
    for _ in range(5):
        socket.value.wait_for_event("framereceived", lambda frame: "update" in str(frame))
    assert page.evaluate("window.kept.length") > 6
    lost = "window.kept.filter(e => !e.isConnected).map(e => e.outerHTML.slice(0, 200))"
    assert page.evaluate(lost) == []


def test_a_topic_is_made_written_and_deleted_with_the_keyboard_alone(
    page: Page, console: str
) -> None:
    name = f"typed-{time.time_ns()}"
    page.goto(console)
    expect(page.get_by_text("Busiest topics")).to_be_visible()
    page.keyboard.press("t")
    page.get_by_role("button", name="Create a topic").press("Enter")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{console}/topics/{name}")
    page.get_by_role("button", name="Produce").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Key (empty: none)")).to_be_focused()
    page.keyboard.type("by hand")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("cell", name="by hand")).to_be_visible()
    page.get_by_role("button", name="Produce").press("Enter")
    expect(dialog).to_have_count(1)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.goto(f"{console}/topics/{name}?tab=partitions")
    page.get_by_role("button", name="Delete").press("Enter")
    expect(dialog.get_by_label(f"Type {name} to confirm")).to_be_focused()
    page.keyboard.type("something else")
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("That is not the topic's name.")).to_be_visible()
    page.keyboard.press("Control+a")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{console}/topics")

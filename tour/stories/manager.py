"""Write-up 4, the Kafka Manager's part: its tasks, done in the console's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tour.browsing import browser_page, chromium
from tour.run import NotRunError, shows
from tour.stage import Stage

if TYPE_CHECKING:
    from playwright.sync_api import Page


@shows("4.4")
def manager(stage: Stage) -> str:
    executable = chromium()
    if executable is None:
        raise NotRunError("Chromium is not installed here (Debian's package chromium)")
    topic, group = stage.unique("tour-manager"), stage.unique("tour-reader")
    stage.types(
        f"kafka-topics --create --topic {topic} --partitions 2 --bootstrap-server localhost:9092"
    )
    stage.types(
        f"seq 10 | kafka-console-producer --topic {topic} --bootstrap-server localhost:9092"
    )
    stage.types(
        f"kafka-console-consumer --topic {topic} --group {group} --from-beginning"
        " --max-messages 10 --bootstrap-server localhost:9092"
    )
    servers = stage.here("localhost:9092")
    line = f"ottla console --manager --auth admin:admin --bootstrap-servers {servers}"
    with stage.leaves_running(line) as console:
        address = console.wait_for(r"Console\s+(http://\S+)")[1]
        with browser_page(executable) as page:
            log_in(stage, page, address)
            add_cluster(stage, page, servers)
            look_around(stage, page, address, topic, group)
            administrate(stage, page, address, topic, group)
    return f"login, add a cluster, overview, topics, groups, administrative tasks, at {address}"


def log_in(stage: Stage, page: Page, address: str) -> None:
    from playwright.sync_api import expect

    stage.says(f"opens {address}, is asked to log in, types admin and admin")
    page.goto(address)
    expect(page).to_have_url(f"{address}/login")
    page.get_by_label("User").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Busiest topics")).to_be_visible()


def add_cluster(stage: Stage, page: Page, servers: str) -> None:
    from playwright.sync_api import expect

    stage.says("adds a cluster by the write-up's ZooKeeper address, is told what to give instead")
    page.get_by_label("Add a cluster").click()
    page.get_by_label("Name").fill("instigator")
    page.get_by_label("Bootstrap servers").fill("zoo1:2181,zoo2:2181,zoo3:2181")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("That is a ZooKeeper address")).to_be_visible()
    stage.says(f"gives {servers}")
    page.get_by_label("Bootstrap servers").fill(servers)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def look_around(stage: Stage, page: Page, address: str, topic: str, group: str) -> None:
    from playwright.sync_api import expect

    stage.says("looks at the overview, the list of topics, the list of groups")
    expect(page.locator(".tile", has_text="Brokers")).to_contain_text("1")
    page.goto(f"{address}/topics")
    page.get_by_label("Search topics").fill(topic)
    expect(page.get_by_role("cell", name=topic)).to_be_visible()
    page.goto(f"{address}/groups")
    page.get_by_label("Search groups").fill(group)
    expect(page.get_by_role("cell", name=group)).to_be_visible()


def administrate(stage: Stage, page: Page, address: str, topic: str, group: str) -> None:
    from playwright.sync_api import expect

    stage.says("adds a partition, sets the group's offsets back, elects leaders, deletes the topic")
    page.goto(f"{address}/topics/{topic}?tab=partitions")
    page.get_by_role("button", name="Add partitions").click()
    page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".tile", has_text="Partitions")).to_contain_text("3")
    page.goto(f"{address}/groups/{group}")
    page.get_by_role("button", name="Reset offsets").click()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("→ 0").first).to_be_visible()
    page.get_by_role("button", name="Reset", exact=True).click()
    expect(page.get_by_text("Offsets were reset")).to_be_visible()
    page.goto(f"{address}/admin/replicas")
    page.get_by_role("button", name="Let the preferred replicas lead").click()
    page.get_by_role("dialog").get_by_role("button", name="Elect").click()
    expect(page.get_by_text("The preferred replicas lead already")).to_be_visible()
    page.goto(f"{address}/topics/{topic}?tab=partitions")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_label(f"Type {topic} to confirm").fill(topic)
    page.get_by_role("button", name="Delete for ever").click()
    expect(page).to_have_url(f"{address}/topics")

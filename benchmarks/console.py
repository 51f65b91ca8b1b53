"""How long the console's pages take with 5,000 topics and 2,000 groups.

    python -m benchmarks.console [--topics 5000] [--groups 2000] [--minutes 0]

Starts an embedded broker and a console, fills the broker, and opens every page in headless
Chromium: the time is from the click to the page's own content being visible. With `--minutes`
ten tabs stay open for so long, among them the live pages with their demos running, and the
console's memory is read every minute; at the end it says by how much it grew.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from ottla.client import Cluster
from ottla.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)

BATCH = 500
READY_S = 60.0
SAMPLE_S = 60.0
#: Open for as long as `--minutes` says; the live ones have something to show.
TABS = (
    "/",
    "/topics",
    "/topics/analytics",
    "/topics/bankaccount?tab=anatomy",
    "/groups",
    "/groups/fraud-detection",
    "/demos",
    "/demos/analytics",
    "/demos/fraud",
    "/anatomy",
)


def say(line: str) -> None:
    print(line, flush=True)


def fill(servers: str, topics: int, groups: int) -> None:
    """The topics are there, and each group has committed on three of them."""
    names = [f"topic-{n:05}" for n in range(topics)]
    with Cluster(servers) as cluster:
        for start in range(0, topics, BATCH):
            wanted = [CreatableTopic(name, 1, 1) for name in names[start : start + BATCH]]
            cluster.request_controller(CreateTopicsRequest(wanted, 60_000))
        for number in range(groups):
            chosen = [names[(number * 3 + k) % topics] for k in range(3)]
            request = OffsetCommitRequest(
                group_id=f"group-{number:05}",
                topics=[
                    OffsetCommitRequestTopic(
                        name=name,
                        partitions=[OffsetCommitRequestPartition(0, committed_offset=0)],
                    )
                    for name in chosen
                ],
            )
            coordinator = cluster.coordinator(request.group_id)
            coordinator.request(request, min(9, coordinator.version_for(request.API_KEY)))


@contextlib.contextmanager
def running_console(servers: str) -> Iterator[tuple[str, int]]:
    """The address and the process id of a console."""
    words = ["console", "--bootstrap-servers", servers, "--port", "0"]
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "ottla.cli.main", *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().split()[1]
        say(f"console ready after {time.monotonic() - start:.1f} s")
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(20)


def cpu_s(pid: int) -> float:
    return _cpu_s(f"/proc/{pid}/stat")


def loop_cpu_s(pid: int) -> float:
    """Of the first thread alone: it builds and sends the pages, others follow the cluster."""
    return _cpu_s(f"/proc/{pid}/task/{pid}/stat")


def _cpu_s(path: str) -> float:
    fields = open(path).read().rpartition(")")[2].split()  # noqa: SIM115
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    for line in open(f"/proc/{pid}/status"):  # noqa: SIM115
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


PAGES = (
    ("overview", "/", "text=Busiest topics"),
    ("topics", "/topics", "text=topic-00000"),
    ("one topic", "/topics/topic-00007", "text=0 records, newest"),
    ("groups", "/groups", "text=group-00000"),
    ("one group", "/groups/group-00007", "text=Lag by partition"),
    ("demos", "/demos", "text=Shop analytics"),
    ("administration", "/admin", "text=Log end"),
)


def measure(page: Any, address: str, pid: int, rounds: int) -> None:
    """Times from the click to the content, and what of it the console computed."""
    for name, path, selector in PAGES:
        times = []
        before = cpu_s(pid), loop_cpu_s(pid)
        for _ in range(rounds):
            start = time.monotonic()
            page.goto(address + path, wait_until="commit")
            page.wait_for_selector(selector, timeout=30_000)
            times.append((time.monotonic() - start) * 1000)
        cpu_ms = (cpu_s(pid) - before[0]) * 1000 / rounds
        page_ms = (loop_cpu_s(pid) - before[1]) * 1000 / rounds
        say(
            f"  {name:<16} median {statistics.median(times):5.0f} ms, best {min(times):5.0f} ms,"
            f" CPU of the console {cpu_ms:4.0f} ms, of it for pages {page_ms:4.0f} ms"
        )


def start_demos(page: Any, address: str) -> None:
    """The shop, the fraud detection and the playground run; a topic is followed live."""
    for path in ("/demos/analytics", "/demos/fraud"):
        page.goto(address + path)
        page.get_by_role("button", name="Start").click()
        page.wait_for_selector("text=running for", timeout=READY_S * 1000)
    page.goto(f"{address}/anatomy")
    page.get_by_role("button", name="Start the playground").click()
    page.wait_for_selector("text=A log that is compacted", timeout=READY_S * 1000)
    for _ in range(2):
        page.get_by_role("button", name="Add a consumer").click()


def keep_open(context: Any, address: str, pid: int, minutes: float) -> None:
    """Ten tabs, and the console's memory while they are open."""
    start_demos(context.pages[0], address)
    for path in TABS:
        tab = context.new_page()
        tab.goto(address + path)
        if path == "/topics/analytics":
            tab.get_by_role("switch", name="live").click()
    context.pages[0].close()
    samples: list[tuple[float, float]] = []
    start = time.monotonic()
    while time.monotonic() < start + minutes * 60:
        began, at = cpu_s(pid), time.monotonic()
        time.sleep(SAMPLE_S)
        now = time.monotonic()
        samples.append(((now - start) / 60, resident_mb(pid)))
        share = (cpu_s(pid) - began) / (now - at)
        say(f"  minute {samples[-1][0]:3.0f}: {samples[-1][1]:4.0f} MB, {share:.0%} of a core")
    late = samples[len(samples) // 2 :]
    if len(late) > 1:
        times, sizes = zip(*late, strict=True)
        slope = statistics.linear_regression(times, sizes).slope
        say(f"  second half of it: {slope * 60:+.1f} MB an hour, {len(TABS)} tabs")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topics", type=int, default=5_000)
    parser.add_argument("--groups", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=0.0)
    args = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        say("Not run: Chromium is not installed (Debian's package chromium).")
        return 1
    from playwright.sync_api import sync_playwright

    from ottla.embedded import Broker

    with Broker() as broker:
        start = time.monotonic()
        fill(broker.bootstrap_servers, args.topics, args.groups)
        say(f"filled in {time.monotonic() - start:.1f} s")
        with running_console(broker.bootstrap_servers) as (address, pid), sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            page = context.new_page()
            start = time.monotonic()
            page.goto(f"{address}/groups")
            page.wait_for_selector(f"text={args.groups:,} groups", timeout=READY_S * 1000)
            say(f"all groups known {time.monotonic() - start:.1f} s after the first page")
            before, at = cpu_s(pid), time.monotonic()
            time.sleep(20)
            share = (cpu_s(pid) - before) / (time.monotonic() - at)
            say(f"idle with one page: {share:.0%} of a core, {resident_mb(pid):.0f} MB")
            measure(page, address, pid, args.rounds)
            if args.minutes:
                keep_open(context, address, pid, args.minutes)
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""At most once, at least once, exactly once: three ways to commit, and real deaths.

A consumer process takes records from one topic and writes a result for each
into another. It is killed (SIGKILL) at a random record, again and again, and a
successor goes on from the committed offsets. Afterwards the results are
compared with the records: which are missing, which are there twice.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from ottla.labs.bench import Bench, LabError
from ottla.labs.delivery_worker import AT_LEAST_ONCE, AT_MOST_ONCE, BATCH, EXACTLY_ONCE
from ottla.labs.screen import bar

PARTITIONS: Final = 2
ORDERS: Final = {
    AT_MOST_ONCE: "commit, then handle",
    AT_LEAST_ONCE: "handle, then commit",
    EXACTLY_ONCE: "both in one transaction",
}


@dataclass
class Lane:
    """One way to commit: its processes, one after the other."""

    mode: str
    source: str
    target: str
    group: str
    deaths_at: list[int]  # after how many records each process dies
    handled: int = 0
    deaths: int = 0
    failure: str = ""
    is_done: bool = False
    results: Counter[str | None] = field(default_factory=Counter)


def run(bench: Bench) -> None:
    screen = bench.screen
    records, kills = bench.scaled(120, 1_000), bench.scaled(2, 6)
    screen.heading(f"{records} records, a consumer that is killed {kills} times")
    source = bench.create_topic(bench.unique("delivery-in"), PARTITIONS)
    bench.produce(source, [(None, f"record {number}") for number in range(records)])
    sent = bench.read(source)
    ends = {p: sum(row.partition == p for row in sent) for p in range(PARTITIONS)}
    lanes = []
    for mode in ORDERS:
        name = bench.unique(mode.replace(" ", "-"))
        target = bench.create_topic(f"{name}-out", PARTITIONS)
        lanes.append(Lane(mode, source, target, name, _moments(records, kills)))
    threads = [
        threading.Thread(target=_go_on_until_done, args=(bench, lane, ends), daemon=True)
        for lane in lanes
    ]
    for thread in threads:
        thread.start()

    def picture() -> list[str]:
        lines = []
        for lane in lanes:
            skulls = screen.paint("✝" * lane.deaths, "red") + " " * (kills - lane.deaths)
            drawn = screen.paint(bar(lane.handled, records, 24), "cyan")
            lines.append(f"{lane.mode:<15}{ORDERS[lane.mode]:<25}{drawn} {skulls} {lane.handled}")
        return lines

    bench.wait(lambda: all(lane.is_done for lane in lanes), "not all is read", picture=picture)
    for lane in lanes:
        if lane.failure:
            raise LabError(f"A consumer ({lane.mode}) failed: {lane.failure}")
        lane.results = Counter(row.value for row in bench.read(lane.target))
    _judge(bench, lanes, {row.value for row in sent})


def _moments(records: int, kills: int) -> list[int]:
    """Records after which each process dies: never between two batches, always before the end."""
    longest = max(BATCH, records // (kills + 1) // BATCH * BATCH)
    return [
        random.randrange(0, longest, BATCH) + random.randrange(BATCH // 4, BATCH * 3 // 4)
        for _ in range(kills)
    ]


def _go_on_until_done(bench: Bench, lane: Lane, ends: dict[int, int]) -> None:
    """Start a process, and another one when it is dead, until one has read everything."""
    try:
        for die_after in [*lane.deaths_at, None]:
            order = {
                "mode": lane.mode,
                "source": lane.source,
                "target": lane.target,
                "group": lane.group,
                "ends": ends,
                "settings": bench.client(),
                "die_after": die_after,
            }
            process = subprocess.Popen(
                [sys.executable, "-m", "ottla.labs.delivery_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert process.stdin is not None
            assert process.stdout is not None
            # Not among its arguments, which everybody on the machine may read.
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            for _ in process.stdout:
                lane.handled += 1
            _, said = process.communicate()
            if process.returncode > 0:
                lane.failure = said.strip().splitlines()[-1] if said.strip() else "no reason given"
                return
            lane.deaths += process.returncode < 0
    finally:
        lane.is_done = True


def _judge(bench: Bench, lanes: list[Lane], sent: set[str | None]) -> None:
    screen = bench.screen
    screen.say("")
    titles = f"{'':<15}{'killed':>7}{'results':>9}{'lost':>7}{'doubled':>9}"
    screen.say(screen.paint(titles, "dim"))
    lost, doubled = {}, {}
    for lane in lanes:
        lost[lane.mode] = len(sent - set(lane.results))
        doubled[lane.mode] = sum(n - 1 for n in lane.results.values())
        numbers = f"{lane.deaths:>7}{lane.results.total():>9}"
        losses = screen.paint(f"{lost[lane.mode]:>7}", "red" if lost[lane.mode] else "green")
        twice = screen.paint(
            f"{doubled[lane.mode]:>9}", "yellow" if doubled[lane.mode] else "green"
        )
        screen.say(f"{lane.mode:<15}{numbers}{losses}{twice}")
    bench.count(
        records=len(sent),
        killed={lane.mode: lane.deaths for lane in lanes},
        lost=lost,
        doubled=doubled,
    )
    screen.say("")
    bench.check(
        f"at most once: {lost[AT_MOST_ONCE]} lost, nothing twice",
        lost[AT_MOST_ONCE] > 0 and not doubled[AT_MOST_ONCE],
    )
    bench.check(
        f"at least once: nothing lost, {doubled[AT_LEAST_ONCE]} twice",
        not lost[AT_LEAST_ONCE] and doubled[AT_LEAST_ONCE] > 0,
    )
    bench.check(
        "exactly once: nothing lost, nothing twice",
        not lost[EXACTLY_ONCE] and not doubled[EXACTLY_ONCE],
    )
    bench.check(
        "each consumer was killed as often as planned",
        all(lane.deaths == len(lane.deaths_at) for lane in lanes),
    )

"""What the demos' producers and consumers handle, each alone with an embedded broker.

    python -m benchmarks.demos [--messages 400000] [--write]

Programs that end by themselves are run with few and with many messages; the difference is what
the messages cost, without the start. Services are watched for some seconds. `--write` puts the
table into docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.processes import Usage, usage
from benchmarks.runner import machine

PAGE: Final = Path("docs/performance.md")
BEGIN: Final = "<!-- written by python -m benchmarks.demos --write -->"
END: Final = "<!-- end of what benchmarks.demos writes -->"
FEW: Final = 1_000
WISHED_PER_S: Final = 100_000
WATCHED_S: Final = 8.0
READY_S: Final = 60.0
OTTLA: Final = (sys.executable, "-m", "ottla.cli.main")


class Cost(NamedTuple):
    """What messages cost one program."""

    messages: int
    wall_s: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        return self.messages / self.wall_s

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.messages * 1e6


class Line(NamedTuple):
    """A line of the table: what was run, what it costs, what bounds it."""

    program: str
    cost: Cost
    bound: str


@contextlib.contextmanager
def broker(directory: Path) -> Iterator[str]:
    """The address of a broker in a process of its own, with fsync, as `ottla up` starts it."""
    words = ["up", "--bare", "--port", "0", "--data-dir", str(directory)]
    process = subprocess.Popen(
        [*OTTLA, *words, "--set", "ottla.metrics.port=-1"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        said = ""
        while "Ctrl-C stops" not in said:
            said += process.stdout.readline()
        found = re.search(r"broker +(\S+:\d+)", said)
        assert found is not None, said
        yield found[1]
    finally:
        process.terminate()
        process.communicate()


def spent(words: list[str], servers: str) -> Usage:
    """What a program took from its start to its end."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [*OTTLA, *words, "--bootstrap-servers", servers], stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return Usage(time.perf_counter() - start, used.ru_utime + used.ru_stime)


def ending(servers: str, messages: int, words: Callable[[int, str], list[str]]) -> Cost:
    """`words` of so many messages, and a name that tells few from many."""
    few = spent(words(FEW, "few"), servers)
    many = spent(words(messages, "many"), servers)
    more = many.since(few)
    return Cost(messages - FEW, more.wall_s, more.cpu_s)


@contextlib.contextmanager
def served(words: list[str], servers: str, directory: Path) -> Iterator[tuple[int, list[str]]]:
    """A service's process id and the addresses of its doors."""
    process = subprocess.Popen(
        [*OTTLA, *words, "--bootstrap-servers", servers],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=directory,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        while not (found := re.search(r"  (http://\S+)", line)):
            assert line, words
            line = process.stdout.readline()
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield process.pid, [found[1]]
    finally:
        process.terminate()
        process.wait(READY_S)


def asked(address: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=READY_S) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def watched(pid: int, count: Callable[[], int], most: int | None = None) -> Cost:
    """What a counter that rises costs its process: until `most`, or for some seconds."""
    while not (first := count()):
        time.sleep(0.01)
    before = usage(pid)
    deadline = time.perf_counter() + WATCHED_S
    while (last := count()) < (most or last + 1) and time.perf_counter() < deadline:
        time.sleep(0.02)
    used = usage(pid).since(before)
    return Cost(last - first, used.wall_s, used.cpu_s)


def analytics(servers: str, messages: int) -> Iterator[Line]:
    def produce(count: int, name: str) -> list[str]:
        return [*f"demo analytics --no-pace --events {count} --topic shop-{name}".split()]

    cost = ending(servers, messages, produce)
    yield Line("analytics, producer", cost, "Python: drawing an event, and the client's call")
    cost = ending(servers, messages, lambda _, name: f"dash --once --topic shop-{name}".split())
    yield Line("analytics, dashboard (`ottla dash`)", cost, "Python: parsing JSON and counting")


def fraud(servers: str, messages: int) -> Iterator[Line]:
    def produce(count: int, name: str) -> list[str]:
        return f"demo fraud producer --size {count} --topic bank-{name}".split()

    def consume(count: int, name: str) -> list[str]:
        words = f"demo fraud consumer --quiet --from-beginning --limit {count}"
        return f"{words} --topic bank-{name} --group fraud-{name}".split()

    cost = ending(servers, messages, produce)
    yield Line("fraud, producer", cost, "Python: formatting a document, and the client's call")
    cost = ending(servers, messages, consume)
    bound = "Python: parsing, and two of the client's calls, one of them for the decision"
    yield Line("fraud, consumer (`--quiet`)", cost, bound)


def hello(servers: str, messages: int) -> Iterator[Line]:
    def produce(count: int, name: str) -> list[str]:
        return f"demo hello producer --messages {count} --topic hello-{name}".split()

    def consume(count: int, name: str) -> list[str]:
        words = f"demo hello consumer --exit --messages {count} --topic hello-{name}"
        return f"{words} --group hello-{name}".split()

    yield Line(
        "hello, producer", ending(servers, messages, produce), "Python: a call back for each"
    )
    cost = ending(servers, messages, consume)
    yield Line("hello, its two consumers", cost, "a printed line for each, and one interpreter")


def uuid(servers: str, messages: int) -> Iterator[Line]:
    def produce(count: int, name: str) -> list[str]:
        words = f"demo uuid producer --rate 0 --messages {count}"
        return f"{words} --topic uuid-{name}".split()

    def consume(count: int, name: str) -> list[str]:
        words = f"demo uuid consumer --messages {count}"
        return f"{words} --topic uuid-{name} --group uuid-{name}".split()

    cost = ending(servers, messages, produce)
    yield Line("uuid, producer (`--rate 0`)", cost, "a UUID and a printed line for each")
    cost = ending(servers, messages, consume)
    yield Line("uuid, consumer", cost, "two printed lines for each, one of them the time")


def instigator(servers: str, directory: Path) -> Iterator[Line]:
    producing = "demo instigator producer --producer-port 0 --interval 0 --topic instigated"
    with served(producing.split(), servers, directory) as (pid, (door,)):
        asked(f"{door}/start_producer")
        cost = watched(pid, lambda: int(asked(door)["acknowledged"]))
        asked(f"{door}/stop_producer")
    yield Line(
        "instigator, producer (`--interval 0`)",
        cost,
        "Python: formatting, and a call back for each",
    )
    consuming = "demo instigator consumer --consumer-port 0 --topic instigated"
    with served(consuming.split(), servers, directory) as (pid, (door,)):
        asked(f"{door}/start_consumer")
        cost = watched(pid, lambda: int(asked(door)["consumed"]), cost.messages)
    yield Line("instigator, consumer", cost, "a commit that is waited for after each batch")


def services(servers: str, directory: Path) -> Iterator[Line]:
    producing = "demo services producer --producer-port 0 --partitions 4"
    with served(producing.split(), servers, directory) as (pid, (door,)):
        numbers = iter(range(1_000_000))
        done = threading.Event()

        def register() -> None:
            while not done.is_set():
                name = f"u{next(numbers)}"
                wish = {"name": name, "email": f"{name}@example.org", "password": "correct horse"}
                asked(f"{door}/users", wish)

        clients = [threading.Thread(target=register) for _ in range(4)]
        for client in clients:
            client.start()
        cost = watched(pid, lambda: _counted(door, "users_registered_total"))
        done.set()
        for client in clients:
            client.join()
    yield Line("services, registrations (SQLite)", cost, "Argon2, which shall be slow, for each")
    _write_events(servers, events := 5_000)
    consuming = "demo services consumer --consumer-port 0 --partitions 4 --retry-profile fast"
    with served(consuming.split(), servers, directory) as (pid, (door,)):
        stats = f"{door}/stats"
        cost = watched(pid, lambda: int(asked(stats)["issued-token"]["handled"]), events)
    yield Line("services, events handled (SQLite)", cost, "a transaction on the disk for each")


def _counted(door: str, name: str) -> int:
    with urllib.request.urlopen(f"{door}/metrics", timeout=READY_S) as answer:
        found = re.search(rf"^{name} (\d+)$", answer.read().decode(), re.MULTILINE)
    return int(found[1]) if found else 0


def _write_events(servers: str, count: int) -> None:
    """Tokens that were issued, as the producer service tells of them."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": servers})
    for number in range(count):
        headers = [("event-id", f"bench-{number}".encode())]
        value = json.dumps({"user_id": f"user-{number % 100}", "token_id": str(number)})
        producer.produce("issued-token", value, f"user-{number % 100}", headers=headers)
    assert producer.flush(READY_S) == 0


def text_of(lines: list[Line], seconds: float) -> str:
    """The section of the page."""
    about = machine()
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC in {seconds:.0f} s, each program once"
    where = f"{about['system']}, {about['processor']}, {about['cores']} cores"
    how = f"Python {about['python']}; load {about['load']} when it ended"
    told = (
        f"Measured {when}: {where}, {how}. The broker (with fsync) shares the machine; what the "
        "programs print goes nowhere."
    )
    rows = [
        f"| {line.program} | {line.cost.per_s:,.0f} | {line.cost.cpu_us:,.1f} | {line.bound} |"
        for line in lines
    ]
    titles = "| program | messages a second | its CPU for each, µs | what bounds it |"
    return "\n".join([textwrap.fill(told, 100), "", titles, "|---|---|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--only", default="", help="demos whose names begin so")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE}")
    args = parser.parse_args()
    start = time.perf_counter()
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="ottla-bench-") as name:
        directory = Path(name)
        with broker(directory / "data") as servers:
            ended = (analytics, fraud, hello, uuid)
            for demo in ended:
                if demo.__name__.startswith(args.only):
                    lines += _told(demo(servers, args.messages))
            for service in (instigator, services):
                if service.__name__.startswith(args.only):
                    lines += _told(service(servers, directory))
    text = text_of(lines, time.perf_counter() - start)
    print(text)
    if args.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def _told(lines: Iterator[Line]) -> Iterator[Line]:
    for line in lines:
        mark = "" if line.cost.per_s >= WISHED_PER_S else "  below 100,000"
        print(
            f"{line.program:<40}{line.cost.per_s:>10,.0f}/s {line.cost.cpu_us:>8.1f} µs{mark}",
            file=sys.stderr,
            flush=True,
        )
        yield line


if __name__ == "__main__":
    main()

"""The whole story: start small, lose the power, move to three brokers under load, lose one.

All the write-ups' programs run on the embedded broker: the shop's analytics,
the two services, console and REST door, fraud detection, Instigator's pair.
The power is cut and comes back. Everything is moved live to three brokers of
Apache Kafka; the programs are started again with the new address. Then one of
the brokers is killed. One ledger at the end says for each story what was
acknowledged, what is there, and what is lost or there twice.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from typing import Any, Final

from ottla.client import ClientError, Cluster, Settings
from ottla.client.offsets import LATEST
from ottla.engine.apache import ApacheKafka
from ottla.engine.errors import EngineError
from ottla.engine.parent import end_with_parent
from ottla.engine.ports import free_ports
from ottla.labs.bench import Bench, LabError
from ottla.labs.power_cut import BrokerProcess
from ottla.labs.replication_watch import Lane
from ottla.labs.screen import Screen
from ottla.labs.story_programs import Driver, Program, answers, call, start_worker
from ottla.moving.groups import committed
from ottla.moving.partitions import list_offsets

OWN_ONLY: Final = "it starts, kills and moves everything itself"
#: It starts what it needs.
OWN_KAFKA: Final = "an embedded broker, then three brokers of Apache Kafka"
BROKERS: Final = 3
#: Much of the first start is Python, several times, on a machine that is busy with it.
PATIENCE_S: Final = 240.0
SESSION_MS: Final = 6_000
REST_JSON: Final = "application/vnd.kafka.json.v2+json"
FRAUD_SIZE: Final = "1000000"
INSTIGATED: Final = "SampleOne"
FRAUD_VERDICTS: Final = ("authorized", "unauthorized", "malformed")


@dataclass
class Entry:
    """One line of the ledger."""

    story: str
    acknowledged: int
    seen: int
    lost: int
    duplicated: int


def run(bench: Bench) -> None:
    with tempfile.TemporaryDirectory(prefix="ottla-story-") as directory:
        story = Story(bench, Path(directory))
        try:
            story.tell()
        except EngineError as error:
            raise LabError(str(error)) from None
        finally:
            story.end()


class Story:
    """All programs, and the Kafka they are on."""

    def __init__(self, bench: Bench, directory: Path) -> None:
        self.bench = bench
        self.screen: Screen = bench.screen
        self.directory = directory
        ports = free_ports(6)
        self.users_url, self.consumer_url = (f"http://127.0.0.1:{p}" for p in ports[:2])
        self.instigator_urls = tuple(f"http://127.0.0.1:{p}" for p in ports[2:4])
        self.rest_url, self.console_url = (f"http://127.0.0.1:{p}" for p in ports[4:])
        words = {
            "analytics": "demo analytics --status 3600",
            "services": f"demo services --producer-port {ports[0]} --consumer-port {ports[1]}"
            " --database-url sqlite:///users.db",
            "instigator": f"demo instigator --interval 0.05 --producer-port {ports[2]}"
            f" --consumer-port {ports[3]}",
            "gateway": f"gateway --rest-port {ports[4]} --burrow-port 0 --metrics-port 0"
            " --admin-ports off",
            "console": f"console --port {ports[5]}",
            "fraud": "demo fraud consumer --from-beginning --quiet",
            "accounts": f"demo fraud producer --size {FRAUD_SIZE} --rate 40",
        }
        self.programs = {name: Program(name, w.split(), directory) for name, w in words.items()}
        self.drivers = {
            "users": Driver("users", self._register_user, 0.3),
            "orders": Driver("orders", self._post_order, 0.05),
        }
        self.lanes: list[Lane] = []
        self.broker = BrokerProcess(directory, "fsync")
        self.kafka: ApacheKafka | None = None

    # --- what goes on all the time

    def _register_user(self, number: int) -> bool:
        """The user is written and answered for; the event about it must arrive."""
        user = {"name": f"user {number}", "email": f"user-{number}@example.org"}
        answer = call(f"{self.users_url}/users", {**user, "password": "correct horse battery"})
        return "id" in answer

    def _post_order(self, number: int) -> bool:
        """The REST door has answered with an offset."""
        url = f"{self.rest_url}/topics/story-orders"
        answer = call(url, {"records": [{"value": {"number": number}}]}, REST_JSON)
        return all(o.get("offset") is not None and not o.get("error") for o in answer["offsets"])

    def start_programs(self, servers: str) -> None:
        """Everything runs and answers."""
        for program in self.programs.values():
            program.start(servers)
        urls = [f"{self.users_url}/health/ready", f"{self.consumer_url}/health/ready"]
        urls += [f"{self.rest_url}/topics", f"{self.console_url}/"]

        def is_ready() -> bool:
            self._check_running()
            return all(answers(url) for url in urls)

        self.wait(is_ready, "the programs do not answer")
        for url, role in zip(self.instigator_urls, ("producer", "consumer"), strict=True):
            start_worker(f"{url}/start_{role}")
        for driver in self.drivers.values():
            driver.start()
        own = Bench({"bootstrap.servers": servers}, self.screen, self.bench.is_fast)
        self.lanes.append(Lane(own, "story-steady", "steady", prefix=f"{len(self.lanes)}-"))

    def stop_programs(self) -> None:
        """In the order of `ottla down`: first what makes traffic, and all of it is answered."""
        for driver in self.drivers.values():
            driver.stop()
        self.lanes[-1].finish()
        for name in ("accounts", "analytics"):
            self.programs[name].stop()
        for program in self.programs.values():
            program.ask_to_stop()
        for program in self.programs.values():
            program.stop()

    def acknowledged_now(self) -> dict[str, int]:
        return {
            "steady": sum(len(lane.acknowledged) for lane in self.lanes),
            **{name: len(driver.acknowledged) for name, driver in self.drivers.items()},
        }

    def go_on(self, seconds: int) -> None:
        """Everything that we can see from here goes on, for so long at least."""
        before, until = self.acknowledged_now(), time.monotonic() + seconds
        self.wait(
            lambda: (
                time.monotonic() > until
                and all(n > before[name] + 5 for name, n in self.acknowledged_now().items())
            ),
            "not everything goes on",
        )
        self._check_running()

    def _check_running(self) -> None:
        dead = [name for name, program in self.programs.items() if not program.is_running]
        if dead:
            said = self.programs[dead[0]].said[-400:]
            raise LabError(f"{', '.join(dead)} ended by themselves: {said}")

    def wait(self, is_done: Callable[[], bool], complaint: str) -> None:
        self.bench.wait(is_done, complaint, picture=self.picture, patience_s=PATIENCE_S)
        self.screen.settle()

    def picture(self) -> list[str]:
        runs = [
            self.screen.paint(f"{name} {'●' if p.is_running else '✗'}",
                              "green" if p.is_running else "red")
            for name, p in self.programs.items()
        ]  # fmt: skip
        numbers = "  ".join(f"{name} {n:,}" for name, n in self.acknowledged_now().items())
        lines = ["  " + " ".join(runs), f"  acknowledged so far: {numbers}"]
        return lines + ([f"  {self.lanes[-1].curve(self.screen)}"] if self.lanes else [])

    # --- the acts

    def tell(self) -> None:
        seconds = self.bench.scaled(5, 20)
        self.screen.heading("five stories on the embedded broker")
        self.broker.start()
        self._create_topics(self.broker.bootstrap_servers)
        self.start_programs(self.broker.bootstrap_servers)
        self.go_on(seconds)
        self.power_cut()
        self.go_on(seconds)
        with self._apache() as self.kafka:
            self.move(seconds)
            self.go_on(seconds)
            self.kill_one(self.kafka)
            self.go_on(seconds)
            self._catch_up()
            self.stop_programs()
            self.screen.heading("the ledger")
            self.ledger(self.kafka.bootstrap_servers)

    def end(self) -> None:
        """Nothing of it is left, whatever happened."""
        for driver in self.drivers.values():
            driver.stop()
        for program in self.programs.values():
            program.kill()
        self.broker.__exit__(None, None, None)

    def _apache(self) -> ApacheKafka:
        return ApacheKafka(
            brokers=BROKERS,
            controllers=1,
            properties={"broker.session.timeout.ms": str(SESSION_MS)},
            progress=lambda text: self.screen.say(self.screen.paint(f"  {text}", "dim")),
        )

    def _create_topics(self, servers: str) -> None:
        own = Bench({"bootstrap.servers": servers}, self.screen)
        for topic in ("story-steady", "story-orders", "bankaccount"):
            own.create_topic(topic, 2)

    def power_cut(self) -> None:
        self.screen.heading("the power fails, and comes back")
        since = time.monotonic()
        self.broker.kill()
        gone = self.broker.cut_power()
        self.screen.say(f"  power cut: {gone:,} bytes that no fsync covered are gone")
        self.broker.start()
        self.go_on(1)
        pause = max(lane.pause_since(since) for lane in self.lanes)
        self.bench.count(pause_of_power_cut_s=round(pause, 2))
        self.screen.say(f"  writes paused {pause:.1f} s")

    def move(self, seconds: int) -> None:
        """Everything is on Apache Kafka, and the programs with it."""
        assert self.kafka is not None
        self.screen.heading("moved to three brokers of Apache Kafka, under load")
        servers = self.kafka.bootstrap_servers
        state, report = self.directory / "move.json", self.directory / "report.json"
        words = ["move", "--follow", "--from", self.broker.bootstrap_servers, "--to", servers]
        words += ["--state", str(state), "--report", str(report)]
        log = self.directory / "move.log"
        with log.open("wb") as output:
            mover = subprocess.Popen(
                [sys.executable, "-m", "ottla.cli.main", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=end_with_parent(),  # noqa: PLW1509 (it takes no lock)
            )
        wanted = self.acknowledged_now()["steady"]
        try:
            self.wait(lambda: _moved(state, "story-steady") >= wanted, "the move does not follow")
            self.go_on(seconds)
            stopped_at = time.monotonic()
            self.stop_programs()
            mover.send_signal(SIGINT)
            status = mover.wait(PATIENCE_S)
        finally:
            if mover.poll() is None:
                mover.kill()
                mover.wait()
        said = log.read_text(errors="replace")
        if status:
            raise LabError(f"the move ended with status {status}: {said[-400:]}")
        found: dict[str, Any] = json.loads(report.read_text())
        moved = sum(row["records"] for row in found["partitions"])
        self.start_programs(servers)
        self.broker.kill()
        self.go_on(1)
        pause = time.monotonic() - stopped_at
        self.bench.count(moved_records=moved, cut_over_s=round(pause, 1))
        self.bench.check(
            f"{moved:,} records in {len(found['partitions'])} partitions arrived as they were; "
            f"the programs went on at the new address after {pause:.0f} s",
            bool(found["is_good"]),
        )

    def kill_one(self, kafka: ApacheKafka) -> None:
        self.screen.heading("one of the three brokers is killed")
        with Cluster(kafka.bootstrap_servers) as cluster:
            leader = cluster.partition("story-steady", 0).leader_id
        since = time.monotonic()
        kafka.node(leader).kill()
        self.screen.say(f"  broker {leader} is killed")
        self.go_on(SESSION_MS // 1000 + 2)
        pause = self.lanes[-1].pause_since(since)
        self.bench.count(pause_of_broker_s=round(pause, 2))
        self.screen.say(f"  writes paused {pause:.1f} s at most")

    # --- counting

    def _catch_up(self) -> None:
        """Writers have stopped, readers have read everything."""
        assert self.kafka is not None
        for driver in self.drivers.values():
            driver.stop()
        for name in ("accounts", "analytics"):
            self.programs[name].stop()
        call(f"{self.instigator_urls[0]}/stop_producer")
        servers = self.kafka.bootstrap_servers
        lags: dict[str, int] = {}

        def is_read() -> bool:
            lags.update(_lags(servers, ("fraud-detection", "instigator")))
            lags["outbox"] = call(f"{self.users_url}/health/ready")["outbox_pending"]
            return not any(lags.values())

        def picture() -> list[str]:
            left = "  ".join(f"{name} {lag:,}" for name, lag in lags.items())
            return [*self.picture(), f"  still to be read: {left}"]

        complaint = "the consumers do not catch up"
        self.bench.wait(is_read, complaint, picture=picture, patience_s=PATIENCE_S)
        self.screen.settle()
        wanted = len(self.drivers["users"].acknowledged)
        self.wait(lambda: len(self._handled()) >= wanted, "not every new user arrives")

    def _handled(self) -> list[str]:
        """Users about whom the second service was told, once for each telling that counted."""
        database = sqlite3.connect(f"file:{self.directory / 'users.db'}?mode=ro", uri=True)
        try:
            found = database.execute(
                "select user_id from handled_events where topic like '%ser%reated%'"
            ).fetchall()
        finally:
            database.close()
        return [row[0] for row in found]

    def ledger(self, servers: str) -> None:
        own = Bench({"bootstrap.servers": servers}, self.screen)

        def values(topic: str) -> list[str]:
            return [row.value or "" for row in own.read(topic)]

        accounts = values("bankaccount")
        decisions = [v for verdict in FRAUD_VERDICTS for v in self._there(own, verdict)]
        orders = [str(json.loads(v)["number"]) for v in values("story-orders")]
        steady = {value for lane in self.lanes for value in lane.acknowledged}
        analytics = self.programs["analytics"].total(r"([\d,]+) acknowledged")
        sent = self.programs["accounts"].total(r"([\d,]+) acknowledged")
        instigated = self.programs["instigator"].total(r"producer: .*?([\d,]+) acknowledged")
        entries = [
            by_count("analytics", analytics, len(values("analytics"))),
            by_name("services: new users", self._users(), self._handled()),
            by_name("REST door: orders", map(str, self.drivers["orders"].acknowledged), orders),
            by_count("fraud: accounts", sent, len(accounts)),
            by_name("fraud: decisions, exactly once", accounts, decisions),
            by_count("Instigator's pair", instigated, len(values(INSTIGATED))),
            by_name("a steady writer", steady, values("story-steady")),
        ]
        self.screen.say(f"  {'':<32}{'acknowledged':>13}{'seen':>9}{'lost':>6}{'twice':>7}")
        for e in entries:
            self.screen.say(
                f"  {e.story:<32}{e.acknowledged:>13,}{e.seen:>9,}{e.lost:>6}{e.duplicated:>7}"
            )
        self.bench.count(ledger=[vars(entry) for entry in entries])
        lost = sum(entry.lost for entry in entries)
        exactly = next(e for e in entries if "exactly once" in e.story)
        self.bench.check(
            f"{sum(e.acknowledged for e in entries):,} acknowledged, {lost} lost",
            not lost and all(entry.acknowledged for entry in entries),
        )
        self.bench.check(
            f"the exactly-once consumer decided {exactly.seen:,} accounts, "
            f"{exactly.duplicated} of them twice",
            not exactly.duplicated and exactly.seen > 0,
        )

    def _there(self, own: Bench, verdict: str) -> list[str]:
        topic = f"bankaccount-{verdict}"
        return [row.value or "" for row in own.read(topic)] if topic in own.topics() else []

    def _users(self) -> list[str]:
        """Ids of the users that were registered and answered for."""
        database = sqlite3.connect(f"file:{self.directory / 'users.db'}?mode=ro", uri=True)
        try:
            rows = database.execute("select id, email from users").fetchall()
        finally:
            database.close()
        wanted = {f"user-{n}@example.org" for n in self.drivers["users"].acknowledged}
        return [user for user, email in rows if email in wanted]


def by_count(story: str, acknowledged: int, seen: int) -> Entry:
    """For records without names: more than acknowledged means some are there twice."""
    return Entry(
        story, acknowledged, seen, max(0, acknowledged - seen), max(0, seen - acknowledged)
    )


def by_name(story: str, acknowledged: Iterable[str], seen: Iterable[str]) -> Entry:
    told, there = set(acknowledged), Counter(seen)
    twice = sum(count - 1 for count in there.values())
    return Entry(story, len(told), len(there), len(told - there.keys()), twice)


def _moved(state: Path, topic: str) -> int:
    """Records of a topic that the move's state file knows to be in the target."""
    try:
        partitions = json.loads(state.read_text())["partitions"]
    except (OSError, ValueError):
        return 0
    return sum(p["records"] for name, p in partitions.items() if name.rpartition("-")[0] == topic)


def _lags(servers: str, names: Iterable[str]) -> dict[str, int]:
    """Records that each group has still to read; 1 while that cannot be told."""
    found = {}
    with Cluster(servers, Settings("ottla-lab")) as cluster:
        for name in names:
            try:
                places = committed(cluster, name)
                ends = list_offsets(cluster, places, LATEST)
            except ClientError:
                found[name] = 1
                continue
            found[name] = sum(max(0, ends[p] - offset) for p, (offset, _) in places.items())
    return found

"""acks 0, 1 and all: what each costs, and what each risks.

Three things can go wrong between a producer and its record. The broker refuses
it: with acks=0 nobody is told. The broker's process dies: what it had written
is the system's to keep. The machine loses its power: what no fsync covered is
gone, acknowledged or not. The last two need brokers of the lab's own.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ottla.labs.bench import Bench
from ottla.labs.chaos_proxy import ChaosProxy, Faults, broker_behind
from ottla.labs.power_cut import BrokerProcess
from ottla.labs.screen import Screen, bar

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

ACKS: Final = ("0", "1", "all")
RECORD_BYTES: Final = 100
FLUSH_LIMIT_S: Final = 30.0
QUICK_TO_RETURN: Final = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100}


@dataclass
class Sender:
    """A producer, and what it was told of each record."""

    bench: Bench
    topic: str
    acks: str
    config: dict[str, Any] = field(default_factory=dict)
    sent: int = 0
    acknowledged: set[str] = field(default_factory=set)
    refused: int = 0
    waits_ms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        from confluent_kafka import Producer

        # Every answer is told: a retry that succeeds would hide what happened.
        config = {"acks": self.acks, "linger.ms": 5, "retries": 0, **self.config}
        self.producer = Producer(self.bench.client(**config))

    def send(self, value: str) -> None:
        started = time.monotonic()

        def answered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                self.refused += 1
                return
            self.waits_ms.append((time.monotonic() - started) * 1_000)
            self.acknowledged.add(value.rstrip())

        while True:
            try:
                self.producer.produce(self.topic, value, on_delivery=answered)
                break
            except BufferError:
                self.producer.poll(0.01)
        self.sent += 1
        self.producer.poll(0)

    def finish(self) -> None:
        """Every record is answered, one way or the other."""
        self.producer.flush(FLUSH_LIMIT_S)

    def wait_ms(self, share: float) -> float:
        """The wait that so large a share of the acknowledged records did not exceed."""
        waits = sorted(self.waits_ms)
        return waits[min(len(waits) - 1, int(len(waits) * share))] if waits else 0.0


def run(bench: Bench) -> None:
    speed(bench)
    refusals(bench)
    if bench.broker is None:
        bench.screen.say("")
        bench.screen.say("Killing a broker, and cutting its power, is for brokers of the lab's")
        bench.screen.say("own: run `ottla lab acks` without --bootstrap-servers to see it.")
        return
    cuts(bench)
    with tempfile.TemporaryDirectory(prefix="ottla-lab-") as directory:
        deaths(bench, Path(directory))
    bench.screen.say("")
    bench.screen.say("What only the leader of several brokers had is another loss: see it with")
    bench.screen.say("`ottla lab replication`.")


def speed(bench: Bench) -> None:
    """How many records a second, and how long one waits."""
    screen = bench.screen
    count = bench.scaled(2_000, 100_000)
    screen.heading(f"what it costs: {count:,} records of {RECORD_BYTES} bytes")
    rates: dict[str, int] = {}
    senders: dict[str, Sender] = {}
    for acks in ACKS:
        topic = bench.create_topic(bench.unique(f"acks-{acks}"))
        sender = senders[acks] = Sender(bench, topic, acks)
        start = time.monotonic()
        for number in range(count):
            sender.send(f"{number}".ljust(RECORD_BYTES))
        sender.finish()
        rates[acks] = round(count / (time.monotonic() - start))
        screen.draw([_speed_line(screen, s, rates) for s in senders.values()])
    waits = {
        acks: {"half_ms": round(s.wait_ms(0.5), 2), "p99_ms": round(s.wait_ms(0.99), 2)}
        for acks, s in senders.items()
    }
    bench.count(records_per_s=rates, waits=waits)
    for sender in senders.values():
        bench.wait_until_shown(sender.topic)
    there = {acks: len(bench.read(sender.topic)) for acks, sender in senders.items()}
    bench.check(
        "on a good day all records are there, whatever the acks",
        all(n == count for n in there.values()),
    )


def _speed_line(screen: Screen, sender: Sender, rates: dict[str, int]) -> str:
    rate = rates[sender.acks]
    drawn = screen.paint(bar(rate, max(rates.values()), 18), "cyan")
    waits = f"half within {sender.wait_ms(0.5):.1f} ms, 99 % {sender.wait_ms(0.99):.1f} ms"
    return f"  acks={sender.acks:<4}{drawn}{rate:>9,}/s  {waits}"


def refusals(bench: Bench) -> None:
    """The broker takes no record above 1,000 bytes: who hears of it?"""
    screen = bench.screen
    small, large = bench.scaled(40, 400), bench.scaled(5, 50)
    screen.heading(f"what it risks: {large} records that the broker refuses")
    lost: dict[str, int] = {}
    told: dict[str, int] = {}
    lines: list[str] = []
    # A producer with acks=0 is hung up on, the only way to tell it: it shall come back at once.
    config = {"linger.ms": 0, "batch.num.messages": 1, **QUICK_TO_RETURN}
    for acks in ACKS:
        topic = bench.create_topic(
            bench.unique(f"refused-{acks}"), config={"max.message.bytes": "1000"}
        )
        sender = Sender(bench, topic, acks, config)
        for number in range(small + large):
            is_small = number < small
            sender.send(f"small {number}" if is_small else f"large {number}".ljust(2_000))
            if not is_small or number == small - 1:
                sender.finish()
            screen.draw([*lines, _progress(f"acks={acks}", sender)])
        bench.wait_until_shown(topic)
        there = {(row.value or "").rstrip() for row in bench.read(topic)}
        lost[acks] = len(sender.acknowledged - there)
        told[acks] = sender.refused
        lines.append(_outcome(screen, f"acks={acks}", sender, lost[acks]))
        screen.draw(lines)
    bench.count(refused_and_lost=lost, refused_and_told=told)
    bench.check(
        f"acks=0: all {large} are gone, and the producer believes they are there",
        lost["0"] >= large and not told["0"],
    )
    bench.check(
        "acks=1 and acks=all: the producer is told of each",
        all(told[acks] == large and not lost[acks] for acks in ("1", "all")),
    )


def cuts(bench: Bench) -> None:
    """A network that takes its time and is cut again and again (`ottla chaos`)."""
    screen = bench.screen
    times = bench.scaled(4, 12)
    screen.heading(f"the connection is cut {times} times, and the producer sends again")
    kinds: dict[str, dict[str, Any]] = {
        "acks=0": {"acks": "0"},
        "acks=1": {"acks": "1"},
        "acks=all": {"acks": "all"},
        "idempotent": {"acks": "all", "enable.idempotence": True},
    }
    lost: dict[str, int] = {}
    doubled: dict[str, int] = {}
    proxy = ChaosProxy(faults=Faults(latency_ms=20))
    with proxy, broker_behind(proxy) as broker:
        own = Bench({"bootstrap.servers": broker.bootstrap_servers}, screen, bench.is_fast)
        patient: dict[str, Any] = {"retries": 1_000, "linger.ms": 0, "retry.backoff.ms": 20}
        patient |= QUICK_TO_RETURN
        # A client that begins again from its bootstrap servers gives up what it had queued.
        patient["metadata.recovery.strategy"] = "none"
        senders = {
            name: Sender(
                own, own.create_topic(name.replace("=", "-")), kind["acks"], patient | kind
            )
            for name, kind in kinds.items()
        }
        with _sending(list(senders.values())):
            for number in range(1, times + 1):
                wanted = number * bench.scaled(40, 100)
                own.wait(
                    lambda: all(len(s.acknowledged) >= wanted for s in senders.values()),  # noqa: B023
                    "nothing is acknowledged",
                    picture=lambda: [
                        _progress(name, s, screen.paint("✂" * (number - 1), "red"))  # noqa: B023
                        for name, s in senders.items()
                    ],
                )
                proxy.cut()
        lines = []
        for name, sender in senders.items():
            there = Counter(row.value or "" for row in own.read(sender.topic))
            lost[name] = len(sender.acknowledged - set(there))
            doubled[name] = sum(count - 1 for count in there.values())
            twice = f"{doubled[name]:>5} twice"
            lines.append(_outcome(screen, name, sender, lost[name], twice))
        screen.draw(lines)
    bench.count(cut_and_lost=lost, cut_and_doubled=doubled)
    bench.check(
        f"acks=0: {lost['acks=0']} of those said to be delivered are not there", lost["acks=0"] > 0
    )
    bench.check(
        "acks=1 and acks=all: what is acknowledged is there, "
        f"{doubled['acks=1']} and {doubled['acks=all']} records twice",
        not lost["acks=1"] and not lost["acks=all"],
    )
    bench.check(
        "an idempotent producer: nothing lost, nothing twice",
        not lost["idempotent"] and not doubled["idempotent"],
    )


def deaths(bench: Bench, directory: Path) -> None:
    """A killed process, and a power cut, under both kinds of durability."""
    screen = bench.screen
    lost: dict[str, dict[str, int]] = {}
    acknowledged: dict[str, dict[str, int]] = {}
    for name, title, durability, end in (
        ("kill", "the broker's process is killed (page-cache)", "page-cache", _kill),
        ("cut", "the power fails; page-cache: answers do not wait", "page-cache", _cut),
        ("fsync", "the power fails; fsync: answers wait (Ottla's default)", "fsync", _cut),
    ):
        screen.heading(title)
        (directory / name).mkdir()
        found = _send_until(bench, directory / name, durability, end)
        lost[name] = {acks: gone for acks, _, gone in found}
        acknowledged[name] = {acks: len(s.acknowledged) for acks, s, _ in found}
        screen.draw([_outcome(screen, f"acks={acks}", s, gone) for acks, s, gone in found])
    bench.count(acknowledged=acknowledged, lost=lost)
    screen.say("")
    bench.check(
        "a plain kill loses nothing that was written and acknowledged (acks 1, all)",
        not lost["kill"]["1"] and not lost["kill"]["all"],
    )
    bench.check(
        "a power cut under page-cache loses acknowledged records: one node has no replica",
        lost["cut"]["1"] > 0 and lost["cut"]["all"] > 0,
    )
    bench.check(
        "a power cut under fsync loses nothing that was acknowledged (acks 1, all)",
        not lost["fsync"]["1"] and not lost["fsync"]["all"],
    )


def _kill(broker: BrokerProcess) -> None:
    broker.kill()


def _cut(broker: BrokerProcess) -> None:
    broker.kill()
    broker.cut_power()


def _send_until(
    bench: Bench, directory: Path, durability: str, end: Callable[[BrokerProcess], None]
) -> list[tuple[str, Sender, int]]:
    """Producers at work, the end in the middle of it, a new start: what is lost of each."""
    with BrokerProcess(directory, durability) as broker:
        own = Bench({"bootstrap.servers": broker.bootstrap_servers}, bench.screen, bench.is_fast)
        patience = {"message.timeout.ms": 1_000, "socket.timeout.ms": 1_000}
        senders = [Sender(own, own.create_topic(f"acks-{acks}"), acks, patience) for acks in ACKS]
        enough = bench.scaled(100, 2_000)
        with _sending(senders):
            own.wait(
                lambda: all(len(s.acknowledged) >= enough for s in senders),
                "nothing is acknowledged",
                picture=lambda: [_progress(f"acks={s.acks}", s) for s in senders],
            )
            end(broker)
            bench.screen.draw([_progress(f"acks={s.acks}", s, "it is gone") for s in senders])
        broker.start()
        return [(s.acks, s, _lost(own, s)) for s in senders]


@contextlib.contextmanager
def _sending(senders: list[Sender]) -> Iterator[None]:
    """They send inside the block; after it each record is answered."""
    stop = threading.Event()
    threads = [threading.Thread(target=_send_on, args=(s, stop), daemon=True) for s in senders]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _send_on(sender: Sender, stop: threading.Event) -> None:
    while not stop.wait(0.001):
        sender.send(f"record {sender.sent}")
    sender.finish()


def _lost(bench: Bench, sender: Sender) -> int:
    """How many acknowledged records are not there. The topic itself may be gone."""
    is_there = sender.topic in bench.topics()
    rows = bench.read(sender.topic) if is_there else []
    return len(sender.acknowledged - {row.value or "" for row in rows})


def _progress(name: str, sender: Sender, more: str = "") -> str:
    """What the producer believes, while it is at work."""
    told = f"{sender.sent:>6} sent{len(sender.acknowledged):>7} acknowledged"
    return f"  {name:<11}{told}{sender.refused:>5} refused  {more}"


def _outcome(screen: Screen, name: str, sender: Sender, lost: int, more: str = "") -> str:
    """The same, beside what was found."""
    return _progress(
        name, sender, screen.paint(f"{lost:>4} lost", "red" if lost else "green") + more
    )

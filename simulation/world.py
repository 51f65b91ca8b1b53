"""The whole broker in a simulated world: disk, clock, network and clients, from one seed.

Clients connect again, retry and duplicate; connections break; the power fails,
also while the broker starts; processes are killed; syncs fail; disks fill.
What clients were told and shown is held against the broker in all its lives.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterator
from itertools import count
from typing import Any, ClassVar, Final

from ottla.storage.errors import StorageError
from ottla.wire import frames
from simulation.clients import (
    Call,
    Program,
    Teller,
    begin_transactions,
    committer,
    consumer,
    idempotent_producer,
    plain_producer,
    reader_of_transactional_offsets,
    topic_keeper,
    transactional_producer,
    transactional_producer_v2,
)
from simulation.disk import PowerCut, SimulatedDisk
from simulation.group_clients import (
    Group,
    classic_member,
    consumer_member,
    reader_of_commits,
)
from simulation.history import History
from simulation.log_model import Violation
from simulation.machine import Link, Machine
from simulation.share_client import share_consumer
from simulation.trimming import grower, trimmer

STEPS_PER_LIFE: Final = (200, 700, 2_500)
AUDIT_STEPS: Final = 60_000
TRACE_LINES: Final = 3_000


#: Each kind's: of one producer alone, and of two rivals.
TRANSACTIONAL_IDS: Final = {"transactions": ("txn", "txr"), "version 2": ("tv2", "tvr")}


class Client:
    """Runs one program over connections that come and go."""

    def __init__(self, name: str, program: Program) -> None:
        self.name = name
        self.is_done = False
        self._program = program
        self._call: Call | None = None
        self._link: Link | None = None
        self._correlation_id = 0
        self._advance(None)

    @property
    def has_response(self) -> bool:
        link = self._link
        if link is None or len(link.to_client) < 4:
            return False
        return len(link.to_client) >= 4 + int.from_bytes(link.to_client[:4], "big")

    @property
    def is_waiting(self) -> bool:
        return self._link is not None and self._link.is_open

    def step(self, machine: Machine) -> None:
        """Read a response, or notice a lost connection, or connect and send."""
        if self.has_response:
            self._receive()
        elif self._link is not None and not self._link.is_open:
            self._link = None
            self._advance(None)
        elif self._link is None:
            self._link = machine.connect()
        if self._link is not None and not self.is_done:
            self._send()

    def lose_connection(self, machine: Machine) -> None:
        if self._link is not None:
            machine.drop(self._link)

    def _send(self) -> None:
        if self._call is None:
            return
        link, call = self._link, self._call
        assert link is not None
        self._correlation_id += 1
        frame = b"".join(
            frames.encode_request(call.message, call.version, self._correlation_id, self.name)
        )
        link.to_broker.append(bytearray(frame[4:]))
        self._sent, self._call = call, None

    def _receive(self) -> None:
        assert self._link is not None
        data = self._link.to_client
        size = 4 + int.from_bytes(data[:4], "big")
        frame = bytes(data[4:size])
        del data[:size]
        if frames.read_correlation_id(frame) != self._correlation_id:
            raise Violation(f"{self.name}: a response to another request")
        call = self._sent
        self._advance(frames.decode_response(call.message.API_KEY, call.version, frame))

    def _advance(self, response: Any) -> None:
        """The program goes on; it gets None first of all, and after a lost connection."""
        try:
            self._call = self._program.send(response)
        except StopIteration:
            self.is_done = True
            self._call = None


def audit(rng: random.Random, history: History) -> Program:
    """End what transaction is open, then read everything at both isolation levels."""
    for transactional_id in (one for ids in TRANSACTIONAL_IDS.values() for one in ids):
        yield from begin_transactions(transactional_id)
    for group in TRANSACTIONAL_IDS["version 2"]:
        yield from reader_of_transactional_offsets(group, history, rounds=1)
    yield from consumer(rng, history, rounds=1)
    yield from consumer(rng, history, rounds=1, is_committed=True)


class World:
    """Runs any number of lives of one broker among its clients."""

    #: What ends a life, and how often.
    ends: ClassVar[dict[str, int]] = {"power cuts": 70, "kills": 22, "clean stops": 8}
    durability: ClassVar[str] = "fsync"
    #: Share of the lives in which the disk becomes full.
    full_disks: ClassVar[float] = 0.1

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"world {seed}")
        self.disk = SimulatedDisk(random.Random(f"disk {seed}"))
        self.disk.cold_share = self.rng.choice((0.0, 0.0, 0.2))
        self.disk.make_directory("/var")
        self.disk.sync_directory("/")
        self.trace: deque[str] = deque(maxlen=TRACE_LINES)
        self.disk.follow = lambda what: self.trace.append(f"    {what}")
        self.machine = Machine(self.disk, self.rng, {"ottla.durability": self.durability})
        self.history = History()
        self.counts: Counter[str] = Counter()
        self.life = 0
        self.clients = [
            Client("keeper", topic_keeper(self.rng)),
            Client("plain", plain_producer("plain", self.rng, self.history)),
            Client("once", idempotent_producer("once", self.rng, self.history)),
            Client("twice", idempotent_producer("twice", self.rng, self.history)),
            *self._tellers(),
            Client("sharer", share_consumer("sharer-1", self.rng, self.history)),
            *(
                Client(f"offsets {group}", reader_of_transactional_offsets(group, self.history))
                for group in TRANSACTIONAL_IDS["version 2"]
            ),
            Client("committed", consumer(self.rng, self.history, is_committed=True)),
            Client("reader", consumer(self.rng, self.history)),
            Client("group", committer("group", self.rng, self.history)),
            Client("trimmer", trimmer(self.rng)),
            Client("grower", grower(self.rng)),
        ]
        for name, member in (("classic", classic_member), ("modern", consumer_member)):
            group = Group(name)
            self.clients += [
                Client(f"{name} {i}", member(group, self.rng, self.history)) for i in range(2)
            ]
            self.clients.append(
                Client(f"{name} reader", reader_of_commits(name, self.rng, self.history))
            )

    def _tellers(self) -> Iterator[Client]:
        """Transactional producers: two alone, and two pairs of rivals, one often too late."""
        rng, history = self.rng, self.history
        for name, program in (
            ("transactions", transactional_producer),
            ("version 2", transactional_producer_v2),
        ):
            alone, shared = TRANSACTIONAL_IDS[name]
            yield Client(name, program(Teller(alone, alone, count(1)), rng, history))
            # With one row of numbers: of two rivals, the later number is the later transaction's.
            numbers = count(1)
            for rival in ("a", "b"):
                teller = Teller(
                    shared,
                    f"{shared}{rival}",
                    numbers,
                    timeout_ms=400 if rival == "b" else 60_000,
                    is_leisurely=True,
                )
                yield Client(f"{name}, rival {rival}", program(teller, rng, history))

    def run(self, lives: int) -> Counter[str]:
        """Live and die so many times, auditing everything at the end; raises `Violation`."""
        for _ in range(lives):
            self._start()
            self._live()
        self._start()
        self._audit()
        self.history.check_orders()
        self.history.check_transactions()
        promised = sum(len(records) for records in self.history.promised.values())
        self.counts["records promised"] = promised
        self.counts["records shared"] = len(self.history.finished)
        self.counts["commits of members"] = self.commits_of_members()
        return self.counts

    def commits_of_members(self) -> int:
        """Numbers that members of groups committed, and were told so."""
        return sum(
            number
            for (group, _), number in self.history.committed_offsets.items()
            if group in ("classic", "modern")
        )

    def _start(self) -> None:
        while True:
            if self.rng.random() < 0.3 and "power cuts" in self.ends:
                self.disk.cut_power_at(self.disk.steps + self.rng.randint(1, 60))
            self.life += 1
            self.trace.append(f"=== start {self.life}")
            try:
                self.machine.start()
                self.disk.cut_power_at(self.disk.FAR_AWAY)
                return
            except PowerCut:
                self.counts["power cuts during recovery"] += 1
                self.machine.stop()
                self.disk.power_cut(self.rng)
            except (StorageError, OSError) as error:
                raise Violation(f"the broker does not start: {error}") from error

    def _live(self) -> None:
        end = self.rng.choices(list(self.ends), list(self.ends.values()))[0]
        if end == "power cuts":
            within = self.rng.choice((60, 250, 1_000))
            self.disk.cut_power_at(self.disk.steps + self.rng.randint(1, within))
        if self.rng.random() < 0.05:
            self.disk.set_fault(lambda _kind, _path: self.rng.random() < 0.1)
        if self.rng.random() < self.full_disks:
            self.disk.capacity_bytes = self.disk.used_bytes + self.rng.randint(0, 20_000)
        try:
            for _ in range(self.rng.randint(1, self.rng.choice(STEPS_PER_LIFE))):
                self._step(drop_share=0.01)
            if end == "clean stops":
                self.disk.set_fault(None)
                self.disk.capacity_bytes = None
                try:
                    self.machine.stop_cleanly()
                except (OSError, StorageError):
                    self.counts["failed stops"] += 1
        except PowerCut:
            end = "power cuts"
        self.counts[end] += 1
        self.trace.append(f"=== {end}")
        self.machine.stop()
        self.disk.capacity_bytes = None
        if end == "power cuts":
            self.disk.power_cut(self.rng)
        else:
            self.disk.process_killed()

    def _step(self, drop_share: float) -> None:
        """One thing happens, or time passes."""
        events = self.machine.events()
        ready = [c for c in self.clients if not c.is_done and (c.has_response or not c.is_waiting)]
        if self.rng.random() < drop_share:
            self.rng.choice(self.clients).lose_connection(self.machine)
            return
        if not events and not ready:
            self.machine.pass_time_to_next_deadline()
            return
        if self.rng.random() < 0.002:
            self.machine.jump_clock()
            self.counts["jumps of the clock"] += 1
        if self.rng.random() < 0.05:
            self.machine.pass_time(self.rng.randint(0, 40))
            return
        at = self.rng.randrange(len(events) + len(ready))
        if at < len(events):
            events[at]()
        else:
            client = ready[at - len(events)]
            self.trace.append(client.name)
            client.step(self.machine)

    def _audit(self) -> None:
        """Everything promised is read once more, with nothing going wrong."""
        self.clients = [
            Client("auditor", audit(self.rng, self.history)),
            Client("group auditor", committer("group", self.rng, self.history, rounds=8)),
            *(
                Client(f"{name} auditor", reader_of_commits(name, self.rng, self.history, rounds=8))
                for name in ("classic", "modern")
            ),
        ]
        for _ in range(AUDIT_STEPS):
            if all(client.is_done for client in self.clients):
                return
            self._step(drop_share=0.0)
        raise Violation("the audit does not come to an end")


class PageCacheWorld(World):
    """Under page-cache durability a process may die at any moment and nothing is lost, as long
    as the machine lives."""

    ends: ClassVar[dict[str, int]] = {"kills": 90, "clean stops": 10}
    durability: ClassVar[str] = "page-cache"

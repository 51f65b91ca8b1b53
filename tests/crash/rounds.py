"""Many deaths of a real broker under load, at failpoints and at random, and what is left.

    make crash ROUNDS=300

Each round is one death: at a named failpoint or at any moment, with the page
cache kept, with everything unsynced lost, or torn; sometimes it is paused
before. Now and then everything is read by other clients than wrote it, and held
against what was acknowledged, and what a reader of committed records was shown.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from simulation.failpoints import FAILPOINTS
from tests.crash.bank import Bank, check_bank
from tests.crash.harness import (
    BrokerProcess,
    Load,
    check_load,
    create_topic,
)
from tests.crash.keeping import COMPACTED, TRIMMED, Compacting, Keeper
from tests.crash.watching import Watcher

BANK = "bank"
#: Two alone, and two rivals of one transactional id.
TELLERS = ("teller-1", "teller-2", "rival", "rival")
SETTINGS = (
    "log.segment.bytes=200000",
    "log.index.interval.bytes=2000",
    "log.cleaner.backoff.ms=150",
    "log.cleaner.min.cleanable.ratio=0.01",
    "log.retention.check.interval.ms=400",
    "log.segment.delete.delay.ms=100",
    "offsets.topic.segment.bytes=50000",
    "transaction.state.log.segment.bytes=50000",
)
AT_RANDOM = "at any moment"
#: Rounds on one data directory; then everything is checked and a new one begun.
GENERATION = 20
#: A failpoint that is not reached for so long becomes a kill at random.
PATIENCE_S = 5.0
WHATS = ("page cache kept", "unsynced lost", "unsynced torn")


class Generation:
    """One data directory, from its first start to the check of everything."""

    def __init__(self, directory: Path, seed: int, count: Callable[[str, str], None]) -> None:
        self._rng = random.Random(seed)
        self._count = count
        self._deaths = 0
        self.broker = BrokerProcess(directory, settings=SETTINGS)
        self.broker.start()
        servers = self.broker.bootstrap_servers
        create_topic(servers)
        create_topic(servers, BANK)
        create_topic(servers, TRIMMED, segment_bytes="20000")
        create_topic(servers, COMPACTED, cleanup_policy="compact", segment_bytes="40000")
        self.load = Load(servers, seed)
        self.bank = Bank(servers, seed, BANK, TELLERS)
        self.keeper = Keeper(servers, seed)
        self.compacting = Compacting(servers, seed)
        self.watcher = Watcher(servers, BANK)
        self.load.start()
        self.bank.start()
        self.watcher.begin()
        self.keeper.begin()
        self.compacting.begin()

    def die(self, failpoint: str) -> None:
        """One round: the broker that is running dies somehow, and the next one at `failpoint`."""
        broker, rng = self.broker, self._rng
        self.load.has_new.clear()
        assert self.load.has_new.wait(90), f"nothing is acknowledged: {broker.log_text()[-2000:]}"
        if rng.random() < 0.3:
            broker.pause(rng.uniform(0.1, 2))
        broker.kill()
        self._lose_power(AT_RANDOM)
        if failpoint == AT_RANDOM:
            broker.start()
            self.load.go_on(rng.uniform(0, 0.5))
            return
        often = FAILPOINTS[failpoint].kind in ("sync", "write")
        hit = rng.choice((1, 2, 5, 20) if often else (1, 2))
        is_up = broker.start((failpoint, hit))
        if is_up and not broker.wait_for_death(PATIENCE_S):
            # It would come to it later, when nobody expects that any more.
            broker.kill()
            failpoint = AT_RANDOM
        self._lose_power(failpoint)
        broker.start()

    def _lose_power(self, where: str) -> None:
        what = self._rng.choice(WHATS)
        self._count(where, what)
        self._deaths += 1
        self.broker.note(f"--- death {self._deaths}: {where}, {what}")
        if what == "page cache kept":
            return
        # What is found at the end may have happened at any of the deaths: all are kept till then.
        self.broker.keep_evidence(f"death-{self._deaths}")
        changed = self.broker.lose_power(self._rng if what == "unsynced torn" else None)
        self.broker.note(f"--- changed: {' '.join(changed)}")

    def check(self) -> int:
        """Everything acknowledged is there; returns how many records that were."""
        servers = self.broker.bootstrap_servers
        self.load.stop()
        self.bank.stop()
        self.keeper.stop()
        self.compacting.stop()
        self.watcher.stop()
        assert not self.load.refused, self.load.refused[:3]
        check_load(self.load, servers)
        check_bank(self.bank, servers, BANK)
        self.watcher.check(self.load, self.bank, servers)
        self.keeper.check(servers)
        self.compacting.check()
        acknowledged = len(self.load.acknowledged) + 2 * len(self.bank.committed)
        assert self.broker.stop() == 0
        return acknowledged + self.compacting.tried


def run(
    rounds: int,
    seed: int,
    directory: Path,
    failpoints: Sequence[str] = (*FAILPOINTS, AT_RANDOM),
    tell: Callable[[str], None] = lambda _line: None,
) -> tuple[Counter[tuple[str, str]], int]:
    """Deaths by (failpoint, what became of the unsynced), and the records acknowledged."""
    deaths: Counter[tuple[str, str]] = Counter()
    rng = random.Random(seed)
    acknowledged = 0
    queue: list[str] = []
    for first in range(0, rounds, GENERATION):
        home = directory / f"generation-{first}"
        home.mkdir()
        generation = Generation(
            home, seed * 100_000 + first, lambda where, what: deaths.update([(where, what)])
        )
        try:
            for number in range(first, min(rounds, first + GENERATION)):
                queue = queue or rng.sample(failpoints, len(failpoints))
                name = queue.pop()
                tell(f"round {number + 1} of {rounds}: {name}")
                generation.die(name)
            tell("reading everything")
            acknowledged += generation.check()
        finally:
            generation.broker.close()
        shutil.rmtree(home)
    return deaths, acknowledged


def main() -> int:
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    is_shown = sys.stdout.isatty()
    started = time.monotonic()

    def tell(line: str) -> None:
        if is_shown:
            print(f"\r\x1b[K{line[:78]}", end="", flush=True)

    directory = Path(tempfile.mkdtemp(prefix="ottla-crash-"))
    try:
        deaths, acknowledged = run(options.rounds, options.seed, directory, tell=tell)
    except BaseException:
        print(f"\nwhat is left of it: {directory}")
        raise
    shutil.rmtree(directory)
    tell("")
    by_place: dict[str, Counter[str]] = {}
    for (where, what), count in deaths.items():
        by_place.setdefault(where, Counter())[what] += count
    print(f"{'died':40}{'kept':>8}{'lost':>8}{'torn':>8}")
    for where in (*FAILPOINTS, AT_RANDOM):
        counts = by_place.get(where, Counter())
        print(f"{where:40}" + "".join(f"{counts[what]:8}" for what in WHATS))
    reached = len([name for name in FAILPOINTS if name in by_place])
    print(
        f"{sum(deaths.values())} deaths, {reached} of {len(FAILPOINTS)} failpoints reached, "
        f"{acknowledged:,} records acknowledged, {time.monotonic() - started:.0f} s: nothing lost"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the fuzzers run, without their guide: seeds, small changes of these, and old finds."""

from __future__ import annotations

import random

import pytest
from fuzzing.target import Target
from fuzzing.targets import TARGETS

from ottla.broker import topic_changes

EVERY_TARGET = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
#: Of the seeds of one target, at most so many run here.
MOST_SEEDS = 150
CHANGED = 100


@pytest.fixture(autouse=True)
def brokers_of_other_tests_keep_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzed machines lower it for their whole process."""
    monkeypatch.setattr(topic_changes, "MAX_PARTITIONS", topic_changes.MAX_PARTITIONS)


@EVERY_TARGET
def test_seeds_keep_every_promise(target: Target) -> None:
    seeds = list(target.seeds())
    for seed in seeds[:: 1 + len(seeds) // MOST_SEEDS]:
        target.run(seed)


@EVERY_TARGET
def test_changed_seeds_keep_every_promise(target: Target) -> None:
    rng = random.Random(target.name)
    seeds = list(target.seeds())
    for _ in range(CHANGED):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 2)] = rng.randbytes(rng.randint(0, 3))
            if not data:
                break
        target.run(bytes(data))

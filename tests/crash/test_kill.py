"""Killed under load at any moment, with and without its page cache, the broker keeps its word.

`OTTLA_KILLS=200 OTTLA_CRASH_SEED=7 pytest tests/crash` kills it more often.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from tests.crash.harness import (
    BrokerProcess,
    Load,
    check_load,
    create_topic,
    read_everything,
)


@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost(broker: BrokerProcess) -> None:
    kills = int(os.environ.get("OTTLA_KILLS", "6"))
    seed = int(os.environ.get("OTTLA_CRASH_SEED", "1"))
    rng = random.Random(seed)
    create_topic(broker.bootstrap_servers)
    load = Load(broker.bootstrap_servers, seed)
    load.start()
    for _ in range(kills):
        what = rng.choice(("page cache kept", "unsynced lost", "unsynced torn"))
        work_and_die(broker, load, rng, what)
        broker.start()
    load.stop()
    assert not load.refused
    assert load.acknowledged
    check_load(load, broker.bootstrap_servers)
    assert broker.stop() == 0
    broker.start()
    check_load(load, broker.bootstrap_servers)


def work_and_die(broker: BrokerProcess, load: Load, rng: random.Random, what: str) -> None:
    # Some work must have been done since the last death; then any moment will do.
    load.has_new.clear()
    assert load.has_new.wait(90), broker.log_text()[-2000:]
    load.go_on(rng.uniform(0, 0.5))
    broker.kill()
    if what != "page cache kept":
        broker.lose_power(rng if what == "unsynced torn" else None)


def test_a_missing_sync_would_be_noticed(tmp_path: Path) -> None:
    broker = BrokerProcess(tmp_path, without="sync_appended_data")
    broker.start()
    try:
        create_topic(broker.bootstrap_servers)
        load = Load(broker.bootstrap_servers, seed=1)
        load.start()
        work_and_die(broker, load, random.Random(1), "unsynced lost")
        acknowledged = dict(load.acknowledged)
        broker.start()
        try:
            found = read_everything(broker.bootstrap_servers)
        except KeyError:
            found = {}  # The topic itself is gone.
        assert any(found.get(place) != value for place, value in acknowledged.items())
        load.give_up()  # while there is a broker, or its commits wait for ever
    finally:
        broker.close()

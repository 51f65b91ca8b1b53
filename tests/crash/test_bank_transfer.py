"""Money is moved in transactions while the broker dies again and again: none appears, none goes."""

from __future__ import annotations

import os
import random
import threading

import pytest
from tests.crash.bank import Bank, check_bank
from tests.crash.harness import BrokerProcess, create_topic


@pytest.mark.timeout(600)
def test_the_balance_never_changes(broker: BrokerProcess) -> None:
    kills = int(os.environ.get("OTTLA_KILLS", "5"))
    seed = int(os.environ.get("OTTLA_CRASH_SEED", "1"))
    rng = random.Random(seed)
    create_topic(broker.bootstrap_servers)
    bank = Bank(broker.bootstrap_servers, seed, tellers=("teller", "rival", "rival"))
    bank.start()
    for _ in range(kills):
        bank.has_new.clear()
        assert bank.has_new.wait(90), broker.log_text()[-2000:]
        threading.Event().wait(rng.uniform(0, 0.3))
        broker.kill()
        what = rng.choice(("page cache kept", "unsynced lost", "unsynced torn"))
        if what != "page cache kept":
            broker.lose_power(rng if what == "unsynced torn" else None)
        broker.start()
    bank.has_new.clear()
    assert bank.has_new.wait(90), broker.log_text()[-2000:]
    bank.stop()
    check_bank(bank, broker.bootstrap_servers)

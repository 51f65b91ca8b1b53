"""The broker process dies at named safety steps. `make crash` does it hundreds of times."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from simulation.failpoints import FAILPOINTS
from tests.crash.rounds import AT_RANDOM, run

#: Few enough for every run; which ones changes with the number of failpoints alone.
ROUNDS = 6


@pytest.mark.timeout(900)
def test_nothing_promised_is_lost_at_failpoints(tmp_path: Path) -> None:
    chosen = random.Random(len(FAILPOINTS)).sample([*FAILPOINTS, AT_RANDOM], ROUNDS)
    deaths, acknowledged = run(ROUNDS, 1, tmp_path, chosen)
    assert sum(deaths.values()) >= ROUNDS
    assert acknowledged > 0

"""A small overload and a small attack; `make endure` does both in earnest, with figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from endurance import attack, overload


def test_nobody_starves(tmp_path: Path) -> None:
    told = overload.run(tmp_path, connections=200, partitions=300, groups=60, seconds=3)
    assert told.count(" answers, ms: ") == 6, told
    assert "read from the start 0 records" not in told


def test_a_client_is_served_while_others_attack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, count in (("LORIS", 100), ("LARGE", 20), ("GREEDY", 5)):
        monkeypatch.setattr(attack, name, count)
    assert "served in" in attack.run(tmp_path)

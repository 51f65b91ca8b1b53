from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.core import Core


@pytest.fixture
def make_core(tmp_path: Path) -> Iterator[Callable[..., Core]]:
    """Makes cores, each on a directory of its own, and closes them."""
    cores: list[Core] = []

    def make(settings: dict[str, str] | None = None, *, flushes_by_hand: bool = False) -> Core:
        directory = tmp_path / f"data{len(cores)}"
        cores.append(Core(str(directory), settings, flushes_by_hand=flushes_by_hand))
        return cores[-1]

    yield make
    for core in cores:
        core.broker.close(core.wall_ms)


@pytest.fixture
def core(make_core: Callable[..., Core]) -> Core:
    return make_core()

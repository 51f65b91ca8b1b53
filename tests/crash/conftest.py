"""A broker to be killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.harness import BrokerProcess


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    """It is running; nothing of it is left afterwards."""
    process = BrokerProcess(tmp_path)
    try:
        process.start()
        yield process
    finally:
        process.close()

"""Fixtures of the storage's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.storage.harness import LogFactory

from ottla.seams.real import RealFileSystem


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[LogFactory]:
    factory = LogFactory(RealFileSystem(), str(tmp_path))
    yield factory
    factory.files.close()

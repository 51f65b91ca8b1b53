"""However many files are used, few are open; none closes under a flush."""

from __future__ import annotations

from pathlib import Path

import pytest

from ottla.seams.filesystem import File
from ottla.seams.real import RealFileSystem
from ottla.storage.open_files import OpenFiles


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    for i in range(10):
        (tmp_path / f"{i}").write_bytes(b"%d" % i)
    return [f"{tmp_path}/{i}" for i in range(10)]


def is_open(file: File) -> bool:
    try:
        file.size()
    except OSError:
        return False
    return True


def test_the_least_recently_used_is_closed(paths: list[str]) -> None:
    files = OpenFiles(RealFileSystem(), limit=3)
    first = files.get(paths[0])
    second = files.get(paths[1])
    files.get(paths[2])
    assert files.get(paths[0]) is first
    files.get(paths[3])
    assert len(files) == 3
    assert is_open(first)
    assert not is_open(second)
    assert files.get(paths[1]).read_at(1, 0) == b"1"
    files.close()


def test_a_pinned_file_stays_open(paths: list[str]) -> None:
    files = OpenFiles(RealFileSystem(), limit=4)
    assert files.pin(paths[0]) is None
    pinned = files.get(paths[0])
    handle = files.pin(paths[0])
    assert handle is not None
    for path in paths[1:]:
        files.get(path)
    assert is_open(pinned)
    files.forget(paths[0])
    assert is_open(pinned)
    files.unpin(handle)
    assert not is_open(pinned)
    files.close()


def test_pins_take_half_of_the_limit_at_most(paths: list[str]) -> None:
    files = OpenFiles(RealFileSystem(), limit=4)
    for path in paths[:3]:
        files.get(path)
    first = files.pin(paths[0])
    assert first is not None
    assert files.pin(paths[1]) is not None
    assert files.pin(paths[2]) is None
    files.unpin(first)
    assert files.pin(paths[2]) is not None
    files.close()


def test_when_every_file_is_pinned_one_more_may_be_open(paths: list[str]) -> None:
    files = OpenFiles(RealFileSystem(), limit=1)
    files.get(paths[0])
    handle = files.pin(paths[0])
    assert handle is not None
    files.get(paths[1])
    assert len(files) == 2
    files.unpin(handle)
    files.get(paths[2])
    assert len(files) == 2
    files.close()


def test_a_directory_is_forgotten_with_all_its_files(paths: list[str], tmp_path: Path) -> None:
    files = OpenFiles(RealFileSystem())
    inside = [files.get(path) for path in paths[:3]]
    (tmp_path.parent / "outside").touch()
    outside = files.get(f"{tmp_path.parent}/outside")
    files.forget_below(str(tmp_path))
    assert not any(is_open(file) for file in inside)
    assert is_open(outside)
    files.forget(paths[0])
    files.close()
    assert not is_open(outside)


def test_creating_empties_a_file(paths: list[str]) -> None:
    files = OpenFiles(RealFileSystem())
    files.get(paths[5])
    assert files.create(paths[5]).size() == 0
    kept = files.open_or_create(paths[6])
    assert kept.size() == 1
    assert files.open_or_create(paths[6]) is kept
    files.close()

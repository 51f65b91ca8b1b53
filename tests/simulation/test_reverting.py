"""Real files go back to what was durable, and to nothing that was not."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simulation.recording import RecordingFileSystem
from simulation.reverting import revert

from ottla.seams.real import RealFileSystem


@pytest.fixture
def places(tmp_path: Path) -> tuple[str, str]:
    return f"{tmp_path}/data", f"{tmp_path}/side"


def start(places: tuple[str, str]) -> RecordingFileSystem:
    return RecordingFileSystem(RealFileSystem(), *places)


def test_only_synced_bytes_under_synced_names_stay(places: tuple[str, str]) -> None:
    root, _ = places
    Path(root, "t-0").mkdir(parents=True)
    Path(root, "t-0", "old").write_bytes(b"from before")
    disk = start(places)
    disk.make_directory(f"{root}/t-1")
    disk.sync_directory(root)
    disk.make_directory(f"{root}/t-2")
    file = disk.open(f"{root}/t-0/a", create=True)
    disk.sync_directory(f"{root}/t-0")
    file.write_at([b"durable"], 0)
    file.sync()
    file.write_at([b" not"], 7)
    file.close()
    file = disk.open(f"{root}/t-0/old")
    file.write_at([b"FROM"], 0)
    file.sync()
    file.truncate(4)
    file.write_at([b"!!"], 4)
    file.close()
    unnamed = disk.open(f"{root}/t-0/unnamed", create=True)
    unnamed.write_at([b"x"], 0)
    unnamed.sync()
    unnamed.close()
    changed = revert(*places, None)
    assert sorted(p.name for p in Path(root).iterdir()) == ["t-0", "t-1"]
    assert {p.name: p.read_bytes() for p in Path(root, "t-0").iterdir()} == {
        "a": b"durable",
        "old": b"FROM before",
    }
    assert [Path(path).name for path in changed] == ["a", "old", "unnamed"]


def test_truncation_is_reverted_unless_synced(places: tuple[str, str]) -> None:
    root, _ = places
    Path(root).mkdir()
    disk = start(places)
    file = disk.open(f"{root}/a", create=True)
    disk.sync_directory(root)
    file.write_at([b"0123456789"], 0)
    file.sync()
    file.truncate(4)
    file.write_at([b"xy"], 4)
    file.sync()
    file.truncate(2)
    file.close()
    revert(*places, None)
    assert Path(root, "a").read_bytes() == b"0123xy"


def test_renames_removals_and_trees(places: tuple[str, str]) -> None:
    root, _ = places
    Path(root, "gone").mkdir(parents=True)
    Path(root, "gone", "f").write_bytes(b"f")
    Path(root, "a").write_bytes(b"old")
    Path(root, "b").write_bytes(b"b")
    disk = start(places)
    file = disk.open(f"{root}/a.tmp", create=True)
    file.write_at([b"new"], 0)
    file.sync()
    file.close()
    disk.rename(f"{root}/a.tmp", f"{root}/a")
    disk.rename(f"{root}/gone", f"{root}/gone-delete")
    disk.sync_directory(root)
    disk.remove(f"{root}/b")
    disk.remove_tree(f"{root}/gone-delete")
    revert(*places, None)
    assert Path(root, "a").read_bytes() == b"new"
    assert Path(root, "b").read_bytes() == b"b"
    # The tree's own name comes back, and with it what its directory still holds.
    assert Path(root, "gone-delete", "f").read_bytes() == b"f"


def test_goes_on_after_a_kill_without_a_power_cut(places: tuple[str, str]) -> None:
    root, _ = places
    Path(root).mkdir()
    disk = start(places)
    file = disk.open(f"{root}/a", create=True)
    disk.sync_directory(root)
    file.write_at([b"one"], 0)
    file.close()  # killed here, never synced
    disk = start(places)
    again = disk.open(f"{root}/a")
    assert again.read_at(10, 0) == b"one"
    again.write_at([b"two"], 3)
    again.sync()
    again.write_at([b"three"], 6)
    again.close()
    revert(*places, None)
    assert Path(root, "a").read_bytes() == b"onetwo"


def test_a_seed_decides_what_becomes_of_the_rest(places: tuple[str, str]) -> None:
    root, _ = places
    found = set()
    for seed in range(60):
        Path(root).mkdir(exist_ok=True)
        disk = start(places)
        file = disk.open(f"{root}/a", create=True)
        file.truncate(0)
        file.sync()
        disk.sync_directory(root)
        file.write_at([b"x" * 1000], 0)
        file.close()
        revert(*places, random.Random(seed))
        found.add(Path(root, "a").read_bytes())
    assert {b"", b"x" * 1000} <= found
    assert len(found) > 5


def test_locks_and_paths_outside_are_passed_on(places: tuple[str, str], tmp_path: Path) -> None:
    root, _ = places
    Path(root).mkdir()
    disk = start(places)
    lock = disk.lock(f"{root}/.lock")
    assert lock is not None
    lock.release()
    disk.open(f"{tmp_path}/elsewhere", create=True).close()
    assert disk.list_directory(root) == [".lock"]
    assert disk.is_directory(root)
    assert disk.file_size(f"{root}/.lock") == 0
    assert disk.free_bytes(root) > 0


def test_names_that_a_kill_kept_from_being_recorded(places: tuple[str, str]) -> None:
    root, side = places
    Path(root).mkdir()
    disk = start(places)
    file = disk.open(f"{root}/a", create=True)
    file.write_at([b"durable"], 0)
    file.sync()
    file.close()
    disk.sync_directory(root)
    # Killed right after the system did it, and before it was recorded.
    Path(root, "a").rename(Path(root, "b"))
    Path(root, "c").write_bytes(b"new")
    disk = start(places)
    assert disk.list_directory(root) == ["b", "c"]
    file = disk.open(f"{root}/c")
    file.write_at([b"er"], 3)
    file.close()
    revert(root, side, None)
    assert {p.name: p.read_bytes() for p in Path(root).iterdir()} == {"a": b"durable"}


@pytest.mark.parametrize("seed", range(20))
def test_durable_bytes_survive_an_unrecorded_rename(places: tuple[str, str], seed: int) -> None:
    root, side = places
    Path(root).mkdir()
    disk = start(places)
    file = disk.open(f"{root}/a", create=True)
    file.write_at([b"durable"], 0)
    file.sync()
    file.close()
    disk.sync_directory(root)
    Path(root, "a").rename(Path(root, "b"))
    revert(root, side, random.Random(seed))
    assert Path(root, "a").read_bytes() == b"durable"


@pytest.mark.parametrize("is_resumed", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_a_replacement_whose_rename_was_not_recorded_is_whole(
    places: tuple[str, str], seed: int, is_resumed: bool
) -> None:
    """Killed after the rename and before its record: the old file or the new one, never both."""
    root, side = places
    Path(root).mkdir()
    disk = start(places)
    contents = (b"one " * 300, b"two " * 400)
    for name, content in zip(("a", "a.tmp"), contents, strict=True):
        file = disk.open(f"{root}/{name}", create=True)
        file.write_at([content], 0)
        file.sync()
        file.close()
    disk.sync_directory(root)
    disk.rename(f"{root}/a.tmp", f"{root}/a")
    names = Path(side, "names.jsonl")
    lines = names.read_text().splitlines(keepends=True)
    assert "rename" in lines[-1]
    names.write_text("".join(lines[:-1]))
    if is_resumed:
        start(places)
    revert(root, side, random.Random(seed))
    assert Path(root, "a").read_bytes() in contents


class _Killed(BaseException):
    """The process is gone at this moment."""


def _killing(step: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def do(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise _Killed
        return step(*arguments, **named)

    return do


@pytest.mark.parametrize("steps", range(6))
def test_a_kill_while_a_sync_is_recorded_leaves_what_was_durable(
    places: tuple[str, str], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first sync after a start records the whole file anew, because nobody knows what of it
    was written before the kill. A second kill, after any number of steps of that, once emptied
    the copy of what had been durable all the time."""
    root, _ = places
    Path(root).mkdir()
    disk = start(places)
    file = disk.open(f"{root}/a", create=True)
    disk.sync_directory(root)
    file.write_at([b"durable "], 0)
    file.sync()
    file.close()
    disk = start(places)
    file = disk.open(f"{root}/a")
    file.write_at([b"and more"], 8)
    left = [steps]
    with monkeypatch.context() as patched:
        for owner, name in (
            (os, "ftruncate"),
            (os, "pwrite"),
            (Path, "write_bytes"),
            (Path, "replace"),
        ):
            patched.setattr(owner, name, _killing(getattr(owner, name), left))
        try:
            file.sync()
            is_synced = True
        except _Killed:
            is_synced = False
    file.close()
    revert(*places, None)
    assert Path(root, "a").read_bytes() in (
        [b"durable and more"] if is_synced else [b"durable ", b"durable and more"]
    )

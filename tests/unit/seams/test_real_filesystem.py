"""The real filesystem keeps the seam's word, on both kinds of file."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ottla.seams.filesystem import FileSystem
from ottla.seams.real import RealFileSystem
from ottla.seams.real.positioned import PositionedFile, can_read_without_waiting


@pytest.fixture(params=["probed", "plain"])
def filesystem(request: pytest.FixtureRequest) -> FileSystem:
    return RealFileSystem(plain=request.param == "plain")


def test_writes_all_buffers_and_reads_them_back(filesystem: FileSystem, tmp_path: Path) -> None:
    file = filesystem.open(f"{tmp_path}/a", create=True)
    many = [bytes([i % 256]) * 3 for i in range(3000)]
    file.write_at(many, 5)
    whole = bytes(5) + b"".join(many)
    assert file.size() == len(whole)
    assert file.read_at(len(whole), 0) == whole
    cached = file.read_cached_at(100, len(whole) - 10)
    assert cached is not None
    assert bytes(cached) == whole[-10:]
    assert file.read_at(10, len(whole)) == b""
    file.truncate(3)
    assert file.read_at(10, 0) == bytes(3)
    file.sync()
    file.close()
    file.close()
    assert filesystem.file_size(f"{tmp_path}/a") == 3


def test_names(filesystem: FileSystem, tmp_path: Path) -> None:
    root = str(tmp_path)
    filesystem.make_directory(f"{root}/x/y")
    filesystem.make_directory(f"{root}/x/y")
    assert filesystem.is_directory(f"{root}/x/y")
    filesystem.open(f"{root}/x/b", create=True).close()
    filesystem.open(f"{root}/x/a", create=True).close()
    filesystem.sync_directory(f"{root}/x")
    assert filesystem.list_directory(f"{root}/x") == ["a", "b", "y"]
    filesystem.rename(f"{root}/x/a", f"{root}/x/b")
    assert filesystem.list_directory(f"{root}/x") == ["b", "y"]
    filesystem.remove(f"{root}/x/b")
    assert not filesystem.exists(f"{root}/x/b")
    filesystem.remove_tree(f"{root}/x")
    assert not filesystem.exists(f"{root}/x")
    assert filesystem.total_bytes(root) > filesystem.free_bytes(root) > 0
    with pytest.raises(FileNotFoundError):
        filesystem.open(f"{root}/none")


def test_read_only_files_refuse_writes(filesystem: FileSystem, tmp_path: Path) -> None:
    filesystem.open(f"{tmp_path}/a", create=True).close()
    file = filesystem.open(f"{tmp_path}/a", read_only=True)
    with pytest.raises(OSError):
        file.write_at([b"x"], 0)
    file.close()


def test_second_lock_is_refused_until_the_first_is_released(
    filesystem: FileSystem, tmp_path: Path
) -> None:
    first = filesystem.lock(f"{tmp_path}/.lock")
    assert first is not None
    assert filesystem.lock(f"{tmp_path}/.lock") is None
    first.release()
    second = filesystem.lock(f"{tmp_path}/.lock")
    assert second is not None
    second.release()


def test_short_writes_are_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filesystem: FileSystem
) -> None:
    real_pwritev: Callable[..., int] = os.pwritev
    real_write = os.write

    def short_pwritev(descriptor: int, buffers: list[bytes], position: int) -> int:
        joined = b"".join(buffers)
        return real_pwritev(descriptor, [joined[:7]], position)

    file = filesystem.open(f"{tmp_path}/a", create=True)
    monkeypatch.setattr(os, "pwritev", short_pwritev)
    monkeypatch.setattr(os, "write", lambda d, b: real_write(d, bytes(b)[:7]))
    file.write_at([b"abcdefghij", b"", b"klm", b"nopqrstuvwxyz"], 0)
    monkeypatch.undo()
    assert file.read_at(100, 0) == b"abcdefghijklmnopqrstuvwxyz"
    file.close()


def test_a_full_disk_is_an_error_and_not_a_part_of_a_write() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("[not-on-this-platform] this system has no /dev/full")
    for plain in (False, True):
        file = RealFileSystem(plain=plain).open("/dev/full")
        with pytest.raises(OSError) as caught:
            file.write_at([b"x"], 0)
        assert caught.value.errno == 28
        file.close()


def test_tmpfs_gets_plain_files() -> None:
    if not os.path.isdir("/dev/shm"):
        pytest.skip("[not-on-this-platform] this system has no /dev/shm")
    path = f"/dev/shm/ottla-test-{os.getpid()}"
    filesystem = RealFileSystem()
    file = filesystem.open(path, create=True)
    try:
        descriptor = os.open(path, os.O_RDONLY)
        expected = can_read_without_waiting(descriptor)
        os.close(descriptor)
        assert isinstance(file, PositionedFile) is expected
        file.write_at([b"abc"], 0)
        assert file.read_cached_at(10, 1) == b"bc"
    finally:
        file.close()
        filesystem.remove(path)


def test_cold_data_is_not_waited_for(tmp_path: Path) -> None:
    filesystem = RealFileSystem()
    path = f"{tmp_path}/cold"
    file = filesystem.open(path, create=True)
    if not isinstance(file, PositionedFile):
        file.close()
        pytest.skip("[not-on-this-platform] this filesystem does not know RWF_NOWAIT")
    file.write_at([b"x" * 100_000], 0)
    file.sync()
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    cold = file.read_cached_at(100_000, 0)
    if cold is not None:
        file.close()
        pytest.skip("[not-on-this-platform] the system kept the pages cached")
    assert len(file.read_at(100_000, 0)) == 100_000
    assert file.read_cached_at(100_000, 0) is not None
    file.close()

"""Whatever is asked of a delegating filesystem, the one within does."""

from pathlib import Path

from ottla.seams.delegating import DelegatingFile, DelegatingFileSystem
from ottla.seams.real import RealFileSystem


def test_everything_is_passed_on(tmp_path: Path) -> None:
    inner = RealFileSystem()
    disk = DelegatingFileSystem(inner)
    home = f"{tmp_path}/home"
    disk.make_directory(home)
    file = DelegatingFile(disk.open(f"{home}/a", create=True))
    file.write_at([b"01", b"23456789"], 0)
    file.truncate(6)
    file.sync()
    disk.sync_directory(home)
    assert file.path == f"{home}/a"
    assert file.size() == disk.file_size(f"{home}/a") == 6
    assert file.read_at(3, 1) == b"123"
    cached = file.read_cached_at(3, 1)
    assert cached is None or bytes(cached) == b"123"
    file.close()
    disk.rename(f"{home}/a", f"{home}/b")
    assert disk.exists(f"{home}/b")
    assert disk.is_directory(home)
    assert disk.list_directory(home) == ["b"]
    disk.remove(f"{home}/b")
    lock = disk.lock(f"{home}/.lock")
    assert lock is not None
    lock.release()
    disk.remove_tree(home)
    assert not disk.exists(home)
    assert disk.total_bytes(str(tmp_path)) > disk.free_bytes(str(tmp_path)) > 0

"""The simulated disk keeps what was synced, loses the rest in every way, and lies nowhere else."""

import random

import pytest
from simulation.disk import PowerCut, SimulatedDisk
from simulation.tearing import SECTOR_BYTES, tear


def machine(seed: int = 1) -> SimulatedDisk:
    disk = SimulatedDisk(random.Random(seed))
    disk.make_directory("/data/t-0")
    disk.sync_directory("/")
    disk.sync_directory("/data")
    return disk


def write(disk: SimulatedDisk, path: str, data: bytes, *, sync: bool) -> None:
    file = disk.open(path, create=True)
    file.write_at([data], file.size())
    if sync:
        file.sync()
    file.close()


def read(disk: SimulatedDisk, path: str) -> bytes:
    file = disk.open(path)
    return file.read_at(file.size(), 0)


@pytest.mark.parametrize("seed", range(50))
def test_synced_bytes_under_synced_names_survive(seed: int) -> None:
    disk = machine()
    write(disk, "/data/t-0/a", b"x" * 700, sync=True)
    disk.sync_directory("/data/t-0")
    write(disk, "/data/t-0/a", b"y" * 2000, sync=False)
    disk.power_cut(random.Random(seed))
    assert read(disk, "/data/t-0/a")[:700] == b"x" * 700


def outcomes(sync_file: bool, sync_name: bool) -> set[bytes | None]:
    found: set[bytes | None] = set()
    for seed in range(300):
        disk = machine()
        write(disk, "/data/t-0/a", b"x" * 1000, sync=sync_file)
        if sync_name:
            disk.sync_directory("/data/t-0")
        disk.power_cut(random.Random(seed))
        exists = disk.exists("/data/t-0/a")
        found.add(read(disk, "/data/t-0/a") if exists else None)
    return found


def test_unsynced_bytes_may_be_there_cut_zeroed_or_rubbish() -> None:
    found = outcomes(sync_file=False, sync_name=True)
    assert None not in found
    assert {b"", b"x" * 1000, b"x" * SECTOR_BYTES, bytes(1000)} <= found
    assert any(set(some) - {0, ord("x")} for some in found if some)
    assert any(0 < len(some) < 1000 and len(some) % SECTOR_BYTES for some in found if some)


def test_unsynced_names_may_be_forgotten_even_of_synced_files() -> None:
    assert outcomes(sync_file=True, sync_name=False) == {None, b"x" * 1000}


def test_a_replacing_rename_is_all_or_nothing() -> None:
    found = set()
    for seed in range(100):
        disk = machine()
        write(disk, "/data/a", b"old", sync=True)
        disk.sync_directory("/data")
        write(disk, "/data/a.tmp", b"new", sync=True)
        disk.rename("/data/a.tmp", "/data/a")
        disk.power_cut(random.Random(seed))
        found.add(read(disk, "/data/a"))
    assert found == {b"old", b"new"}


def test_removed_names_may_come_back_and_directories_take_their_files_along() -> None:
    found = set()
    for seed in range(100):
        disk = machine()
        write(disk, "/data/a", b"old", sync=True)
        disk.sync_directory("/data")
        disk.remove("/data/a")
        disk.rename("/data/t-0", "/data/t-0-delete")
        disk.power_cut(random.Random(seed))
        found.add(tuple(disk.list_directory("/data")))
    assert len(found) == 4
    disk = machine()
    write(disk, "/data/t-0/a", b"old", sync=True)
    disk.sync_directory("/data/t-0")
    disk.remove_tree("/data/t-0")
    assert not disk.exists("/data/t-0")
    disk.sync_directory("/data")
    disk.power_cut(random.Random(0))
    assert not disk.exists("/data/t-0")


def test_power_fails_at_the_chosen_step_and_stays_off() -> None:
    disk = machine()
    file = disk.open("/data/t-0/a", create=True)
    disk.cut_power_at(disk.steps + 2)
    file.write_at([b"x"], 0)
    with pytest.raises(PowerCut):
        file.sync()
    with pytest.raises(PowerCut):
        disk.exists("/data")
    disk.power_cut(random.Random(0))
    assert disk.exists("/data/t-0")
    with pytest.raises(AssertionError):
        file.size()


def test_a_failed_sync_is_never_made_good_by_a_second_one() -> None:
    found = set()
    for seed in range(100):
        disk = machine()
        write(disk, "/data/a", b"", sync=True)
        disk.sync_directory("/data")
        file = disk.open("/data/a")
        file.write_at([b"x" * 600], 0)
        disk.set_fault(lambda kind, path: kind == "sync" and path == "/data/a")
        with pytest.raises(OSError):
            file.sync()
        disk.set_fault(None)
        file.sync()
        assert file.read_at(600, 0) == b"x" * 600
        disk.power_cut(random.Random(seed))
        found.add(read(disk, "/data/a"))
    assert b"" in found


def test_a_full_disk_writes_a_part_and_says_so() -> None:
    disk = SimulatedDisk(random.Random(0), capacity_bytes=1000)
    file = disk.open("/a", create=True)
    file.write_at([b"x" * 900], 0)
    assert disk.free_bytes("/") == 100
    assert disk.total_bytes("/") == 1000
    with pytest.raises(OSError) as caught:
        file.write_at([b"y" * 200], 900)
    assert caught.value.errno == 28
    assert file.size() == 1000
    file.write_at([b"z" * 500], 0)
    file.truncate(10)
    assert disk.free_bytes("/") == 990
    disk.remove("/a")
    assert disk.free_bytes("/") == 1000


def test_locks_go_with_the_power() -> None:
    disk = machine()
    first = disk.lock("/data/.lock")
    assert first is not None
    assert disk.lock("/data/.lock") is None
    first.release()
    assert disk.lock("/data/.lock") is not None
    disk.power_cut(random.Random(0))
    assert disk.lock("/data/.lock") is not None


def test_cold_reads() -> None:
    disk = machine()
    disk.cold_share = 0.5
    write(disk, "/data/a", b"abc", sync=True)
    file = disk.open("/data/a")
    assert {None if (r := file.read_cached_at(2, 1)) is None else bytes(r) for _ in range(50)} == {
        None,
        b"bc",
    }


@pytest.mark.parametrize("seed", range(200))
def test_tearing_keeps_durable_bytes_that_were_not_overwritten(seed: int) -> None:
    rng = random.Random(seed)
    durable = rng.randbytes(rng.randint(0, 3000))
    written = durable + rng.randbytes(rng.randint(0, 3000))
    assert tear(durable, written, rng)[: len(durable)] == durable
    shorter = durable[: rng.randint(0, len(durable))]
    assert tear(durable, shorter, rng)[: len(shorter)] == shorter


def test_the_same_seed_gives_the_same_disk() -> None:
    def run() -> list[bytes]:
        rng = random.Random(5)
        disk = machine()
        for name in "abc":
            write(disk, f"/data/{name}", rng.randbytes(3000), sync=False)
        disk.power_cut(rng)
        return [read(disk, f"/data/{name}") for name in disk.list_directory("/data")[:-1]]

    assert run() == run()

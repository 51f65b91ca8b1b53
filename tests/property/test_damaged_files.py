"""Whatever stands in the files of a log, a start and a read end well or say what is wrong."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ottla.batch.control import TransactionMarker, build_marker_batch
from ottla.batch.record_batch import Record, build_batch, headers, records
from ottla.seams.real import RealFileSystem
from ottla.storage.directory_state import DirectoryState
from ottla.storage.errors import StorageError
from ottla.storage.log_config import LogConfig
from ottla.storage.log_reader import ColdRead
from ottla.storage.open_files import OpenFiles
from ottla.storage.partition_log import PartitionLog
from ottla.storage.validator import Origin

NOW_MS = 1_800_000_000_000
CONFIG = LogConfig(
    segment_bytes=1_500,
    index_interval_bytes=150,
    cleanup_policy=frozenset({"compact", "delete"}),
    min_cleanable_dirty_ratio=0.0,
)
FILESYSTEM = RealFileSystem()


def open_log(root: Path, recovery_point: int) -> tuple[PartitionLog, OpenFiles]:
    files = OpenFiles(FILESYSTEM, 8)
    state = DirectoryState(FILESYSTEM, str(root))
    log = PartitionLog(
        files,
        state,
        f"{root}/t-0",
        "t",
        0,
        CONFIG,
        wall_ms=NOW_MS,
        recovery_point=recovery_point,
    )
    return log, files


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A log with every kind of file, and its recovery point."""
    root = tmp_path_factory.mktemp("sound")
    (root / "t-0").mkdir()
    log, files = open_log(root, 0)
    log.open()
    for i in range(30):
        made = [Record(0, NOW_MS + i, b"k%d" % (j % 3), b"v" * (9 * j)) for j in range(6)]
        data = build_batch(
            made,
            producer_id=3,
            producer_epoch=0,
            base_sequence=6 * i,
            transactional=True,
            compression=i % 5,
        )
        log.append(data, leader_epoch=i // 10, wall_ms=NOW_MS)
        if i % 4 == 3:
            marker = build_marker_batch(
                TransactionMarker(i % 8 == 3, 0),
                producer_id=3,
                producer_epoch=0,
                timestamp_ms=NOW_MS,
            )
            log.append(marker, leader_epoch=i // 10, wall_ms=NOW_MS, origin=Origin.COORDINATOR)
        if i == 20:
            log.checkpoint()
    ticket = log.begin_flush()
    assert ticket is not None
    ticket.run()
    log.finish_flush(ticket, None)
    recovery_point = log.recovery_point
    files.close()
    return root, recovery_point


def use(log: PartitionLog) -> None:
    """Everything that reads files; what it may raise is caught one by one."""
    for offset in range(0, log.log_end_offset + 2, 3):
        try:
            answer = log.read(offset, 700, log.log_end_offset)
            info = answer.run() if isinstance(answer, ColdRead) else answer
        except (StorageError, OSError):
            continue
        for buffer in info.buffers:
            # What is served is sound.
            for position, header in headers(buffer):
                assert header.base_offset < log.log_end_offset
                list(records(buffer, position))
    for attempt in (
        lambda: log.offset_for_timestamp(NOW_MS + 20),
        lambda: log.search_max_timestamp().run(),
        lambda: log.aborted_transactions(0, log.log_end_offset),
        lambda: log.end_offset_for_epoch(1),
        lambda: log.last_stable_offset(log.log_end_offset),
        lambda: log.apply_retention(NOW_MS + 10),
    ):
        try:
            attempt()
        except (StorageError, OSError):
            pass


damages = st.lists(
    st.tuples(
        st.integers(0, 200),  # which file
        st.floats(0, 1),  # where
        st.one_of(st.binary(min_size=1, max_size=80), st.sampled_from([None, b"\0" * 300])),
    ),
    min_size=1,
    max_size=4,
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(damage=damages, is_below=st.booleans())
@example(damage=[(0, 0.0, None)], is_below=False)
def test_damage_is_survived_or_named(
    sound: tuple[Path, int], damage: list[tuple[int, float, bytes | None]], is_below: bool
) -> None:
    source, recovery_point = sound
    with tempfile.TemporaryDirectory(prefix="ottla-damage-") as name:
        root = Path(name)
        shutil.copytree(source / "t-0", root / "t-0")
        paths = sorted((root / "t-0").iterdir())
        for which, where, content in damage:
            path = paths[which % len(paths)]
            old = path.read_bytes() if path.exists() else b""
            at = int(len(old) * where)
            # None cuts the file off.
            path.write_bytes(
                old[:at] + (content or b"") + (old[at + len(content) :] if content else b"")
            )
        log, files = open_log(root, recovery_point if is_below else 0)
        try:
            log.open()
            assert log.log_end_offset >= (recovery_point if is_below else 0)
            use(log)
            before = log.log_end_offset
            data = build_batch([Record(0, NOW_MS, b"k", b"new")])
            info = log.append(data, leader_epoch=7, wall_ms=NOW_MS)
            assert info.first_offset == before
            found = log.read(before, 1_000, before + 1)
            assert not isinstance(found, ColdRead)
            assert bytes(found.buffers[0]) == bytes(data)
            log.checkpoint()
            files.close()
            again, files = open_log(root, log.recovery_point)
            again.open()
            assert again.log_end_offset == before + 1
            use(again)
        except StorageError:
            pass  # It says what is wrong; nothing was made worse.
        finally:
            files.close()

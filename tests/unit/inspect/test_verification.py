"""Damage is named by file and byte; a directory in order has none."""

from pathlib import Path

import pytest

from ottla.batch.record_batch import Record, build_batch
from ottla.inspect.repair import InUseError, repair
from ottla.inspect.verification import Findings, verify
from ottla.seams.real import RealFileSystem

SEGMENT = "00000000000000000000.log"


@pytest.fixture
def partition(tmp_path: Path) -> Path:
    """A partition of two batches with two records each."""
    directory = tmp_path / "orders-0"
    directory.mkdir()
    data = b"".join(
        build_batch([Record(n, 1_000, None, b"x"), Record(n + 1, 1_000, None, b"y")], base_offset=n)
        for n in (0, 2)
    )
    (directory / SEGMENT).write_bytes(data)
    return directory


def look_at(partition: Path) -> Findings:
    findings = Findings()
    for _ in verify(partition.parent, findings, is_deep=True):
        pass
    return findings


def test_an_intact_partition_is_counted_and_in_order(partition: Path) -> None:
    findings = look_at(partition)
    assert (findings.partitions, findings.segments, findings.batches) == (1, 1, 2)
    assert findings.records == 4
    assert findings.problems == []


def test_a_flipped_byte_is_named_with_its_batch(partition: Path) -> None:
    path = partition / SEGMENT
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    (problem,) = look_at(partition).problems
    assert str(problem) == (
        f"{path} at byte {len(data) // 2}: the checksum of the batch with offset 2 to 3 is wrong."
    )


def test_a_torn_end_is_named(partition: Path) -> None:
    path = partition / SEGMENT
    path.write_bytes(path.read_bytes()[:-3])
    (problem,) = look_at(partition).problems
    assert "no whole batch" in problem.sentence


def test_repeated_offsets_are_named(partition: Path) -> None:
    path = partition / SEGMENT
    path.write_bytes(path.read_bytes() * 2)
    assert [p.sentence for p in look_at(partition).problems] == [
        "offset 0 comes again; 4 was due.",
        "offset 2 comes again; 4 was due.",
    ]


def test_an_index_that_leads_astray_is_named(partition: Path) -> None:
    (partition / SEGMENT).with_suffix(".index").write_bytes(b"\0\0\0\1" + b"\0\0\0\7")
    (problem,) = look_at(partition).problems
    assert problem.sentence == "offset 1 is not at byte 7 of the log."


def test_deleted_partitions_are_left_alone(partition: Path) -> None:
    partition.rename(partition.with_name("orders-0.abc-delete"))
    assert look_at(partition).partitions == 0


def mended(partition: Path) -> list[str]:
    return list(repair(partition.parent, look_at(partition).problems))


def test_a_torn_end_is_cut_off_and_kept_when_told(partition: Path) -> None:
    path = partition / SEGMENT
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    assert path.read_bytes() == whole[:-3], "to look changes nothing"
    (sentence,) = mended(partition)
    assert "last whole batch" in sentence
    assert path.read_bytes() + (partition / f"{SEGMENT}.damaged").read_bytes() == whole[:-3]
    assert look_at(partition).problems == []


def test_what_can_be_built_again_is_set_aside_when_told(partition: Path) -> None:
    index = partition / SEGMENT.replace("log", "index")
    index.write_bytes((7).to_bytes(4, "big") + (3).to_bytes(4, "big"))
    epochs = partition / "leader-epoch-checkpoint"
    epochs.write_text("rubbish")
    (partition / "leader-epoch-checkpoint.damaged").write_text("of an earlier repair")
    (partition.parent / ".kafka_cleanshutdown").write_text("")
    assert len(mended(partition)) == 2
    assert not index.exists()
    assert (partition / "leader-epoch-checkpoint.damaged-2").read_text() == "rubbish"
    assert not (partition.parent / ".kafka_cleanshutdown").exists()
    assert look_at(partition).problems == []


def test_a_damaged_batch_stays_as_it_is(partition: Path) -> None:
    path = partition / SEGMENT
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert mended(partition) == []
    assert path.read_bytes() == data


def test_nothing_is_mended_while_a_broker_runs(partition: Path) -> None:
    (partition / "leader-epoch-checkpoint").write_text("rubbish")
    lock = RealFileSystem().lock(str(partition.parent / ".lock"))
    assert lock is not None
    with pytest.raises(InUseError, match="in use"):
        mended(partition)
    lock.release()


def test_files_of_the_whole_directory_are_looked_at(partition: Path) -> None:
    (partition.parent / "ottla-checkpoint").write_text("rubbish")
    (partition.parent / "ottla-metadata.journal").write_bytes(b"rubbish")
    named = {problem.path.name for problem in look_at(partition).problems}
    assert named == {"ottla-checkpoint", "ottla-metadata.journal"}


def test_rubbish_in_a_transaction_index_is_named(partition: Path) -> None:
    (partition / SEGMENT.replace("log", "txnindex")).write_bytes(b"rubbish")
    (problem,) = look_at(partition).problems
    assert "7 bytes are no aborted transactions" in problem.sentence

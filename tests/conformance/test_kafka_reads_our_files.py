"""Kafka's own kafka-dump-log reads the files that our storage writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ottla.batch.control import TransactionMarker, build_marker_batch
from ottla.batch.record_batch import Record, build_batch
from ottla.engine.apache import ApacheKafka
from ottla.seams.real import RealFileSystem
from ottla.storage.identity import Identity
from ottla.storage.log_config import LogConfig
from ottla.storage.log_directory import LogDirectory
from ottla.storage.validator import Origin

NOW_MS = 1_700_000_000_000
PRODUCER = {"producer_id": 7, "producer_epoch": 0}


def write_log(path: Path) -> Path:
    """A log with every kind of batch and file; its directory."""
    directory = LogDirectory.open(RealFileSystem(), str(path), Identity("c", 1, "d"))
    directory.load(lambda _: LogConfig(), NOW_MS)
    config = LogConfig(
        segment_bytes=60_000, cleanup_policy=frozenset({"compact"}), min_cleanable_dirty_ratio=0.1
    )
    log = directory.create_log("t", 0, bytes(range(16)), config, NOW_MS)
    for i in range(200):
        records = [Record(0, NOW_MS + i * 10 + j, b"k%d" % j, b"v" * 40) for j in range(20)]
        batch = build_batch(
            records,
            **PRODUCER,
            base_sequence=i * 20,
            transactional=i >= 100,
            compression=i % 5,
        )
        log.append(batch, leader_epoch=i // 90, wall_ms=NOW_MS)
        if i == 60:
            # What was written so far is compacted; the rest stays as it was appended.
            log.roll()
            log.checkpoint()
            log.checkpoint_written(log.checkpoint_entry(bytes(16)))
            compaction = log.begin_compaction(NOW_MS)
            assert compaction is not None
            compaction.run()
            log.finish_compaction(compaction)
    marker = build_marker_batch(TransactionMarker(False, 3), **PRODUCER, timestamp_ms=NOW_MS)
    log.append(marker, leader_epoch=2, wall_ms=NOW_MS, origin=Origin.COORDINATOR)
    directory.close()
    return path / "t-0"


@pytest.fixture(scope="module")
def log_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("kafka-reads") / "data")


def dump(kafka: ApacheKafka, path: Path, *options: str) -> str:
    tool = "org.apache.kafka.tools.DumpLogSegments"
    return kafka.distribution.run(tool, "--files", str(path), *options)


def files(log_path: Path, suffix: str) -> list[Path]:
    found = sorted(log_path.glob(f"*{suffix}"))
    assert found
    return found


def test_every_batch_and_record_is_read(apache_kafka: ApacheKafka, log_path: Path) -> None:
    offsets = []
    for path in files(log_path, ".log"):
        text = dump(apache_kafka, path, "--print-data-log", "--deep-iteration")
        assert "isvalid: false" not in text
        assert f"Log starting offset: {int(path.stem)}" in text
        offsets += [int(found) for found in re.findall(r"^\| offset: (\d+)", text, re.M)]
    # Of the 61 first batches compaction left one record of each key.
    assert offsets == list(range(1_200, 4_001))


def test_indexes_agree_with_the_log(apache_kafka: ApacheKafka, log_path: Path) -> None:
    for suffix in (".index", ".timeindex"):
        for path in files(log_path, suffix):
            text = dump(apache_kafka, path)
            for complaint in ("Mismatches in", "Found timestamp mismatch", "Found out of order"):
                assert complaint not in text
            assert "not found in the log" not in text
    for path in files(log_path, ".index"):
        if not path.stat().st_size:
            continue  # Compaction left less than one index interval.
        assert "passed sanity check" in dump(apache_kafka, path, "--index-sanity-check")


def test_the_transaction_index_and_the_producers_are_read(
    apache_kafka: ApacheKafka, log_path: Path
) -> None:
    text = "".join(dump(apache_kafka, path) for path in files(log_path, ".txnindex"))
    assert "producerId: 7 firstOffset: 2000 lastOffset: 4000 lastStableOffset: 4001" in text
    text = dump(apache_kafka, files(log_path, ".snapshot")[-1])
    # Five batches of the producer; Kafka takes the last line.
    assert len(re.findall("^producerId: 7 producerEpoch: 0", text, re.M)) == 5
    assert "firstSequence: 3980 lastSequence: 3999 lastOffset: 3999" in text

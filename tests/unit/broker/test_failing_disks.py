"""Disks that fail: nothing is lost, nobody is lied to, and a person is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.core import Core, batch, values
from tests.support.requests import create_topic, fetch, metadata, produce

from ottla.storage.errors import StorageError
from ottla.wire.errors import ErrorCode


def test_a_failed_flush_takes_the_directory_offline(tmp_path: Path) -> None:
    core = Core(str(tmp_path / "d"), flushes_by_hand=True)
    client, reader = core.client(), core.client()
    client.call(create_topic("t", 2), 7)
    client.send(produce("t", batch("a")), 9)
    reader.send(fetch("t", max_wait_ms=10_000), 12)
    (ticket,) = core.broker.take_flush_round()
    core.broker.finish_flush(ticket, OSError(5, "the disk is gone"), core.wall_ms, core.now_ms)
    result = client.read().responses[0].partition_responses[0]
    assert result.error_code == ErrorCode.KAFKA_STORAGE_ERROR
    assert reader.read().responses[0].partitions[0].error_code == ErrorCode.KAFKA_STORAGE_ERROR
    refused = client.call(produce("t", batch("a"), 1), 9).responses[0].partition_responses[0]
    assert refused.error_code == ErrorCode.KAFKA_STORAGE_ERROR
    partitions = client.call(metadata("t"), 12).topics[0].partitions
    assert {p.error_code for p in partitions} == {ErrorCode.LEADER_NOT_AVAILABLE}
    assert [p.offline_replicas for p in partitions] == [[1], [1]]
    assert len(core.sink.told) == 1
    assert "the disk is gone" in core.sink.told[0]
    core.broker.close(core.wall_ms)


def test_damage_is_told_with_file_and_position_and_never_served(tmp_path: Path) -> None:
    core = Core(str(tmp_path / "d"))
    client = core.client()
    client.call(create_topic("t"), 7)
    client.call(produce("t", batch("good")), 9)
    client.call(produce("t", batch("bad")), 9)
    core.broker.close(core.wall_ms)
    path = tmp_path / "d" / "t-0" / "00000000000000000000.log"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    core.start()
    client = core.client()
    found = client.call(fetch("t"), 12).responses[0].partitions[0]
    assert values(found.records) == ["good"]
    found = client.call(fetch("t", 1), 12).responses[0].partitions[0]
    assert found.error_code == ErrorCode.CORRUPT_MESSAGE
    assert not found.records
    assert any(str(path) in sentence for sentence in core.sink.told)
    core.broker.close(core.wall_ms)


def test_a_directory_in_use_is_refused_and_a_failed_start_lets_go(tmp_path: Path) -> None:
    core = Core(str(tmp_path / "d"))
    with pytest.raises(StorageError, match="in use"):
        Core(str(tmp_path / "d"))
    core.broker.close(core.wall_ms)
    journal = tmp_path / "d" / "ottla-metadata.journal"
    content = journal.read_bytes()
    journal.write_bytes(b"nonsense" + content)
    with pytest.raises(StorageError):
        Core(str(tmp_path / "d"))
    journal.write_bytes(content)
    Core(str(tmp_path / "d")).broker.close(0)

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.core import Client, Core, batch, values
from tests.support.requests import create_topic, fetch, list_offset, produce

from ottla.batch.record_batch import Record, build_batch, headers
from ottla.broker import maintenance
from ottla.wire.messages.list_offsets import ListOffsetsResponse
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from ottla.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup


def offset(response: ListOffsetsResponse) -> int:
    return response.topics[0].partitions[0].offset


def everything(client: Client) -> list[str]:
    """The values of all records of t-0."""
    found: list[str] = []
    offset = 0
    while data := client.call(fetch("t", offset), 12).responses[0].partitions[0].records:
        found += values(data)
        offset = list(headers(data))[-1][1].next_offset
    return found


def test_old_records_go_and_their_files_follow(tmp_path: Path) -> None:
    # Files go once the start offset and the recovery point above them are durable.
    often = "log.retention.check.interval.ms", "log.flush.offset.checkpoint.interval.ms"
    core = Core(str(tmp_path / "d"), dict.fromkeys(often, "1000"))
    client = core.client()
    client.call(
        create_topic("t", retention_ms="5000", segment_bytes="100", file_delete_delay_ms="100"), 7
    )
    for value in "abc":
        client.call(produce("t", batch(value)), 9)
    core.advance(5001)
    client.call(produce("t", batch("d", base_sequence=-1)), 9)
    core.advance(5000)
    assert offset(client.call(list_offset("t", -2), 9)) >= 3
    directory = tmp_path / "d" / "t-0"
    assert not (directory / "00000000000000000000.log").exists()
    core.advance(200)
    assert not list(directory.glob("*.deleted"))
    core.restart()
    assert offset(core.client().call(list_offset("t", -2), 9)) >= 3
    core.broker.close(core.wall_ms)


def test_much_data_is_reason_enough_for_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "CHECKPOINT_BYTES", 100_000)
    core = Core(str(tmp_path / "d"))
    client = core.client()
    client.call(create_topic("t"), 7)
    partition = core.broker.find_partition("t", 0)
    assert partition is not None
    for expected in (0, 2):
        client.call(produce("t", batch("a" * 60_000)), 9)
        core.advance(1_100)
        assert partition.log.recovery_point == expected
    core.broker.close(core.wall_ms)


def test_checkpoints_move_the_recovery_point(tmp_path: Path) -> None:
    core = Core(str(tmp_path / "d"), {"log.flush.offset.checkpoint.interval.ms": "1000"})
    client = core.client()
    client.call(create_topic("t", 3), 7)
    client.call(produce("t", batch("a"), 1), 9)
    core.advance(3000)
    partition = core.broker.find_partition("t", 1)
    assert partition is not None
    assert partition.log.recovery_point == 1
    text = (tmp_path / "d" / "recovery-point-offset-checkpoint").read_text()
    assert "t 1 1" in text
    core.broker.close(core.wall_ms)


def test_deleted_topics_leave_no_files(tmp_path: Path) -> None:
    from ottla.wire.messages.delete_topics import DeleteTopicsRequest

    core = Core(str(tmp_path / "d"))
    client = core.client()
    client.call(create_topic("t", 3, file_delete_delay_ms="100"), 7)
    client.call(DeleteTopicsRequest(topic_names=["t"]), 5)
    assert not (tmp_path / "d" / "t-0").exists()
    core.advance(200)
    assert not list((tmp_path / "d").glob("t-*"))
    core.broker.close(core.wall_ms)


def test_compacted_topics_keep_the_last_of_each_key(tmp_path: Path) -> None:
    core = Core(
        str(tmp_path / "d"),
        {
            "log.cleaner.backoff.ms": "1000",
            "log.flush.offset.checkpoint.interval.ms": "1000",
        },
    )
    client = core.client()
    client.call(
        create_topic(
            "t", cleanup_policy="compact", segment_bytes="200", min_cleanable_dirty_ratio="0.01"
        ),
        7,
    )
    for i in range(20):
        data = build_batch([Record(0, core.wall_ms, b"k%d" % (i % 2), b"v%d" % i)])
        result = client.call(produce("t", data), 9).responses[0].partition_responses[0]
        assert result.error_code == 0
    core.advance(10_000)
    assert core.broker.metrics.compactions > 0
    left = everything(client)
    assert len(left) < 10
    assert left[-2:] == ["v18", "v19"]
    core.restart()
    assert everything(core.client()) == left
    core.broker.close(core.wall_ms)


def commit_everywhere(offset: int) -> OffsetCommitRequest:
    partitions = [OffsetCommitRequestPartition(p, offset, -1, 0, "") for p in range(10)]
    return OffsetCommitRequest(
        "g", -1, "", topics=[OffsetCommitRequestTopic(name="t", partitions=partitions)]
    )


def test_commits_without_end_leave_a_short_log(tmp_path: Path) -> None:
    core = Core(str(tmp_path / "d"), {"offsets.topic.segment.bytes": "20000"})
    client = core.client()
    client.call(create_topic("t", 10), 7)
    sizes = []
    for offset in range(1, 601):
        answer = client.call(commit_everywhere(offset), 8)
        assert not any(p.error_code for p in answer.topics[0].partitions)
        core.advance(10)
        index = core.broker.coordinators.groups.partition_for("g")
        partition = core.broker.find_partition("__consumer_offsets", index)
        assert partition is not None
        sizes.append(partition.log.size)
    # 6,000 commits of about 50 bytes; a round of the cleaner comes only every 15 s.
    assert max(sizes) < 100_000
    core.restart()
    ask = OffsetFetchRequest(groups=[OffsetFetchRequestGroup("g", topics=None)])
    found = core.client().call(ask, 8).groups[0].topics[0].partitions
    assert [p.committed_offset for p in found] == [600] * 10
    core.broker.close(core.wall_ms)


def keyed(core: Core, client: Client, *keys: str) -> None:
    """A record of each key, each in a segment of its own."""
    for key in keys:
        data = build_batch([Record(0, core.wall_ms, key.encode(), key.encode())])
        result = client.call(produce("t", data), 9).responses[0].partition_responses[0]
        assert result.error_code == 0


@pytest.mark.parametrize("durability", ["fsync", "page-cache"])
def test_compaction_waits_for_no_second_round(tmp_path: Path, durability: str) -> None:
    config = {"log.cleaner.backoff.ms": "15000", "ottla.durability": durability}
    core = Core(str(tmp_path / "d"), config)
    client = core.client()
    client.call(create_topic("t", cleanup_policy="compact", segment_bytes="100"), 7)
    keyed(core, client, "a", "b", "dup", "dup", "dup", "end")
    core.advance(15_000)
    core.advance(1_000)
    assert everything(client) == ["a", "b", "dup", "end"]
    core.broker.close(core.wall_ms)


def test_what_is_sealed_while_a_checkpoint_is_under_way_is_compacted_too(tmp_path: Path) -> None:
    # Alone it would be too little for a round: half of a log must be dirty.
    core = Core(str(tmp_path / "d"), {"log.cleaner.backoff.ms": "15000"})
    client = core.client()
    client.call(create_topic("t", cleanup_policy="compact", segment_bytes="100"), 7)
    unique = [f"k{n}" for n in range(20)]
    keyed(core, client, *unique)
    core.advance(15_000)
    core.advance(maintenance.SEALED_PAUSE_MS)
    keyed(core, client, "dup", "dup", "dup", "end")
    core.advance(5_000)
    assert everything(client) == [*unique, "dup", "end"]
    core.broker.close(core.wall_ms)


def test_a_log_that_never_stands_still_is_compacted_all_the_same(tmp_path: Path) -> None:
    core = Core(str(tmp_path / "d"), {"log.cleaner.backoff.ms": "1000"})
    client = core.client()
    client.call(create_topic("t", cleanup_policy="compact", segment_bytes="100"), 7)
    for number in range(100):
        keyed(core, client, "dup", f"k{number}")
        core.advance(100)
    assert core.broker.metrics.compactions > 0
    core.broker.close(core.wall_ms)

"""Files that make no sense although nothing is torn: a start refuses them in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing.batches import with_right_sums
from tests.support.core import Core
from tests.support.requests import create_topic

from ottla.batch.record_batch import Record, build_batch
from ottla.broker.topics import MetadataFormatError
from ottla.storage.errors import CorruptLogError, DirectoryRefusedError
from ottla.wire.messages.init_producer_id import InitProducerIdRequest
from ottla.wire.messages.offset_commit import OffsetCommitRequest
from ottla.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData


def stopped(directory: Path) -> Core:
    """A core with a transactional producer behind it."""
    core = Core(str(directory))
    client = core.client()
    create_topic(client, "t")
    client.call(InitProducerIdRequest(transactional_id="x", transaction_timeout_ms=1000), 4)
    core.broker.close(core.wall_ms)
    return core


@pytest.mark.parametrize("bad", ["too-short", "größe", "\0" * 22, ""])
def test_a_directory_id_that_is_none_is_refused(tmp_path: Path, bad: str) -> None:
    core = stopped(tmp_path)
    path = tmp_path / "meta.properties"
    lines = path.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("directory.id")]
    path.write_text("\n".join([*kept, f"directory.id={bad}"]))
    with pytest.raises(DirectoryRefusedError, match="is damaged"):
        core.start()


def test_a_coordinators_batch_with_senseless_records_is_refused(tmp_path: Path) -> None:
    core = stopped(tmp_path)
    [path] = [p for p in tmp_path.glob("__transaction_state-*/*.log") if p.stat().st_size]
    content = bytearray(path.read_bytes())
    content[61] ^= 2
    path.write_bytes(with_right_sums(bytes(content)))
    with pytest.raises(CorruptLogError, match=r"__transaction_state-.*the batch with offset 0"):
        core.start()


@pytest.mark.parametrize("topic", ["__consumer_offsets", "__transaction_state"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", b"x"),
        (b"\0", b""),
        (b"\0\1", b"\0\1"),
        (b"\0\2\0\1g", b"\0\3\xff"),
        (b"\0\1\0\1g\0\1t\0\0\0\0", b"\x7f\xff" + b"z" * 30),
        (b"\0\0\0\1x", b"\0\1" + b"\xff" * 40),
        (b"\0\0\0\1x", b"\0\0" + bytes(8) + bytes(2) + bytes(4) + b"\x70" + bytes(24)),
    ],
)
def test_rubbish_in_an_internal_topic_does_not_prevent_a_start(
    tmp_path: Path, topic: str, key: bytes, value: bytes
) -> None:
    """As in Kafka, whoever calls himself its administration may write there."""
    core = stopped(tmp_path)
    core.start()
    client = core.client()
    client.call(OffsetCommitRequest(group_id="g"), 5)
    data = build_batch([Record(0, 1_700_000_000_000, key, value)])
    partition = PartitionProduceData(index=0, records=data)
    request = ProduceRequest(
        acks=-1, topic_data=[TopicProduceData(name=topic, partition_data=[partition])]
    )
    client.send(request, 9, client_id="__admin_client")
    response = client.read()
    assert response.responses[0].partition_responses[0].error_code == 0
    core.restart()
    assert core.sink.told == [] or "left out the record" in core.sink.told[0]


def test_a_metadata_change_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    core = stopped(tmp_path)
    core.start()
    core.broker.journal.append(b'{"version":1,"records":[{"type":"partitions","id":"00"}]}')
    core.broker.close(core.wall_ms)
    with pytest.raises(MetadataFormatError, match="makes no sense"):
        core.start()

"""A real filesystem that is full, and one that breaks: what was acknowledged is still there."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.crash.small_disk import NoSmallDisk, SmallBroker, SmallDisk

from ottla.batch.record_batch import Record, build_batch, headers, records
from ottla.client import Connection, Settings
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest
from ottla.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from ottla.wire.messages.find_coordinator import FindCoordinatorRequest
from ottla.wire.messages.metadata import MetadataRequest
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from ottla.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from ottla.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="[not-on-this-platform] mount namespaces"),
    pytest.mark.timeout(300),
]
TOPIC = "crammed"
GROUP = "crammers"
MEGABYTES = 16
VALUE_BYTES = 150_000
SETTINGS = (
    "log.segment.bytes=1000000",
    "log.segment.delete.delay.ms=0",
    "log.flush.offset.checkpoint.interval.ms=300",
    "num.partitions=1",
)
NewDisk = Callable[[str], SmallDisk]


@pytest.fixture
def new_disk(tmp_path: Path) -> Iterator[NewDisk]:
    disks: list[SmallDisk] = []

    def make(kind: str) -> SmallDisk:
        try:
            disks.append(SmallDisk(tmp_path, kind, MEGABYTES))
        except NoSmallDisk as why:
            pytest.skip(f"[no-small-disk] {kind}: {why}")
        return disks[0]

    yield make
    for disk in disks:
        disk.close()


class Talk:
    """One client, and what it was told."""

    def __init__(self, broker: SmallBroker) -> None:
        host, _, port = broker.bootstrap_servers.rpartition(":")
        # A machine that is busy with other tests makes each sync wait for seconds.
        patient = Settings(connect_timeout_ms=60_000, request_timeout_ms=120_000)
        self._connection = Connection(host, int(port), patient)

    def close(self) -> None:
        self._connection.close()

    def ask(self, request: Any, version: int) -> Any:
        return self._connection.receive(self._connection.send(request, version))

    def create(self, name: str) -> int:
        topic = CreatableTopic(name=name, num_partitions=1, replication_factor=1)
        request = CreateTopicsRequest(topics=[topic], timeout_ms=10_000)
        return int(self.ask(request, 5).topics[0].error_code)

    def produce(self, value: bytes) -> tuple[int, int]:
        """Error code and offset."""
        data = build_batch([Record(0, 1_700_000_000_000, None, value)])
        partition = PartitionProduceData(index=0, records=data)
        request = ProduceRequest(
            acks=-1,
            timeout_ms=10_000,
            topic_data=[TopicProduceData(name=TOPIC, partition_data=[partition])],
        )
        answer = self.ask(request, 9).responses[0].partition_responses[0]
        return answer.error_code, answer.base_offset

    def fetch(self, offset: int) -> Any:
        part = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1 << 20)
        request = FetchRequest(
            max_wait_ms=0,
            min_bytes=0,
            max_bytes=1 << 22,
            topics=[FetchTopic(topic=TOPIC, partitions=[part])],
        )
        return self.ask(request, 12).responses[0].partitions[0]

    def read(self, offset: int = 0) -> dict[int, bytes]:
        """Everything from `offset` to the high watermark."""
        found: dict[int, bytes] = {}
        while True:
            answer = self.fetch(offset)
            assert answer.error_code == 0
            if offset >= answer.high_watermark:
                return found
            data = answer.records or b""
            for position, _ in headers(data):
                for record in records(data, position):
                    found[record.offset] = record.value or b""
                    offset = record.offset + 1

    def find_coordinator(self) -> None:
        """The group's coordinator answers afterwards; its log is there."""
        request = FindCoordinatorRequest(key_type=0, coordinator_keys=[GROUP])
        assert self.ask(request, 4).coordinators[0].error_code == 0

    def commit(self, offset: int) -> int:
        partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
        request = OffsetCommitRequest(
            group_id=GROUP,
            generation_id_or_member_epoch=-1,
            topics=[OffsetCommitRequestTopic(name=TOPIC, partitions=[partition])],
        )
        return int(self.ask(request, 8).topics[0].partitions[0].error_code)

    def committed(self) -> int:
        topic = OffsetFetchRequestTopics(name=TOPIC, partition_indexes=[0])
        request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(GROUP, topics=[topic])])
        return int(self.ask(request, 8).groups[0].topics[0].partitions[0].committed_offset)

    def topics(self) -> set[str]:
        return {topic.name for topic in self.ask(MetadataRequest(topics=None), 9).topics}

    def delete_records(self, offset: int) -> int:
        partition = DeleteRecordsPartition(partition_index=0, offset=offset)
        topic = DeleteRecordsTopic(name=TOPIC, partitions=[partition])
        request = DeleteRecordsRequest(topics=[topic], timeout_ms=10_000)
        return int(self.ask(request, 2).topics[0].partitions[0].error_code)


NewTalk = Callable[[SmallBroker], Talk]


@pytest.fixture
def new_talk() -> Iterator[NewTalk]:
    talks: list[Talk] = []

    def make(broker: SmallBroker) -> Talk:
        talks.append(Talk(broker))
        return talks[-1]

    yield make
    for talk in talks:
        talk.close()


def fill(talk: Talk, values: Iterator[bytes]) -> dict[int, bytes]:
    """Produce until the disk takes no more; what was acknowledged."""
    acknowledged: dict[int, bytes] = {}
    for value in values:
        code, offset = talk.produce(value)
        if code:
            assert code == ErrorCode.KAFKA_STORAGE_ERROR
            return acknowledged
        acknowledged[offset] = value
    raise AssertionError("the disk never became full")


def values() -> Iterator[bytes]:
    """Sixteen times as much as there is room for."""
    for number in range(MEGABYTES * 100):
        yield b"%d:" % number + bytes(VALUE_BYTES)


def health(broker: SmallBroker) -> int:
    try:
        with urllib.request.urlopen(broker.health_url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize("kind", ["ext4", "tmpfs"])
def test_a_full_disk_refuses_and_loses_nothing(
    kind: str, new_disk: NewDisk, new_talk: NewTalk, tmp_path: Path
) -> None:
    disk = new_disk(kind)
    broker = SmallBroker(disk, tmp_path, SETTINGS)
    assert broker.start(), broker.said
    try:
        talk = new_talk(broker)
        assert talk.create(TOPIC) == 0
        talk.find_coordinator()
        assert talk.commit(1) == 0
        acknowledged = fill(talk, values())
        broker.wait_for_word("is full")
        ballast = disk.fill()
        # Not even a small thing can be written now: all of it is refused, and nothing is lost.
        commits = 1
        for offset in range(2, 2_000):
            if talk.commit(offset):
                break
            commits = offset
        assert talk.committed() == commits < 1_999
        topics = [TOPIC]
        while (code := talk.create(f"{TOPIC}-{len(topics)}")) == 0:
            topics.append(f"{TOPIC}-{len(topics)}")
        assert code == ErrorCode.KAFKA_STORAGE_ERROR
        assert talk.produce(bytes(VALUE_BYTES))[0] == ErrorCode.KAFKA_STORAGE_ERROR
        assert talk.read() == acknowledged
        assert health(broker) == 200, "it can be read, and goes on by itself"
        # The process ends while not a byte is free.
        end = broker.kill if kind == "ext4" else broker.stop
        end()
        assert not any("Traceback" in line for line in broker.said), broker.said
        if not broker.start():
            # Each start is written down before anything else happens: that takes a few bytes.
            assert any("is full" in line for line in broker.said), broker.said
            assert not any("Traceback" in line for line in broker.said), broker.said
            disk.run("truncate", "--size=-8192", str(ballast))
            assert broker.start(), broker.said
        talk = new_talk(broker)
        assert talk.read() == acknowledged
        assert talk.committed() == commits
        assert talk.topics() == {*topics, "__consumer_offsets"}
        assert talk.produce(bytes(VALUE_BYTES))[0] == ErrorCode.KAFKA_STORAGE_ERROR
        # Somebody makes room: it goes on by itself.
        disk.run("rm", str(ballast))
        assert talk.delete_records(max(acknowledged) // 2) == 0
        code, offset = talk.produce(b"room again")
        assert code == 0
        acknowledged[offset] = b"room again"
        start = max(acknowledged) // 2
        kept = {at: value for at, value in acknowledged.items() if at >= start}
        assert talk.read(start) == kept
        assert talk.commit(offset) == 0
        assert broker.stop() == 0
        assert broker.start(), broker.said
        talk = new_talk(broker)
        assert talk.read(start) == kept
        assert talk.committed() == offset
        assert broker.stop() == 0
        verify = ("-m", "ottla.cli.main", "verify", str(disk.path / "data"))
        disk.run("env", f"--chdir={Path(__file__).parents[2]}", sys.executable, *verify)
    finally:
        broker.close()


def test_a_disk_that_turns_read_only_loses_nothing(
    new_disk: NewDisk, new_talk: NewTalk, tmp_path: Path
) -> None:
    disk = new_disk("ext4")
    broker = SmallBroker(disk, tmp_path, SETTINGS)
    assert broker.start(), broker.said
    try:
        talk = new_talk(broker)
        assert talk.create(TOPIC) == 0
        talk.find_coordinator()
        acknowledged = {}
        for number, value in zip(range(50), values(), strict=False):
            assert talk.produce(value) == (0, number)
            acknowledged[number] = value
        assert talk.commit(7) == 0
        assert health(broker) == 200
        disk.fail()
        # Nothing can be made durable any more: it says so, and promises nothing.
        assert talk.produce(b"too late")[0] == ErrorCode.KAFKA_STORAGE_ERROR
        broker.wait_for_word("is offline until a restart")
        assert talk.fetch(0).error_code == ErrorCode.KAFKA_STORAGE_ERROR
        assert talk.commit(8) != 0
        assert talk.create("more") == ErrorCode.KAFKA_STORAGE_ERROR
        assert health(broker) == 503
        broker.kill()
        assert not broker.start(), "on a disk that cannot be written it does not start"
        assert any("Read-only" in line for line in broker.said), broker.said
        assert not any("Traceback" in line for line in broker.said)
        disk.mend()
        assert broker.start(), broker.said
        talk = new_talk(broker)
        assert talk.read() == acknowledged
        talk.find_coordinator()
        assert talk.committed() == 7
        assert talk.produce(b"again") == (0, 50)
        assert broker.stop() == 0
    finally:
        broker.close()

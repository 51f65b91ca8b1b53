"""The short way of a Produce request and its plain twin: the same answers, the same log."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from simulation.disk import SimulatedDisk
from tests.support.core import START_WALL_MS, Client, Core, batch, values
from tests.support.requests import create_topic, fetch, produce

from ottla.batch.record_batch import Record, build_batch
from ottla.handlers import lone_produce
from ottla.handlers.registry import find_api
from ottla.wire import frames
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.delete_topics import DeleteTopicsRequest
from ottla.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

VERSIONS = range(3, 14)


class Pair:
    """Two brokers that are asked the same, one of which knows no short way."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
        named = {k.replace("_", "."): v for k, v in settings.items()}
        self.cores = [
            Core(str(directory / name), named, flushes_by_hand=True) for name in ("short", "long")
        ]
        self.clients = [core.client() for core in self.cores]
        self.taken = 0
        self._patch = monkeypatch
        for client in self.clients:
            client.call(create_topic("topic", 3), 5)
        for core in self.cores:
            core.flush()

    @property
    def topic_id(self) -> bytes:
        return self.cores[0].broker.metadata.topics["topic"].id

    def ask(self, request: ProduceRequest, version: int) -> tuple[bytes, bytes]:
        """The bytes that leave, of each; after the flush."""
        api = find_api(0)
        assert api is not None
        answers = []
        for client, is_short in zip(self.clients, (True, False), strict=True):
            self._patch.setattr(api, "shortcut", self._count if is_short else None)
            client.send(request, version)
            client.core.flush()
            client._expected.clear()
            answers.append(bytes(client.core.sink.sent.pop(client.connection, b"")))
        return answers[0], answers[1]

    def _count(self, *words: Any) -> bool:
        is_taken = lone_produce.take(*words)
        self.taken += is_taken
        return is_taken

    def log(self, which: int) -> list[str]:
        client: Client = self.clients[which]
        answer = client.call(fetch("topic", 0, max_bytes=1_000_000), 11)
        return values(answer.responses[0].partitions[0].records)


@pytest.fixture(params=["fsync", "page-cache"])
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pair]:
    both = Pair(tmp_path, monkeypatch, ottla_durability=request.param)
    yield both
    # Two hundred of them would keep thousands of files open until a collector comes by.
    for core in both.cores:
        core.broker.close(core.wall_ms)


@pytest.mark.parametrize("version", VERSIONS)
def test_plain_requests_are_answered_alike(pair: Pair, version: int) -> None:
    for acks, data in ((-1, batch("a")), (1, batch("b", "c")), (-1, batch("d", compression=3))):
        request = produce("topic", bytes(data), acks=acks, topic_id=pair.topic_id)
        short, long = pair.ask(request, version)
        assert short == long
        assert frames.decode_response(0, version, short[4:])
    assert pair.taken == 3
    assert pair.log(0) == pair.log(1) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("version", VERSIONS)
def test_repeats_of_an_idempotent_producer_are_answered_alike(pair: Pair, version: int) -> None:
    data = bytes(batch("a", producer_id=7, producer_epoch=0, base_sequence=0))
    for _ in range(2):
        short, long = pair.ask(produce("topic", data, topic_id=pair.topic_id), version)
        assert short == long
    assert pair.log(0) == pair.log(1) == ["a"]


def odd_requests() -> dict[str, ProduceRequest]:
    """What the short way must leave alone, and what it refuses by way of its twin."""
    good = bytes(batch("a"))
    wrong = bytearray(good)
    wrong[-1] ^= 1
    late = bytes(build_batch([Record(0, START_WALL_MS * 3, None, b"late")]))
    two = [PartitionProduceData(0, good), PartitionProduceData(1, good)]
    return {
        "no such topic": produce("other", good),
        "no such partition": produce("topic", good, 9),
        "a partition below zero": produce("topic", good, -1),
        "internal": produce("__consumer_offsets", good),
        "a wrong checksum": produce("topic", bytes(wrong)),
        "two batches": produce("topic", good + good),
        "cut off": produce("topic", good[:-3]),
        "nothing": produce("topic", b""),
        "a magic of old": produce("topic", good[:16] + b"\1" + good[17:]),
        "too late": produce("topic", late),
        "an unknown codec": produce("topic", good[:22] + b"\7" + good[23:]),
        "zstd": produce("topic", bytes(batch("a", compression=4))),
        "a control batch": produce("topic", good[:22] + b"\x20" + good[23:]),
        "a transaction of nobody": produce(
            "topic", bytes(batch("a", producer_id=1, producer_epoch=0, base_sequence=0,
                                 transactional=True)),
        ),
        "two partitions": ProduceRequest(None, -1, 9, [TopicProduceData(name="topic",
                                                                       partition_data=two)]),
        "two topics": ProduceRequest(None, -1, 9, [
            TopicProduceData(name="topic", partition_data=two[:1]),
            TopicProduceData(name="topic", partition_data=two[1:]),
        ]),
        "no topic": ProduceRequest(None, -1, 9, []),
        "impossible acks": produce("topic", good, acks=7),
        "no answer wanted": produce("topic", good, acks=0),
        "with a transactional id": produce("topic", good, transactional_id="x"),
        "out of sequence": produce(
            "topic", bytes(batch("a", producer_id=9, producer_epoch=0, base_sequence=5))
        ),
    }  # fmt: skip


@pytest.mark.parametrize("version", [3, 7, 8, 9, 11, 12])
@pytest.mark.parametrize("name", odd_requests())
def test_odd_requests_are_answered_alike(pair: Pair, name: str, version: int) -> None:
    short, long = pair.ask(odd_requests()[name], version)
    assert short == long
    assert pair.log(0) == pair.log(1)


def test_many_records_take_the_short_way_too(pair: Pair) -> None:
    data = bytes(batch(*[f"{i:0500}" for i in range(1_000)]))
    short, long = pair.ask(produce("topic", data), 9)
    assert short == long
    assert pair.taken == 1


def test_frames_that_end_anywhere_are_answered_alike(pair: Pair) -> None:
    for version in (8, 9, 13):
        request = produce("topic", bytes(batch("a")), topic_id=pair.topic_id)
        frame = b"".join(frames.encode_request(request, version, 1, "x"))[4:]
        for end in range(12, len(frame)):
            core = pair.cores[0]
            client = core.client()
            client.send_frame(bytearray(frame[:end]))
            assert client.close_reason is not None or core.sink.sent.get(client.connection)
        assert pair.log(0) == []


def test_a_flush_that_takes_too_long_is_told(tmp_path: Path) -> None:
    core = Core(str(tmp_path), flushes_by_hand=True)
    client = core.client()
    client.call(create_topic("topic"), 5)
    core.flush()
    client.send(produce("topic", bytes(batch("a")), timeout_ms=50), 9)
    assert client.read() is None
    core.advance(51)
    result = client.read().responses[0].partition_responses[0]
    assert (result.error_code, result.base_offset) == (ErrorCode.REQUEST_TIMED_OUT, -1)
    core.flush()
    assert client.read() is None


def test_a_partition_deleted_meanwhile_is_told(tmp_path: Path) -> None:
    core = Core(str(tmp_path), flushes_by_hand=True)
    client = core.client()
    client.call(create_topic("topic"), 5)
    core.flush()
    client.send(produce("topic", bytes(batch("a"))), 9)
    core.client().send(DeleteTopicsRequest([], ["topic"], 1_000), 3)
    result = client.read().responses[0].partition_responses[0]
    assert result.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_a_full_disk_refuses_a_batch_that_may_come_again() -> None:
    """What was numbered for the attempt is not held against the client (the simulation's find)."""
    disk = SimulatedDisk(random.Random(1))
    disk.make_directory("/var")
    core = Core("/var/data", filesystem=disk)
    client = core.client()
    client.call(create_topic("t"), 7)
    assert client.call(produce("t", batch("a")), 9).responses[0].partition_responses[0].index == 0
    disk.capacity_bytes = disk.used_bytes
    answer = client.call(produce("t", batch("b")), 9).responses[0].partition_responses[0]
    assert answer.error_code == ErrorCode.KAFKA_STORAGE_ERROR
    disk.capacity_bytes = None
    answer = client.call(produce("t", batch("b")), 9).responses[0].partition_responses[0]
    assert (answer.error_code, answer.base_offset) == (ErrorCode.NONE, 1)

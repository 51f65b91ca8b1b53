"""The requests that must stay cheap, each with a budget of instructions and of memory.

A guard against slow growth that no machine's mood can fail: instructions are
counted, not timed. The budgets were measured with Python 3.11 and have a
quarter more than that; newer versions need fewer. Whoever makes a path cheaper
lowers its budget; whoever must make one dearer says why in the commit that
raises it. Copies hide inside single instructions, so large records have a
budget of memory: one copy of a megabyte breaks it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.budget.counting import allocated, instructions
from tests.support.core import Client, Core, batch
from tests.support.requests import create_topic

from ottla.handlers.dispatch import dispatch
from ottla.wire import frames
from ottla.wire.message import Message, Request
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from ottla.wire.messages.heartbeat import HeartbeatRequest
from ottla.wire.messages.metadata import MetadataRequest, MetadataRequestTopic
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

MANY = 100
SMALL = bytes(batch("v" * 100))
LARGE = bytes(batch(*["v" * 10_000] * 100))


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    directory = tmp_path_factory.mktemp("budget")
    core = Core(str(directory), {"ottla.durability": "page-cache"})
    client = core.client()
    for topic, partitions in (("one", 1), ("many", MANY), ("empty", 1)):
        assert not client.call(create_topic(topic, partitions), 5).topics[0].error_code
    for _ in range(2):
        client.call(produce("one", 1, SMALL), 9)
        client.call(produce("many", MANY, SMALL), 9)
    client.call(commit(1), 8)
    yield core
    core.broker.close(core.wall_ms)


def produce(topic: str, partitions: int, data: bytes) -> ProduceRequest:
    found = [PartitionProduceData(p, data) for p in range(partitions)]
    return ProduceRequest(None, -1, 1_000, [TopicProduceData(name=topic, partition_data=found)])


def fetch(topic: str, partitions: int, offset: int, most: int) -> FetchRequest:
    found = [
        FetchPartition(p, fetch_offset=offset, partition_max_bytes=most) for p in range(partitions)
    ]
    topics = [FetchTopic(topic=topic, partitions=found)]
    return FetchRequest(max_wait_ms=0, min_bytes=1, topics=topics)


def commit(partitions: int) -> OffsetCommitRequest:
    found = [OffsetCommitRequestPartition(p, 1) for p in range(partitions)]
    topics = [OffsetCommitRequestTopic(name="many", partitions=found)]
    return OffsetCommitRequest("group", topics=topics)


def offsets(partitions: int) -> OffsetFetchRequest:
    topics = [OffsetFetchRequestTopics(name="many", partition_indexes=list(range(partitions)))]
    return OffsetFetchRequest([OffsetFetchRequestGroup("group", topics=topics)])


def repeated(client: Client, request: Request[Message], version: int) -> Callable[[], None]:
    """The same request again and again, as the server hands it over; answers are thrown away."""
    core = client.core
    encoded = b"".join(frames.encode_request(request, version, 1, "budget"))[4:]

    def once() -> None:
        frame = bytearray(encoded)
        dispatch(core.broker, client.connection, frame, core.wall_ms, core.now_ms)
        core.settle()
        sent = core.sink.sent.pop(client.connection)
        assert sent, "the request was parked"

    for _ in range(5):
        once()
    return once


#: One request of each kind, its version, and what it may cost.
BUDGETS: list[tuple[str, Request[Message], int, int]] = [
    ("produce, one small record", produce("one", 1, SMALL), 9, 2_650),
    ("produce, a megabyte", produce("one", 1, LARGE), 9, 2_750),
    ("produce, 100 partitions", produce("many", MANY, SMALL), 9, 205_000),
    ("fetch, one small record", fetch("one", 1, 1, 150), 11, 4_100),
    ("fetch, nothing new", fetch("empty", 1, 0, 150), 11, 3_000),
    ("fetch, 100 partitions", fetch("many", MANY, 1, 150), 11, 152_000),
    ("metadata of a topic", MetadataRequest([MetadataRequestTopic(name="one")]), 9, 950),
    ("commit of an offset", commit(1), 8, 5_500),
    ("commit of 100 offsets", commit(MANY), 8, 125_000),
    ("offsets of 100 partitions", offsets(MANY), 8, 19_000),
    ("heartbeat of a stranger", HeartbeatRequest("group", 1, "nobody"), 4, 2_000),
]


@pytest.mark.parametrize(
    ("request_", "version", "budget"),
    [pytest.param(*row[1:], id=row[0].replace(" ", "-")) for row in BUDGETS],
)
def test_a_request_stays_within_its_budget_of_instructions(
    core: Core, request_: Request[Message], version: int, budget: int
) -> None:
    cost = instructions(repeated(core.client(), request_, version), times=5)
    assert cost <= budget, f"{cost:.0f} instructions, and {budget} are allowed"


def parked(core: Core) -> tuple[Client, Callable[[], None]]:
    """Who waits for news of many partitions, and what gives one of them some."""
    reader, writer = core.client(), core.client()
    tails = [
        FetchPartition(p.index, fetch_offset=p.high_watermark, partition_max_bytes=150)
        for p in core.broker.metadata.topics["many"].partitions
    ]
    topics = [FetchTopic(topic="many", partitions=tails)]
    reader.send(FetchRequest(max_wait_ms=500, min_bytes=1, topics=topics), 11)
    assert reader.read() is None
    data = TopicProduceData(name="many", partition_data=[PartitionProduceData(7, SMALL)])
    return reader, lambda: writer.send(ProduceRequest(None, -1, 1_000, [data]), 9)


def test_waking_a_fetch_of_many_partitions_looks_at_those_with_news(core: Core) -> None:
    for _ in range(2):
        reader, wake = parked(core)
        cost = instructions(wake, times=1)
        assert bytes(reader.read().responses[0].partitions[7].records).endswith(SMALL[-100:])
    assert cost <= 26_000, f"{cost:.0f} instructions, and 26000 are allowed"


def test_requests_leave_nothing_for_the_collector_of_garbage(core: Core) -> None:
    """`server.garbage` has it look seldom, so that cycles would pile up."""
    works = [repeated(core.client(), request, version) for _, request, version, _ in BUDGETS]

    def wake_one() -> None:
        parked(core)[1]()

    works.append(wake_one)
    for work in works:
        work()
    gc.collect()
    gc.disable()
    try:
        for work in works:
            work()
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("durability", ["fsync", "page-cache"])
def test_a_megabyte_taken_in_is_not_copied(tmp_path: Path, durability: str) -> None:
    core = Core(str(tmp_path), {"ottla.durability": durability})
    client = core.client()
    client.call(create_topic("one"), 5)
    again = repeated(client, produce("one", 1, LARGE), 9)
    # The frame itself is made by `again`, in place of the server.
    assert allocated(again) < len(LARGE) * 1.2
    core.broker.close(core.wall_ms)


def test_a_megabyte_given_out_is_read_once_and_not_copied(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = core.client()
    client.call(create_topic("large"), 5)
    for _ in range(3):
        client.call(produce("large", 1, LARGE), 9)

    sizes = []

    def keep(connection: object, buffers: list[bytes]) -> int:
        sizes.append(sum(map(len, buffers)))
        return 0

    monkeypatch.setattr(core.sink, "send", keep)
    request = b"".join(frames.encode_request(fetch("large", 1, 0, 1_100_000), 11, 1, "budget"))[4:]

    def once() -> None:
        dispatch(core.broker, client.connection, bytearray(request), core.wall_ms, core.now_ms)

    once()
    assert allocated(once) < len(LARGE) * 1.2
    assert sizes[-1] > len(LARGE)

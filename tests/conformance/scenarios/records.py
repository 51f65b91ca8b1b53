"""Records are written, read, looked up by time, and cut off."""

from __future__ import annotations

from typing import Any

from tests.conformance.scenarios import scenario
from tests.conformance.talk import Talk

from ottla.batch.record_batch import Record, build_batch
from ottla.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic
from ottla.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from ottla.wire.messages.metadata import MetadataResponseTopic
from ottla.wire.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from ottla.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

UNKNOWN_ID = bytes(15) + b"\x07"
#: A fixed time in the past, so that transcripts can hold timestamps.
T0 = 1_500_000_000_000
ZSTD = 4


def batch_of(*values: str | None, key: str | None = "k", time_ms: int = T0, **how: Any) -> bytes:
    """One batch; record i is written at `time_ms` + i."""
    records = [
        Record(i, time_ms + i, key and key.encode(), value and value.encode())
        for i, value in enumerate(values)
    ]
    return bytes(build_batch(records, **how))


def produce_request(
    topic: MetadataResponseTopic, *batches: bytes | None, acks: int = -1, partition: int = 0
) -> ProduceRequest:
    parts = [PartitionProduceData(partition + i, data) for i, data in enumerate(batches)]
    data = TopicProduceData(topic.topic_id, topic.name or "", parts)
    return ProduceRequest(None, acks, 5_000, [data])


def write(talk: Talk, topic: MetadataResponseTopic, *batches: bytes) -> None:
    """Write batches, one request each."""
    for batch in batches:
        answer = talk.do(produce_request(topic, batch))
        assert not answer.responses[0].partition_responses[0].error_code, answer


@scenario(0, 0, 13)
def produce(talk: Talk) -> None:
    topic = talk.topic("written", 2)
    good = batch_of("a", "b")

    def ask(label: str, *batches: bytes | None, **how: Any) -> None:
        talk.ask(label, produce_request(topic, *batches, **how))

    ask("two records", good)
    if talk.version < 3:
        return
    ask("three more", batch_of("c", None, "e"))
    ask("two partitions", good, good)
    ask("acknowledged by the leader", good, acks=1)
    ask("two acknowledgements", good, acks=2)
    ask("a partition too many", good, partition=2)
    missing = MetadataResponseTopic(0, talk.name("missing"), UNKNOWN_ID)
    talk.ask("a missing topic", produce_request(missing, good))
    for codec, name in ((1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")):
        ask(f"compressed by {name}", batch_of("a", "b", compression=codec))
    ask("no records", b"")
    ask("two batches", good + good)
    damaged = bytearray(good)
    damaged[-3] ^= 1
    ask("a wrong checksum", bytes(damaged))
    ask("cut short", good[:-5])
    ask("a header alone", good[:61])
    ask("a few bytes", good[:20])
    ask("a control batch", batch_of("a", control=True))
    ask("a batch of nobody's transaction", batch_of("a", transactional=True))
    ask("too large", batch_of("x" * 1_100_000))
    ask("from the far future", batch_of("a", time_ms=4_000_000_000_000))
    ask("from the beginning of time", batch_of("a", time_ms=0))
    ask("offsets that do not count up", batch_of("a", base_offset=77))
    talk.ask("nothing at all", ProduceRequest(None, -1, 5_000, []))
    careful = talk.topic("careful", 1, {"min.insync.replicas": "2"})
    talk.ask("more replicas wanted than there are", produce_request(careful, good))
    fire_and_forget = talk.connect()
    fire_and_forget.send(produce_request(topic, good, acks=0), talk.version)
    fire_and_forget.send(produce_request(missing, good, acks=0), talk.version)
    talk.note("the connection after an unacknowledged failure", _hears_from(talk, fire_and_forget))


def _hears_from(talk: Talk, connection: Any) -> str:
    from ottla.client.errors import ConnectionLostError
    from ottla.wire.messages.api_versions import ApiVersionsRequest

    try:
        connection.request(ApiVersionsRequest(), 0)
    except ConnectionLostError:
        return "is closed"
    return "is open"


@scenario(0, 3, 13)
def produce_to_special_topics(talk: Talk) -> None:
    stamped = talk.topic("stamped", 1, {"message.timestamp.type": "LogAppendTime"})
    compacted = talk.topic("compacted", 1, {"cleanup.policy": "compact"})
    strict = talk.topic("strict", 1, {"message.timestamp.before.max.ms": "1000"})
    recoded = talk.topic("recoded", 1, {"compression.type": "gzip"})
    two_copies = talk.topic("safe", 1, {"min.insync.replicas": "2"})
    talk.ask("stamped by the broker", produce_request(stamped, batch_of("a", "b")))
    talk.ask("keyless for compaction", produce_request(compacted, batch_of("a", key=None)))
    talk.ask("keyed for compaction", produce_request(compacted, batch_of("a")))
    talk.ask("too old", produce_request(strict, batch_of("a", "b")))
    talk.ask("compressed by the broker", produce_request(recoded, batch_of("a", "b")))
    talk.ask("not enough replicas", produce_request(two_copies, batch_of("a")))
    talk.ask("enough for the leader", produce_request(two_copies, batch_of("a"), acks=1))


class Reader:
    """Fetch requests of a talk."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk

    def request(
        self, *wanted: tuple[MetadataResponseTopic, list[FetchPartition]], **how: Any
    ) -> FetchRequest:
        topics = [FetchTopic(t.topic_id, t.name or "", parts) for t, parts in wanted]
        given = {"max_wait_ms": 10, "min_bytes": 1, "max_bytes": 10_000_000, **how}
        return FetchRequest(topics=topics, **given)

    def ask(
        self,
        label: str,
        topic: MetadataResponseTopic,
        offset: int,
        *,
        partition: int = 0,
        epoch: int = -1,
        partition_max_bytes: int = 1_000_000,
        **how: Any,
    ) -> Any:
        part = FetchPartition(partition, epoch, offset, partition_max_bytes=partition_max_bytes)
        return self.talk.ask(label, self.request((topic, [part]), **how))


@scenario(1, 4, 18)
def fetch(talk: Talk) -> None:
    topic = talk.topic("read", 2)
    write(talk, topic, batch_of("a", "b"), batch_of("c", "d", "e"), batch_of("f", compression=1))
    reader = Reader(talk)
    reader.ask("from the start", topic, 0)
    reader.ask("from within a batch", topic, 3)
    reader.ask("at the end", topic, 6)
    reader.ask("beyond the end", topic, 7)
    reader.ask("before the start", topic, -1)
    reader.ask("an empty partition", topic, 0, partition=1)
    reader.ask("a partition too many", topic, 0, partition=2)
    missing = MetadataResponseTopic(0, talk.name("missing"), UNKNOWN_ID)
    reader.ask("a missing topic", missing, 0)
    reader.ask("one byte of a partition", topic, 0, partition_max_bytes=1)
    reader.ask("one byte in all", topic, 0, max_bytes=1)
    reader.ask("nothing of a partition", topic, 0, partition_max_bytes=0)
    reader.ask("bytes for one batch", topic, 0, partition_max_bytes=90)
    reader.ask("what is committed", topic, 0, isolation_level=1)
    reader.ask("more than there is", topic, 6, min_bytes=1_000, max_wait_ms=30)
    if talk.version >= 9:
        reader.ask("under the right epoch", topic, 4, epoch=0)
        reader.ask("under a newer epoch", topic, 4, epoch=5)
    both = [FetchPartition(i, -1, 0, partition_max_bytes=1_000_000) for i in (0, 1)]
    talk.ask("two partitions", reader.request((topic, both)))
    talk.ask("nothing at all", reader.request())


@scenario(1, 7, 18)
def fetch_sessions(talk: Talk) -> None:
    topic = talk.topic("read", 2)
    write(talk, topic, batch_of("a", "b"))
    reader = Reader(talk)

    def parts(*offsets: int) -> list[FetchPartition]:
        return [
            FetchPartition(i, -1, offset, partition_max_bytes=1_000_000)
            for i, offset in enumerate(offsets)
        ]

    opened = talk.ask("opened", reader.request((topic, parts(0, 0)), session_epoch=0))
    session = opened.session_id

    def ask(label: str, epoch: int, *offsets: int, **how: Any) -> Any:
        wanted = [(topic, parts(*offsets))] if offsets else []
        request = reader.request(*wanted, session_id=session, session_epoch=epoch, **how)
        return talk.ask(label, request)

    ask("moved on", 1, 2)
    ask("nothing new", 2)
    write(talk, topic, batch_of("c"))
    ask("something new", 3)
    forgotten = [ForgottenTopic(topic.topic_id, topic.name or "", [0])]
    ask("one forgotten", 4, forgotten_topics_data=forgotten)
    ask("nothing of the other", 5)
    ask("out of step", 9)
    unknown = reader.request((topic, parts(0)), session_id=session + 1, session_epoch=1)
    talk.ask("a session nobody opened", unknown)
    ask("closed", -1, 0)
    ask("after the end", 6)


@scenario(2, 1, 11)
def list_offsets(talk: Talk) -> None:
    topic = talk.topic("timed", 2)
    write(talk, topic, batch_of("a", "b"), batch_of("c", time_ms=T0 + 5_000), batch_of("d"))

    def ask(
        label: str, timestamp: int, partition: int = 0, epoch: int = -1, isolation: int = 0
    ) -> None:
        part = ListOffsetsPartition(partition, epoch, timestamp)
        topics = [ListOffsetsTopic(topic.name or "", [part])]
        talk.ask(label, ListOffsetsRequest(-1, isolation, topics, 1_000))

    ask("latest", -1)
    ask("earliest", -2)
    ask("at the first time", T0)
    ask("at the second time", T0 + 1)
    ask("between the batches", T0 + 2)
    ask("after all", T0 + 9_999)
    ask("before all", 1)
    ask("latest of an empty partition", -1, 1)
    ask("by time in an empty partition", T0, 1)
    ask("in a partition too many", -1, 2)
    if talk.version >= 2:
        ask("latest that is committed", -1, isolation=1)
    if talk.version >= 4:
        ask("under the right epoch", -1, epoch=0)
        ask("under a newer epoch", -1, epoch=5)
    for oldest, timestamp in ((7, -3), (8, -4), (9, -5), (11, -6)):
        if talk.version >= oldest:
            ask(f"special time {timestamp}", timestamp)
            ask(f"special time {timestamp} in an empty partition", timestamp, 1)
    ask("no such special time", -9)
    missing = [ListOffsetsTopic(talk.name("missing"), [ListOffsetsPartition(0, -1, -1)])]
    talk.ask("in a missing topic", ListOffsetsRequest(-1, 0, missing))
    part = ListOffsetsPartition(0, -1, -1)
    twice = [ListOffsetsTopic(topic.name or "", [part, part])]
    talk.ask("twice in a request", ListOffsetsRequest(-1, 0, twice, 1_000))


@scenario(23, 2, 4)
def offset_for_leader_epoch(talk: Talk) -> None:
    topic = talk.topic("led")
    write(talk, topic, batch_of("a", "b"))

    def ask(label: str, epoch: int, *, current: int = -1, partition: int = 0) -> None:
        part = OffsetForLeaderPartition(partition, current, epoch)
        topics = [OffsetForLeaderTopic(topic.name or "", [part])]
        talk.ask(label, OffsetForLeaderEpochRequest(-1, topics))

    ask("of the first epoch", 0)
    ask("of an epoch to come", 9)
    ask("of no epoch", -1)
    ask("under the right epoch", 0, current=0)
    ask("under a newer epoch", 0, current=3)
    ask("of a partition too many", 0, partition=1)
    missing = [OffsetForLeaderTopic(talk.name("missing"), [OffsetForLeaderPartition(0, -1, 0)])]
    talk.ask("of a missing topic", OffsetForLeaderEpochRequest(-1, missing))


@scenario(21, 0, 2)
def delete_records(talk: Talk) -> None:
    topic = talk.topic("cut")
    compacted = talk.topic("compacted", 1, {"cleanup.policy": "compact"})
    write(talk, topic, batch_of("a", "b", "c"), batch_of("d"))

    def ask(label: str, offset: int, *, name: str | None = None, partition: int = 0) -> None:
        part = DeleteRecordsPartition(partition, offset)
        topics = [DeleteRecordsTopic(name or topic.name or "", [part])]
        talk.ask(label, DeleteRecordsRequest(topics, 5_000))

    ask("up to the second", 1)
    ask("up to an earlier one", 0)
    ask("up to beyond the end", 9)
    ask("up to nowhere", -2)
    reader = Reader(talk)
    part = FetchPartition(0, -1, 0, partition_max_bytes=1_000)
    below = reader.request((topic, [part]))
    answer = talk.do(below)
    talk.note("reading what is gone", talk.plain(answer, 12)["responses"])
    ask("up to the end", -1)
    ask("in a partition too many", 0, partition=1)
    ask("in a missing topic", 0, name=talk.name("missing"))
    ask("in a compacted topic", 0, name=compacted.name)

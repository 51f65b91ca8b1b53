"""Transactions begin, take in partitions and offsets, end, and are looked at."""

from __future__ import annotations

from typing import Any

from tests.conformance.scenarios import scenario
from tests.conformance.scenarios.groups import commit_request, fetch_request
from tests.conformance.scenarios.records import Reader, batch_of, produce_request, write
from tests.conformance.talk import Talk

from ottla.wire.messages.add_offsets_to_txn import AddOffsetsToTxnRequest
from ottla.wire.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
)
from ottla.wire.messages.describe_producers import DescribeProducersRequest, TopicRequest
from ottla.wire.messages.describe_transactions import DescribeTransactionsRequest
from ottla.wire.messages.end_txn import EndTxnRequest
from ottla.wire.messages.fetch import FetchPartition
from ottla.wire.messages.find_coordinator import FindCoordinatorRequest
from ottla.wire.messages.init_producer_id import InitProducerIdRequest
from ottla.wire.messages.list_transactions import ListTransactionsRequest, ListTransactionsResponse
from ottla.wire.messages.metadata import MetadataResponseTopic
from ottla.wire.messages.produce import ProduceRequest
from ottla.wire.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from ottla.wire.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)

COORDINATOR_BUSY = {14, 15, 16, 51}
#: Versions of the requests of a client that knows transactions of version 1, or 2 (KIP-890).
FIRST = {"init": 4, "add": 3, "produce": 11, "offsets": 3, "commit": 4, "end": 4}
SECOND = {"init": 5, "add": 3, "produce": 12, "offsets": 4, "commit": 5, "end": 5}


class Producer:
    """A transactional producer; what it does itself is not written down."""

    def __init__(self, talk: Talk, text: str = "tx", versions: dict[str, int] = FIRST) -> None:
        self.talk = talk
        self.name = talk.name(text)
        self.versions = versions
        self.producer_id = -1
        self.epoch = -1
        self.sequences: dict[tuple[str, int], int] = {}

    def init(self, timeout_ms: int = 60_000) -> None:
        find = FindCoordinatorRequest(key_type=1, coordinator_keys=[self.name])

        # Producer id 0 exists once in the life of a cluster; it would look like no id.
        unnamed = InitProducerIdRequest(None, timeout_ms)
        self.talk.wait_for(lambda: self.talk.do(unnamed, 1).producer_id > 0)

        def look() -> Any:
            if self.talk.do(find, 4).coordinators[0].error_code:
                return None
            request = InitProducerIdRequest(self.name, timeout_ms)
            answer = self.talk.do(request, self.versions["init"])
            return None if answer.error_code in COORDINATOR_BUSY else answer

        answer = self.talk.wait_for(look)
        assert not answer.error_code, answer
        self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch
        self.sequences.clear()

    def add_request(
        self, topic: MetadataResponseTopic, *partitions: int, verify_only: bool = False
    ) -> AddPartitionsToTxnRequest:
        topics = [AddPartitionsToTxnTopic(topic.name or "", list(partitions))]
        who = (self.name, self.producer_id, self.epoch)
        batched = AddPartitionsToTxnTransaction(*who, verify_only, topics)
        return AddPartitionsToTxnRequest([batched], *who, topics)

    def produce(self, topic: MetadataResponseTopic, *values: str, partition: int = 0) -> None:
        where = (topic.name or "", partition)
        if self.versions is FIRST:
            answer = self.talk.do(self.add_request(topic, partition), self.versions["add"])
            results = answer.results_by_topic_v3_and_below[0].results_by_partition
            assert not results[0].partition_error_code, answer
        request = self.produce_request(topic, *values, partition=partition)

        def is_taken() -> bool:
            answer = self.talk.do(request, self.versions["produce"])
            code = answer.responses[0].partition_responses[0].error_code
            assert code in {0, 19, 51}, answer
            return not code

        self.talk.wait_for(is_taken)
        self.sequences[where] = self.sequences.get(where, 0) + len(values)

    def produce_request(
        self, topic: MetadataResponseTopic, *values: str, partition: int = 0
    ) -> ProduceRequest:
        batch = batch_of(
            *values,
            transactional=True,
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            base_sequence=self.sequences.get((topic.name or "", partition), 0),
        )
        request = produce_request(topic, batch, partition=partition)
        request.transactional_id = self.name
        return request

    def end_request(self, committed: bool) -> EndTxnRequest:
        return EndTxnRequest(self.name, self.producer_id, self.epoch, committed)

    def end(self, committed: bool) -> None:
        answer = self.talk.do(self.end_request(committed), self.versions["end"])
        assert not answer.error_code, answer
        self.ended(answer)

    def ended(self, answer: Any) -> None:
        """Take the id and epoch of an answer to EndTxn, and wait for the markers."""
        if answer.producer_id >= 0:
            self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch
            self.sequences.clear()

        def is_settled() -> bool:
            states = self.talk.do(DescribeTransactionsRequest([self.name])).transaction_states
            return not states[0].transaction_state.startswith("Prepare")

        self.talk.wait_for(is_settled)

    def commit_request(
        self, group: str, topic: MetadataResponseTopic, offset: int, **how: Any
    ) -> TxnOffsetCommitRequest:
        parts = [TxnOffsetCommitRequestPartition(0, offset, committed_metadata="m")]
        topics = [TxnOffsetCommitRequestTopic(topic.name or "", parts)]
        return TxnOffsetCommitRequest(
            self.name, group, self.producer_id, self.epoch, topics=topics, **how
        )


def note_reading(talk: Talk, label: str, topic: MetadataResponseTopic, isolation: int) -> None:
    """Write down what a reader of partition 0 sees."""
    part = FetchPartition(0, -1, 0, partition_max_bytes=1_000_000)
    answer = talk.do(Reader(talk).request((topic, [part]), isolation_level=isolation), 11)
    seen = talk.plain(answer, 11)["responses"]
    talk.note(label, seen)


def note_offsets(talk: Talk, label: str, group: str, topic: MetadataResponseTopic) -> None:
    for stable in (False, True):
        answer = talk.do(fetch_request(group, topic, 0, stable=stable), 7)
        talk.note(f"{label}, {'stable' if stable else 'or not'}", talk.plain(answer, 7))


@scenario(22, 0, 5)
def init_transactional_producer(talk: Talk) -> None:
    producer = Producer(talk)
    producer.init()

    def ask(label: str, timeout_ms: int = 60_000, name: str = producer.name, **how: Any) -> Any:
        return talk.ask(label, InitProducerIdRequest(name, timeout_ms, **how))

    again = ask("again")
    ask("with too long a time-out", 900_001)
    ask("with no time-out", 0)
    ask("with a negative time-out", -1)
    ask("a new one", name=talk.name("new"))
    if talk.version < 3:
        return
    known = {"producer_id": again.producer_id, "producer_epoch": again.producer_epoch}
    bumped = ask("with its id and epoch", **known)
    ask("with its earlier epoch", **known)
    ask("with an epoch before", producer_id=again.producer_id, producer_epoch=0)
    ask("with another id", producer_id=again.producer_id + 999_999, producer_epoch=0)
    talk.note("bumped by", bumped.producer_epoch - again.producer_epoch)
    topic = talk.topic("written")
    producer.init()
    producer.produce(topic, "a")
    interrupted = ask("in the middle of a transaction")
    if interrupted.error_code:
        talk.wait_for(
            lambda: not talk.do(InitProducerIdRequest(producer.name, 60_000), 4).error_code
        )
    note_reading(talk, "what is left of it", topic, 1)


@scenario(24, 0, 5)
def add_partitions_to_txn(talk: Talk) -> None:
    topic = talk.topic("written", 2)
    producer = Producer(talk)
    producer.init()

    def ask(label: str, *partitions: int, verify_only: bool = False) -> None:
        talk.ask(label, producer.add_request(topic, *partitions, verify_only=verify_only))

    if talk.version >= 4:
        ask("verified before", 0, verify_only=True)
    ask("two", 0, 1)
    ask("again", 0)
    if talk.version >= 4:
        ask("verified", 0, 1, verify_only=True)
    ask("a partition too many", 0, 7)
    missing = MetadataResponseTopic(0, talk.name("missing"))
    talk.ask("a missing topic", producer.add_request(missing, 0))
    producer.epoch += 1
    ask("of a later epoch", 0)
    producer.epoch -= 2
    ask("of an earlier epoch", 0)
    producer.epoch += 1
    producer.producer_id += 999_999
    ask("of another id", 0)
    stranger = Producer(talk, "stranger")
    talk.ask("of nobody known", stranger.add_request(topic, 0))
    nameless = Producer(talk)
    nameless.name = ""
    talk.ask("without a name", nameless.add_request(topic, 0))


@scenario(0, 3, 13)
def produce_in_transaction(talk: Talk) -> None:
    topic = talk.topic("written", 2)
    producer = Producer(talk, versions=SECOND if talk.version >= 12 else FIRST)
    producer.init()

    def ask(label: str, partition: int = 0, **how: Any) -> None:
        request = producer.produce_request(topic, "a", partition=partition)
        for key, value in how.items():
            setattr(request, key, value)
        answer = talk.ask(label, request)
        if not answer.responses[0].partition_responses[0].error_code:
            producer.sequences[topic.name or "", partition] = 1

    if talk.version < 12:
        ask("to a partition that was not added")
        talk.do(producer.add_request(topic, 0), 3)
    ask("to a partition of the transaction")
    ask("without its name", transactional_id=None)
    ask("under another's name", partition=1, transactional_id=talk.name("other"))
    note_reading(talk, "seen by readers of what is committed", topic, 1)
    note_reading(talk, "seen by all", topic, 0)
    producer.end(committed=True)
    note_reading(talk, "seen when committed", topic, 1)
    ask("after the end")


@scenario(26, 0, 5)
def end_txn(talk: Talk) -> None:
    topic = talk.topic("written")
    versions = SECOND if talk.version >= 5 else FIRST
    producer = Producer(talk, versions=versions)
    producer.init()

    def ask(label: str, committed: bool) -> None:
        before = producer.epoch
        answer = talk.ask(label, producer.end_request(committed))
        if not answer.error_code:
            producer.ended(answer)
            talk.note(f"{label}: epochs", producer.epoch - before)

    ask("nothing committed", True)
    ask("nothing aborted", False)
    producer.produce(topic, "a", "b")
    write(talk, topic, batch_of("between"))
    ask("committed", True)
    note_reading(talk, "committed, seen", topic, 1)
    if talk.version < 5:
        ask("committed again", True)
        ask("then aborted", False)
    else:
        producer.epoch -= 1
        ask("committed again", True)
        producer.epoch -= 1
        ask("then aborted", False)
        producer.epoch += 1
    producer.init()
    producer.produce(topic, "c")
    ask("aborted", False)
    note_reading(talk, "aborted, seen", topic, 1)
    note_reading(talk, "aborted, seen by all", topic, 0)
    producer.init()
    producer.produce(topic, "d")
    producer.epoch -= 1
    ask("of an earlier epoch", True)
    producer.epoch += 2
    ask("of a later epoch", True)
    producer.epoch -= 1
    producer.producer_id += 999_999
    ask("of another id", True)
    stranger = Producer(talk, "stranger")
    talk.ask("of nobody known", stranger.end_request(committed=True))


@scenario(25, 0, 4)
def add_offsets_to_txn(talk: Talk) -> None:
    producer = Producer(talk, versions=SECOND if talk.version >= 4 else FIRST)
    producer.init()
    group = talk.name("group")

    def ask(label: str, epoch: int = 0, name: str = producer.name, to: str = group) -> None:
        who = (name, producer.producer_id, producer.epoch + epoch)
        talk.ask(label, AddOffsetsToTxnRequest(*who, to))

    ask("of a group")
    ask("again")
    ask("of an earlier epoch", -1)
    ask("of nobody known", name=talk.name("stranger"))
    ask("of a group without a name", to="")


@scenario(28, 0, 5)
def txn_offset_commit(talk: Talk) -> None:
    topic = talk.topic("read")
    versions = SECOND if talk.version >= 5 else FIRST
    producer = Producer(talk, versions=versions)
    producer.init()
    group = talk.name("group")
    talk.do(commit_request(group, topic, 1), 8)

    def add() -> None:
        if talk.version < 5:
            who = (producer.name, producer.producer_id, producer.epoch)
            answer = talk.do(AddOffsetsToTxnRequest(*who, group), 3)
            assert not answer.error_code, answer

    add()
    talk.ask("in the transaction", producer.commit_request(group, topic, 5))
    note_offsets(talk, "before the end", group, topic)
    producer.end(committed=True)
    note_offsets(talk, "committed", group, topic)
    add()
    talk.ask("in one to be aborted", producer.commit_request(group, topic, 9))
    producer.end(committed=False)
    note_offsets(talk, "aborted", group, topic)
    add()
    missing = MetadataResponseTopic(0, talk.name("missing"))
    talk.ask("of a missing topic", producer.commit_request(group, missing, 1))
    if talk.version >= 3:
        member = {"member_id": "nobody", "generation_id": 3}
        talk.ask("by an unknown member", producer.commit_request(group, topic, 1, **member))
    producer.epoch -= 1
    talk.ask("of an earlier epoch", producer.commit_request(group, topic, 1))


@scenario(27, 1, 2)
def write_txn_markers(talk: Talk) -> None:
    topic = talk.topic("written")
    producer = Producer(talk)
    producer.init()
    producer.produce(topic, "a")

    def ask(label: str, name: str, *partitions: int, epoch: int = 0, commit: bool = False) -> None:
        topics = [WritableTxnMarkerTopic(name, list(partitions))]
        marker = WritableTxnMarker(producer.producer_id, producer.epoch + epoch, commit, topics)
        talk.ask(label, WriteTxnMarkersRequest([marker]))

    ask("for a missing topic", talk.name("missing"), 0)
    ask("for a partition too many", topic.name or "", 7)
    ask("of an earlier epoch", topic.name or "", 0, epoch=-1)
    ask("aborted by an administrator", topic.name or "", 0)
    note_reading(talk, "seen", topic, 1)


@scenario(65, 0, 0)
def describe_transactions(talk: Talk) -> None:
    topic = talk.topic("written", 2)
    producer = Producer(talk)
    producer.init()
    talk.ask("before", DescribeTransactionsRequest([producer.name]))
    producer.produce(topic, "a", partition=1)
    talk.ask("ongoing", DescribeTransactionsRequest([producer.name]))
    producer.end(committed=True)
    talk.ask("committed", DescribeTransactionsRequest([producer.name]))
    talk.ask("unknown", DescribeTransactionsRequest([talk.name("unknown")]))
    talk.ask("none", DescribeTransactionsRequest([]))


@scenario(66, 0, 2)
def list_transactions(talk: Talk) -> None:
    topic = talk.topic("written")
    empty, ongoing = Producer(talk, "empty"), Producer(talk, "ongoing")
    empty.init()
    ongoing.init()
    ongoing.produce(topic, "a")

    def ask(label: str, request: ListTransactionsRequest) -> None:
        answer = talk.do(request, talk.version)
        ours = [s for s in answer.transaction_states if s.transactional_id.endswith(talk.suffix)]
        mine = ListTransactionsResponse(0, answer.error_code, answer.unknown_state_filters, ours)
        talk.note(label, talk.plain(mine, talk.version))

    ask("all", ListTransactionsRequest())
    ask("ongoing ones", ListTransactionsRequest(["Ongoing"]))
    ask("of no known state", ListTransactionsRequest(["Ongoing", "Sleepy"]))
    ask("of one producer", ListTransactionsRequest([], [ongoing.producer_id]))
    if talk.version >= 1:
        ask("long ones", ListTransactionsRequest(duration_filter=1_000_000))
    if talk.version >= 2:
        pattern = f"ongo.*{talk.suffix}"
        ask("by a pattern", ListTransactionsRequest(transactional_id_pattern=pattern))
        ask("by no pattern", ListTransactionsRequest(transactional_id_pattern="("))


@scenario(61, 0, 0)
def describe_producers(talk: Talk) -> None:
    topic = talk.topic("written", 2)
    producer = Producer(talk)
    producer.init()
    producer.produce(topic, "a", "b")
    name = topic.name or ""

    def ask(label: str, name: str, *partitions: int) -> None:
        answer = talk.do(DescribeProducersRequest([TopicRequest(name, list(partitions))]))
        for part in answer.topics[0].partitions:
            for active in part.active_producers:
                active.last_timestamp = min(active.last_timestamp, 1)
        talk.note(label, talk.plain(answer, 0))

    ask("two partitions", name, 0, 1)
    ask("a partition too many", name, 7)
    ask("a missing topic", talk.name("missing"), 0)
    producer.end(committed=True)
    ask("after the end", name, 0)

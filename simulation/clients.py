"""Client programs for the simulated broker: generators that yield requests.

A program gets the response, or None when the connection was lost before it
came: then nobody knows whether the request took effect, and the program does
what a careful client does.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from ottla.batch.control import transaction_marker
from ottla.batch.record_batch import Record, build_batch, headers, records
from ottla.wire.errors import ErrorCode
from ottla.wire.message import Request
from ottla.wire.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
)
from ottla.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest
from ottla.wire.messages.delete_topics import DeleteTopicsRequest
from ottla.wire.messages.end_txn import EndTxnRequest
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from ottla.wire.messages.init_producer_id import InitProducerIdRequest
from ottla.wire.messages.metadata import MetadataRequest
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from ottla.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestTopic
from ottla.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from ottla.wire.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from simulation.history import History, Place, Transaction
from simulation.log_model import Violation

STABLE_TOPICS: Final = ("stable", "other")
SCRATCH_TOPICS: Final = ("scratch", "more")
PARTITIONS: Final = 2
PLACES: Final = tuple((topic, p) for topic in STABLE_TOPICS for p in range(PARTITIONS))
#: Answers that ask a client to come again.
PATIENCE: Final = {
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.KAFKA_STORAGE_ERROR,
    ErrorCode.REQUEST_TIMED_OUT,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.LEADER_NOT_AVAILABLE,
    ErrorCode.CONCURRENT_TRANSACTIONS,
}


#: A newer epoch of this producer exists: the coordinator gave up waiting for this one.
FENCED: Final = {
    ErrorCode.PRODUCER_FENCED,
    ErrorCode.INVALID_PRODUCER_EPOCH,
    ErrorCode.INVALID_TXN_STATE,
    ErrorCode.TRANSACTION_ABORTABLE,
}


class Call(NamedTuple):
    """A request at one version of its API."""

    message: Request[Any]
    version: int


Program: TypeAlias = Generator[Call, Any, None]


def produce_call(
    place: Place, data: bytearray, acks: int, transactional_id: str | None = None
) -> Call:
    partition = PartitionProduceData(index=place[1], records=data)
    topic = TopicProduceData(name=place[0], partition_data=[partition])
    request = ProduceRequest(
        transactional_id=transactional_id, acks=acks, timeout_ms=30_000, topic_data=[topic]
    )
    return Call(request, 9)


def _answer(response: Any) -> Any:
    return response.responses[0].partition_responses[0]


def expect_patience(what: str, code: int) -> None:
    if code not in PATIENCE:
        raise Violation(f"{what} was answered {ErrorCode(code).name}")


def plain_producer(name: str, rng: random.Random, history: History) -> Program:
    """Sends, and forgets what it got no answer for."""
    number = 0
    while True:
        place = rng.choice(PLACES)
        values = []
        for _ in range(rng.randint(1, 3)):
            number += 1
            values.append(f"{name}:{number}:".encode() + rng.randbytes(rng.choice((0, 100, 2_000))))
        history.attempt(place, values, idempotent=False)
        data = build_batch([Record(0, 1_700_000_000_000, None, value) for value in values])
        response = yield produce_call(place, data, rng.choice((1, -1)))
        if response is None:
            continue
        answer = _answer(response)
        if answer.error_code:
            expect_patience(name, answer.error_code)
        else:
            history.acknowledge(place, answer.base_offset, values)


def idempotent_producer(name: str, rng: random.Random, history: History) -> Program:
    """Sends again, with the same sequence, until it has an answer."""
    producer_id = -1
    epoch = 0
    sequences: dict[Place, int] = {}
    number = 0
    while True:
        if producer_id < 0:
            wanted = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
            response = yield Call(wanted, 4)
            if response is None:
                continue
            if response.error_code:
                expect_patience(name, response.error_code)
                continue
            producer_id, epoch = response.producer_id, response.producer_epoch
        place = rng.choice(PLACES)
        values = []
        for _ in range(rng.randint(1, 3)):
            number += 1
            values.append(f"{name}:{number}:".encode() + rng.randbytes(rng.choice((0, 100, 2_000))))
        history.attempt(place, values, idempotent=True)
        sequence = sequences.get(place, 0)
        while True:
            data = build_batch(
                [Record(0, 1_700_000_000_000, None, value) for value in values],
                producer_id=producer_id,
                producer_epoch=epoch,
                base_sequence=sequence,
            )
            response = yield produce_call(place, data, -1)
            if response is None:
                continue
            answer = _answer(response)
            if answer.error_code:
                expect_patience(name, answer.error_code)
                continue
            history.acknowledge(place, answer.base_offset, values)
            break
        sequences[place] = sequence + len(values)


class Teller(NamedTuple):
    """A transactional producer. Several may have the same transactional id: whoever introduces
    himself ends what another has open, and shuts him out."""

    transactional_id: str
    #: Whose values are whose.
    name: str
    numbers: Iterator[int]
    #: A short one passes now and then in the middle of a transaction.
    timeout_ms: int = 60_000
    #: Has others do their work between two transactions.
    is_leisurely: bool = False

    def rest(self, rng: random.Random) -> Program:
        for _ in range(rng.randint(0, 8) if self.is_leisurely else 0):
            yield Call(MetadataRequest(topics=[]), 9)


def transactional_producer(teller: Teller, rng: random.Random, history: History) -> Program:
    """Transactions over several partitions, committed or aborted, each with a new epoch, which
    also aborts the one before it if that is still open."""
    name = teller.transactional_id
    while True:
        yield from teller.rest(rng)
        producer_id, epoch = yield from begin_transactions(name, teller.timeout_ms)
        transaction = Transaction()
        sequences = dict.fromkeys(PLACES, 0)
        is_known = True
        for _ in range(rng.randint(1, 4)):
            place = rng.choice(PLACES)
            value, data = _one_more(
                teller, place, (producer_id, epoch), sequences[place], transaction, rng, history
            )
            base_offset = yield from _add_and_produce(name, producer_id, epoch, place, data)
            if base_offset < 0:
                is_known = False
                break
            sequences[place] += 1
            history.acknowledge(place, base_offset, [value])
        is_commit = is_known and rng.random() < 0.6
        transaction.outcome = "committing" if is_commit else "aborted"
        if is_known:
            is_ended = yield from _end(name, producer_id, epoch, is_commit)
            if is_ended and is_commit:
                transaction.outcome = "committed"


def transactional_producer_v2(teller: Teller, rng: random.Random, history: History) -> Program:
    """As `transactional_producer` in the second version of transactions (KIP-890): partitions
    join by being produced to, each end brings a new epoch, and offsets of a group may be part
    of it."""
    name = teller.transactional_id
    while True:
        producer: tuple[int, int] | None
        producer = yield from begin_transactions(name, teller.timeout_ms)
        while producer is not None:
            yield from teller.rest(rng)
            transaction = Transaction()
            sequences = dict.fromkeys(PLACES, 0)
            is_known = True
            for _ in range(rng.randint(1, 4)):
                place = rng.choice(PLACES)
                value, data = _one_more(
                    teller, place, producer, sequences[place], transaction, rng, history
                )
                call = produce_call(place, data, -1, transactional_id=name)._replace(version=12)
                response = yield call
                answer = None if response is None else _answer(response)
                if answer is None or answer.error_code:
                    if answer is not None and answer.error_code not in FENCED:
                        expect_patience(name, answer.error_code)
                    is_known = False
                    break
                sequences[place] += 1
                history.acknowledge(place, answer.base_offset, [value])
            if is_known and rng.random() < 0.5:
                number = next(teller.numbers)
                history.transactional_offsets.setdefault(name, {})[number] = transaction
                is_known = yield from _commit_offset_within(name, producer, number)
            is_commit = is_known and rng.random() < 0.6
            transaction.outcome = "committing" if is_commit else "aborted"
            producer = (yield from _end_v2(name, producer, is_commit)) if is_known else None
            if producer is not None and is_commit:
                transaction.outcome = "committed"


def _one_more(
    teller: Teller,
    place: Place,
    producer: tuple[int, int],
    sequence: int,
    transaction: Transaction,
    rng: random.Random,
    history: History,
) -> tuple[bytes, bytearray]:
    """A value that is about to become part of the transaction, and its batch."""
    value = f"{teller.name}:{next(teller.numbers)}:".encode() + rng.randbytes(rng.choice((0, 100)))
    history.attempt(place, [value], idempotent=True)
    transaction.places[value] = place
    history.transactions[value] = transaction
    data = build_batch(
        [Record(0, 1_700_000_000_000, None, value)],
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=sequence,
        transactional=True,
    )
    return value, data


def _commit_offset_within(
    name: str, producer: tuple[int, int], offset: int
) -> Generator[Call, Any, bool]:
    """For the group that has the transactional id's name."""
    partition = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    response = yield Call(
        TxnOffsetCommitRequest(
            transactional_id=name,
            group_id=name,
            producer_id=producer[0],
            producer_epoch=producer[1],
            topics=[TxnOffsetCommitRequestTopic(name=PLACES[0][0], partitions=[partition])],
        ),
        5,
    )
    if response is None:
        return False
    code = response.topics[0].partitions[0].error_code
    if code and code not in FENCED:
        expect_patience(name, code)
    return not code


def _end_v2(
    name: str, producer: tuple[int, int], is_commit: bool
) -> Generator[Call, Any, tuple[int, int] | None]:
    """The producer's next id and epoch when the transaction durably ended as asked."""
    while True:
        response = yield Call(
            EndTxnRequest(
                transactional_id=name,
                producer_id=producer[0],
                producer_epoch=producer[1],
                committed=is_commit,
            ),
            5,
        )
        if response is None:
            continue
        if not response.error_code:
            return response.producer_id, response.producer_epoch
        if response.error_code in FENCED:
            return None
        expect_patience(name, response.error_code)


def reader_of_transactional_offsets(
    group: str, history: History, *, rounds: int | None = None
) -> Program:
    """Looks up the offset that is committed within transactions."""
    done = 0
    while rounds is None or done < rounds:
        promised = history.last_committed_within(group)
        response = yield Call(
            OffsetFetchRequest(
                group_id=group,
                topics=[OffsetFetchRequestTopic(name=PLACES[0][0], partition_indexes=[0])],
                require_stable=True,
            ),
            7,
        )
        if response is None:
            continue
        found = None if response.error_code else response.topics[0].partitions[0]
        code = response.error_code if found is None else found.error_code
        if code or found is None:
            if code != ErrorCode.UNSTABLE_OFFSET_COMMIT:
                expect_patience("an OffsetFetch", code)
            continue
        history.committed_within(group, found.committed_offset, promised)
        done += 1


def begin_transactions(
    name: str, timeout_ms: int = 60_000
) -> Generator[Call, Any, tuple[int, int]]:
    """A producer id and a new epoch; whatever was open is aborted, or its commit completed."""
    while True:
        wanted = InitProducerIdRequest(transactional_id=name, transaction_timeout_ms=timeout_ms)
        response = yield Call(wanted, 4)
        if response is None:
            continue
        if not response.error_code:
            return response.producer_id, response.producer_epoch
        expect_patience(name, response.error_code)


def _add_and_produce(
    name: str, producer_id: int, epoch: int, place: Place, data: bytearray
) -> Generator[Call, Any, int]:
    """The record's offset in the transaction; -1 when nobody knows, or it is not in it."""
    while True:
        topics = [AddPartitionsToTxnTopic(name=place[0], partitions=[place[1]])]
        response = yield Call(
            AddPartitionsToTxnRequest(
                v3_and_below_transactional_id=name,
                v3_and_below_producer_id=producer_id,
                v3_and_below_producer_epoch=epoch,
                v3_and_below_topics=topics,
            ),
            3,
        )
        if response is None:
            return -1
        answer = response.results_by_topic_v3_and_below[0].results_by_partition[0]
        code = answer.partition_error_code
        if not code:
            break
        if code not in FENCED:
            expect_patience(name, code)
        if code != ErrorCode.CONCURRENT_TRANSACTIONS:
            return -1
    response = yield produce_call(place, data, -1, transactional_id=name)
    if response is None:
        return -1
    answer = _answer(response)
    if answer.error_code:
        if answer.error_code not in FENCED:
            expect_patience(name, answer.error_code)
        return -1
    return int(answer.base_offset)


def _end(name: str, producer_id: int, epoch: int, is_commit: bool) -> Generator[Call, Any, bool]:
    """Whether the transaction durably ended as asked; False when nobody knows."""
    while True:
        response = yield Call(
            EndTxnRequest(
                transactional_id=name,
                producer_id=producer_id,
                producer_epoch=epoch,
                committed=is_commit,
            ),
            3,
        )
        if response is None:
            continue
        if not response.error_code:
            return True
        if response.error_code in FENCED:
            return False
        expect_patience(name, response.error_code)


def consumer(
    rng: random.Random,
    history: History,
    *,
    rounds: int | None = None,
    is_committed: bool = False,
) -> Program:
    """Reads every partition from the start, over and over; long polls at the end.

    With `rounds` it reads everything that is promised so many times and stops.
    """
    isolation_level = 1 if is_committed else 0
    done = 0
    while rounds is None or done < rounds:
        done += 1
        for place in PLACES:
            offset = 0
            while True:
                promised_end = history.end_of(place)
                partition = FetchPartition(
                    partition=place[1],
                    fetch_offset=offset,
                    partition_max_bytes=rng.choice((1, 3_000, 1 << 20)),
                )
                response = yield Call(
                    FetchRequest(
                        replica_id=-1,
                        max_wait_ms=rng.choice((0, 50)),
                        min_bytes=1,
                        max_bytes=1 << 20,
                        isolation_level=isolation_level,
                        topics=[FetchTopic(topic=place[0], partitions=[partition])],
                    ),
                    12,
                )
                if response is None:
                    continue
                if not response.responses:
                    raise Violation(f"a fetch of {place} was answered with nothing")
                answer = response.responses[0].partitions[0]
                if answer.error_code:
                    expect_patience(f"a fetch of {place} at {offset}", answer.error_code)
                    continue
                found, committed = _unpack(answer, offset)
                history.fetched(place, offset, answer.high_watermark, promised_end, found)
                offset += len(found)
                if is_committed:
                    for value in committed:
                        history.show_committed(value)
                end = answer.last_stable_offset if is_committed else answer.high_watermark
                if offset >= end and rng.random() < 0.7:
                    break


def _unpack(answer: Any, offset: int) -> tuple[list[tuple[int, bytes | None]], list[bytes]]:
    """All records from `offset` on (control records without a value), and the values of those
    that do not belong to an aborted transaction."""
    found: list[tuple[int, bytes | None]] = []
    committed: list[bytes] = []
    aborted = sorted(
        (one.first_offset, one.producer_id) for one in answer.aborted_transactions or ()
    )
    within: set[int] = set()
    data = answer.records or b""
    for position, header in headers(data):
        while aborted and aborted[0][0] <= header.last_offset:
            within.add(aborted.pop(0)[1])
        for record in records(data, position):
            if header.is_control:
                marker = transaction_marker(record)
                if marker is not None and not marker.is_commit:
                    within.discard(header.producer_id)
            if record.offset >= offset:
                value = None if header.is_control else record.value or b""
                found.append((record.offset, value))
                is_aborted = header.is_transactional and header.producer_id in within
                if value is not None and not is_aborted:
                    committed.append(value)
    return found, committed


def committer(
    group: str, rng: random.Random, history: History, *, rounds: int | None = None
) -> Program:
    """Commits ever larger offsets and looks them up; with `rounds` it only looks them up."""
    done = 0
    offsets = dict.fromkeys(PLACES, 0)
    while rounds is None or done < rounds:
        done += 1
        place = rng.choice(PLACES) if rounds is None else PLACES[done % len(PLACES)]
        key = (group, place)
        if rounds is None and rng.random() < 0.7:
            offsets[place] += rng.randint(1, 5)
            offset = offsets[place]
            history.attempt_commit(group, place, offset)
            partition = OffsetCommitRequestPartition(
                partition_index=place[1], committed_offset=offset
            )
            response = yield Call(
                OffsetCommitRequest(
                    group_id=group,
                    generation_id_or_member_epoch=-1,
                    topics=[OffsetCommitRequestTopic(name=place[0], partitions=[partition])],
                ),
                8,
            )
            if response is not None:
                code = response.topics[0].partitions[0].error_code
                if code:
                    expect_patience(group, code)
                else:
                    history.acknowledge_commit(group, place, offset)
            continue
        promised = history.committed_offsets.get(key, -1)
        response = yield Call(
            OffsetFetchRequest(
                group_id=group,
                topics=[OffsetFetchRequestTopic(name=place[0], partition_indexes=[place[1]])],
            ),
            7,
        )
        if response is None:
            continue
        found = None if response.error_code else response.topics[0].partitions[0]
        code = response.error_code if found is None else found.error_code
        if code or found is None:
            expect_patience(group, code)
            continue
        history.committed(group, place, found.committed_offset, promised)


def topic_keeper(rng: random.Random) -> Program:
    """Creates the stable topics, then creates and deletes others; what was answered stays so."""
    for topic in STABLE_TOPICS:
        yield from until_exists(topic)
    #: None when nobody knows.
    exists: dict[str, bool | None] = dict.fromkeys(SCRATCH_TOPICS, False)
    while True:
        topic = rng.choice(SCRATCH_TOPICS)
        choice = rng.random()
        if choice < 0.35:
            response = yield _create(topic)
            if response is None:
                exists[topic] = None if not exists[topic] else True
                continue
            code = response.topics[0].error_code
            if code == ErrorCode.TOPIC_ALREADY_EXISTS and exists[topic] is not False:
                pass  # A deletion in doubt stays so: it may take effect at the next start.
            elif code:
                expect_patience(f"creating {topic}", code)
                exists[topic] = None
            else:
                if exists[topic]:
                    raise Violation(f"{topic} was created although it exists")
                exists[topic] = True
        elif choice < 0.7:
            response = yield Call(DeleteTopicsRequest(topic_names=[topic], timeout_ms=30_000), 5)
            if response is None:
                exists[topic] = None if exists[topic] is not False else False
                continue
            code = response.responses[0].error_code
            if code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and not exists[topic]:
                pass  # As above, of a creation.
            elif code:
                if code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                    raise Violation(f"{topic} was created, and now it is not there")
                expect_patience(f"deleting {topic}", code)
                exists[topic] = None
            else:
                exists[topic] = False
        else:
            response = yield Call(MetadataRequest(topics=None), 9)
            if response is not None:
                there = {one.name for one in response.topics}
                for topic, known in exists.items():
                    if known is not None and known != (topic in there):
                        raise Violation(f"{topic}: told that it exists: {known}, listed: {there}")
                    # A change in doubt stays so: it may take effect at the next start.
                if not there.issuperset(STABLE_TOPICS):
                    raise Violation(f"only {there} are left")


def _create(topic: str, partitions: int = PARTITIONS) -> Call:
    wanted = CreatableTopic(name=topic, num_partitions=partitions, replication_factor=1)
    return Call(CreateTopicsRequest(topics=[wanted], timeout_ms=30_000), 7)


def until_exists(topic: str, partitions: int = PARTITIONS) -> Program:
    """Create a topic, and be content when it is there."""
    while True:
        response = yield _create(topic, partitions)
        if response is not None and response.topics[0].error_code in (
            ErrorCode.NONE,
            ErrorCode.TOPIC_ALREADY_EXISTS,
        ):
            return

"""Clients that change what topics are: DeleteRecords and CreatePartitions."""

from __future__ import annotations

import random
from typing import Final

from ottla.batch.record_batch import Record, build_batch, headers, records
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from ottla.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from ottla.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from ottla.wire.messages.metadata import MetadataRequest, MetadataRequestTopic
from simulation.clients import (
    PATIENCE,
    Call,
    Program,
    expect_patience,
    produce_call,
    until_exists,
)
from simulation.log_model import Violation

TRIMMED: Final = "trimmed"
GROWN: Final = "grown"
MOST_PARTITIONS: Final = 6
EARLIEST: Final = -2


def trimmer(rng: random.Random) -> Program:
    """Writes, and deletes from the front; what was deleted is never seen again."""
    yield from until_exists(TRIMMED, 1)
    end = start = 0
    place = (TRIMMED, 0)
    while True:
        choice = rng.random()
        if choice < 0.4:
            values = [rng.randbytes(rng.choice((10, 1_500))) for _ in range(rng.randint(1, 4))]
            data = build_batch([Record(0, 1_700_000_000_000, None, value) for value in values])
            response = yield produce_call(place, data, -1)
            if response is not None:
                answer = response.responses[0].partition_responses[0]
                if answer.error_code:
                    expect_patience(TRIMMED, answer.error_code)
                else:
                    end = max(end, answer.base_offset + len(values))
        elif choice < 0.6:
            wanted = DeleteRecordsPartition(0, rng.randint(start, max(start, end)))
            request = DeleteRecordsRequest([DeleteRecordsTopic(TRIMMED, [wanted])], 1_000)
            response = yield Call(request, 1)
            if response is None:
                continue
            deleted = response.topics[0].partitions[0]
            if deleted.error_code:
                expect_patience("DeleteRecords", deleted.error_code)
            else:
                start = max(start, deleted.low_watermark)
        elif choice < 0.8:
            yield from _check_start(start)
        else:
            yield from _check_fetch(rng.randint(0, start), start)


def _check_start(start: int) -> Program:
    partition = ListOffsetsPartition(partition_index=0, timestamp=EARLIEST)
    topic = ListOffsetsTopic(name=TRIMMED, partitions=[partition])
    response = yield Call(ListOffsetsRequest(replica_id=-1, topics=[topic]), 5)
    if response is None:
        return
    found = response.topics[0].partitions[0]
    if found.error_code:
        expect_patience("ListOffsets", found.error_code)
    elif found.offset < start:
        raise Violation(f"{TRIMMED} begins at {found.offset}, deleted was up to {start}")


def _check_fetch(offset: int, start: int) -> Program:
    part = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=5_000)
    topic = FetchTopic(topic=TRIMMED, partitions=[part])
    response = yield Call(FetchRequest(max_wait_ms=0, max_bytes=5_000, topics=[topic]), 11)
    if response is None:
        return
    found = response.responses[0].partitions[0]
    if found.error_code == ErrorCode.OFFSET_OUT_OF_RANGE:
        return
    if found.error_code:
        expect_patience("Fetch", found.error_code)
        return
    if offset < start:
        raise Violation(f"{TRIMMED} was read from {offset}, deleted was up to {start}")
    for position, _ in headers(found.records or b""):
        for _record in records(found.records, position):
            pass


def grower(rng: random.Random) -> Program:
    """Adds partitions; what was answered stays so."""
    yield from until_exists(GROWN, 1)
    acknowledged = tried = 1
    while True:
        if rng.random() < 0.3 and tried < MOST_PARTITIONS:
            tried += 1
            wanted = CreatePartitionsTopic(GROWN, tried, None)
            response = yield Call(CreatePartitionsRequest([wanted], 1_000, False), 2)
            if response is None:
                continue
            code = response.results[0].error_code
            if code == ErrorCode.NONE:
                acknowledged = tried
            elif code == ErrorCode.INVALID_PARTITIONS:
                raise Violation(f"{GROWN} has {tried} partitions, and nobody asked for them")
            else:
                expect_patience("CreatePartitions", code)
            continue
        wanted_topic = MetadataRequestTopic(name=GROWN)
        response = yield Call(MetadataRequest(topics=[wanted_topic]), 9)
        if response is None:
            continue
        code = response.topics[0].error_code
        if code in PATIENCE:
            continue
        count = len(response.topics[0].partitions)
        if not acknowledged <= count <= tried:
            raise Violation(f"{GROWN} has {count} partitions, told were {acknowledged} to {tried}")
        # What was shown stays; a change in doubt may still take effect at the next start.
        acknowledged = count

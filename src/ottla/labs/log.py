"""What a partition is on the disk: segments, a sparse index, batches as they were sent.

A topic is written, and then looked at where it lies: which files there are,
how the index leads from an offset to a byte, that the bytes of a batch are the
same when sent, stored and fetched, and how retention and compaction let go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ottla.batch.record_batch import Record, build_batch, headers
from ottla.client import Cluster
from ottla.inspect.data_files import (
    LoggedBatch,
    Segment,
    base_offset_of,
    batch_at,
    index_entries,
)
from ottla.labs.bench import Bench, LabError
from ottla.labs.screen import bar
from ottla.lag.feed import now_ms
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from ottla.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

OWN_ONLY: Final = "it opens the broker's files, and moves its clock"
BROKER: Final = {
    "log.retention.check.interval.ms": "200",
    "log.cleaner.backoff.ms": "100",
    "log.initial.task.delay.ms": "100",
}
SEGMENT_BYTES: Final = 16_384
RECORDS_PER_BATCH: Final = 10
RECORD_BYTES: Final = 100
HOUR_MS: Final = 3_600_000
LZ4: Final = 3
#: Base offset, length and leader epoch come first; the broker fills in two of them, and
#: neither is covered by the batch's checksum.
FILLED_IN_BYTES: Final = 16


def run(bench: Bench) -> None:
    topic = bench.create_topic(
        bench.unique("log"),
        config={
            "segment.bytes": str(SEGMENT_BYTES),
            "index.interval.bytes": "2048",
            "retention.ms": str(HOUR_MS),
            "file.delete.delay.ms": "0",
        },
    )
    with Cluster(bench.bootstrap_servers) as cluster:
        hashes = same_bytes(bench, cluster, topic)
        directory = _directory(bench, topic)
        segments(bench, topic, directory)
        stored = {digest(batch.data) for batch in _batches(directory)}
        bench.check(
            "the hashes of the first batches are still among those stored", hashes <= stored
        )
    look_up(bench, topic, directory)
    retention(bench, topic, directory)
    compaction(bench)


def same_bytes(bench: Bench, cluster: Cluster, topic: str) -> set[str]:
    """A batch's hash when sent, on the disk, and when fetched."""
    screen = bench.screen
    screen.heading("a batch: sent, stored, fetched")
    sent = []
    for compression, name in ((0, "none"), (LZ4, "lz4")):
        now = now_ms()
        values = [f"{name} {n}".ljust(RECORD_BYTES).encode() for n in range(RECORDS_PER_BATCH)]
        records = [Record(0, now, b"key", value, ()) for value in values]
        batch = build_batch(records, compression=compression)
        sent.append(digest(batch))
        _produce(cluster, topic, bytes(batch))
    stored = [digest(batch.data) for batch in _batches(_directory(bench, topic))]
    fetched = [digest(batch) for batch in _split(_fetch(cluster, topic))]
    screen.say(screen.paint(f"  {'compression':<13}{'sent':<20}{'stored':<20}fetched", "dim"))
    for name, *row in zip(("none", "lz4"), sent, stored, fetched, strict=True):
        cells = "".join(screen.paint(cell[:16].ljust(20), "green") for cell in row)
        screen.say(f"  {name:<13}{cells}")
    bench.count(batches_compared=len(sent))
    bench.check("the broker never unpacked them: all three are the same", sent == stored == fetched)
    return set(sent)


def segments(bench: Bench, topic: str, directory: Path) -> None:
    """Enough records for several segments, and what lies there then."""
    screen = bench.screen
    count = bench.scaled(600, 2_000)
    screen.heading(f"{count} records, segments of {SEGMENT_BYTES:,} bytes")
    for start in range(0, count, RECORDS_PER_BATCH):
        pairs = [
            (None, f"record {n}".ljust(RECORD_BYTES))
            for n in range(start, start + RECORDS_PER_BATCH)
        ]
        bench.produce(topic, pairs)
    files = _segment_files(directory)
    for path in files:
        entries = len(list(index_entries(path.with_suffix(".index"))))
        size = path.stat().st_size
        drawn = screen.paint(bar(size, SEGMENT_BYTES, 16), "cyan")
        screen.say(f"  {path.name}  {drawn}{size:>7} bytes, index: {entries} entries")
    batches = list(_batches(directory))
    bases = [base_offset_of(path) for path in files]
    bench.count(segments=len(files), batches=len(batches), records=count)
    bench.check(
        "each file is named for its first offset",
        all(_first_offset(path) == base for path, base in zip(files, bases, strict=True)),
    )
    bench.check(
        "the batches follow each other without a gap, each with its right checksum",
        all(batch.is_valid for batch in batches) and _is_gapless(batches),
    )
    lying = len(bench.read(topic))
    held = sum(batch.header.record_count for batch in batches if batch.header is not None)
    bench.check(f"the files hold the {held} records that a consumer reads", held == lying)


def look_up(bench: Bench, topic: str, directory: Path) -> None:
    """From an offset to its record: segment, index, scan."""
    screen = bench.screen
    rows = {row.offset: row.value for row in bench.read(topic)}
    wanted = max(rows) * 2 // 3
    screen.heading(f"the way to offset {wanted}")
    files = _segment_files(directory)
    segment = [path for path in files if base_offset_of(path) <= wanted][-1]
    base = base_offset_of(segment)
    screen.say(f"  1  of {len(files)} segments, the last that does not begin after it:")
    screen.say(f"     {screen.paint(segment.name, 'cyan')}")
    entries = [(base, 0), *index_entries(segment.with_suffix(".index"))]
    offset, position = [entry for entry in entries if entry[0] <= wanted][-1]
    screen.say(f"  2  its index has {len(entries) - 1} entries; the last that is not beyond:")
    relative = screen.paint(f"{offset - base} → byte {position}", "cyan")
    screen.say(f"     {relative}   (offset {offset}, kept relative to {base})")
    scanned = 0
    found: LoggedBatch | None = None
    while found is None:
        batch = batch_at(segment, position)
        if batch is None or batch.header is None:
            raise LabError(f"{segment.name} has no batch at byte {position}")
        scanned += 1
        if batch.header.last_offset >= wanted:
            found = batch
        position += batch.size
    assert found.header is not None
    screen.say(f"  3  from there on, {scanned} batch headers read; the batch that holds it:")
    first, last = found.header.base_offset, found.header.last_offset
    screen.say(f"     {screen.paint(f'offsets {first} to {last}', 'cyan')}, {found.size} bytes")
    (record,) = [record for record in found.records() if record.offset == wanted]
    value = (record.value or b"").decode()
    screen.say(f"  4  in it, the record: {screen.paint(value.strip(), 'cyan')}")
    whole = len(list(Segment(segment)))
    bench.count(offset=wanted, scanned=scanned, batches_in_segment=whole)
    bench.check(
        f"found after {scanned} of the segment's {whole} batches, and it is what a consumer reads",
        value == rows[wanted] and scanned < whole,
    )


def retention(bench: Bench, topic: str, directory: Path) -> None:
    """An hour passes, on the broker's clock; nobody has read anything."""
    assert bench.broker is not None
    screen = bench.screen
    screen.heading("an hour later (retention.ms=3600000)")
    before = _segment_files(directory)
    bench.broker.control.advance_time(HOUR_MS / 1_000 + 60)
    bench.wait(lambda: _start_of(bench, topic) > 0, "nothing expires")
    bench.wait(lambda: not set(before[:-1]) & set(_segment_files(directory)), "no file goes")
    start = _start_of(bench, topic)
    left = bench.read(topic)
    screen.say(f"  {len(before)} segments before, {len(_segment_files(directory))} now")
    bench.count(start_after_retention=start, left=len(left))
    bench.check(
        f"whole segments went, consumed or not: the log begins at offset {start} now",
        all(row.offset >= start for row in left) and start >= base_offset_of(before[-1]),
    )


def compaction(bench: Bench) -> None:
    """Ten keys written again and again: in the end the last value of each is left."""
    assert bench.broker is not None
    screen = bench.screen
    rounds, keys = bench.scaled(30, 200), 10
    screen.heading(f"{keys} keys written {rounds} times each (cleanup.policy=compact)")
    topic = bench.create_topic(
        bench.unique("compacted"),
        config={
            "cleanup.policy": "compact",
            "segment.bytes": str(SEGMENT_BYTES),
            "min.cleanable.dirty.ratio": "0.01",
            "segment.ms": "60000",
            "message.timestamp.after.max.ms": str(24 * HOUR_MS),
        },
    )
    for number in range(rounds):
        pairs = [(f"key {k}", f"value {number} of key {k}") for k in range(keys)]
        bench.produce(topic, pairs)
    before = bench.read(topic)
    last = {row.key: row.value for row in before}
    # The segment that is written to is never cleaned: a record of later begins a new one.
    bench.broker.control.advance_time(120)
    bench.produce(topic, [("end", "of the lab")], timestamp_ms=now_ms() + HOUR_MS)
    left: list[int] = []

    def is_clean() -> bool:
        left.append(len(bench.read(topic)))
        return left[-1] <= keys + 1

    def picture() -> list[str]:
        now = left[-1] if left else len(before)
        drawn = screen.paint(bar(now, len(before), 40), "yellow")
        return [f"  {drawn} {now} of {len(before)} records"]

    bench.wait(is_clean, "the cleaner does not come", picture=picture)
    after = bench.read(topic)
    offsets = {(row.offset, row.value) for row in before}
    bench.count(before_compaction=len(before), after_compaction=len(after))
    bench.check(
        f"{len(before)} records became {len(after) - 1}: the last of each key",
        {row.key: row.value for row in after if row.key != "end"} == last
        and len(after) == keys + 1,
    )
    bench.check(
        "those that stayed have their old offsets",
        {(row.offset, row.value) for row in after if row.key != "end"} <= offsets,
    )


def digest(batch: bytes | bytearray | memoryview) -> str:
    """Hash of a batch from its magic byte on: all that its producer decides."""
    return hashlib.sha256(memoryview(batch)[FILLED_IN_BYTES:]).hexdigest()


def _directory(bench: Bench, topic: str) -> Path:
    assert bench.broker is not None
    return bench.broker.directory / f"{topic}-0"


def _segment_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.log"))


def _batches(directory: Path) -> Iterator[LoggedBatch]:
    for path in _segment_files(directory):
        yield from Segment(path)


def _first_offset(path: Path) -> int:
    first = next(iter(Segment(path)), None)
    # A segment that was just begun has no record yet.
    return (
        base_offset_of(path) if first is None or first.header is None else first.header.base_offset
    )


def _is_gapless(batches: list[LoggedBatch]) -> bool:
    expected = 0
    for batch in batches:
        if batch.header is None or batch.header.base_offset != expected:
            return False
        expected = batch.header.next_offset
    return True


def _start_of(bench: Bench, topic: str) -> int:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(bench.client(group_id=bench.unique("start")))
    start, _ = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
    consumer.close()
    return int(start)


def _produce(cluster: Cluster, topic: str, batch: bytes) -> None:
    topic_id = cluster.topic(topic).topic_id
    data = TopicProduceData(topic_id, topic, [PartitionProduceData(0, batch)])
    answer = cluster.leader(topic, 0).request(ProduceRequest(None, -1, 10_000, [data]))
    (result,) = answer.responses[0].partition_responses
    if result.error_code:
        raise LabError(f"The broker refused a batch with error {result.error_code}.")


def _fetch(cluster: Cluster, topic: str) -> Any:
    topic_id = cluster.topic(topic).topic_id
    partition = FetchPartition(0, partition_max_bytes=1_000_000)
    request = FetchRequest(
        max_wait_ms=1_000, min_bytes=1, topics=[FetchTopic(topic_id, topic, [partition])]
    )
    answer = cluster.leader(topic, 0).request(request)
    return answer.responses[0].partitions[0].records


def _split(data: Any) -> Iterator[bytes]:
    buffer = b"".join(data) if isinstance(data, list) else bytes(data or b"")
    for position, header in headers(buffer):
        yield buffer[position : position + header.size_in_bytes]

"""Reading records for the messages page: a bounded slice, or a search.

Each call assigns a consumer of its own to the wanted range, so that nothing
is committed and no group is disturbed. `search` is a generator that also says
how much of the range it has covered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import regex
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from ottla.client.offsets import LATEST, find_offsets, partition_leaders
from ottla.console.cluster import ClusterError, ClusterView, reason_of
from ottla.console.raw import raw_cluster
from ottla.lag.feed import quiet_logger

POLL_S = 0.5
READ_TIMEOUT_POLLS = 12
BATCH = 1000
#: The newest records are looked for so many times further back, as far as this in a partition.
LOOK_BACK_FACTOR = 10
MAX_LOOKED_BACK = 50_000
#: Keys of which the latest record is kept.
MAX_KEYS = 100_000
#: How long a person's regular expression may work on one text. Some would take years, and so
#: these are matched by a library that can be told when to give up and lets others work meanwhile.
MATCH_S = 1.0
#: A record that a browser gets is cut to this many bytes; export keeps all.
MAX_SHOWN_BYTES = 256 * 1024

Start = Literal["end", "beginning", "offset", "time"]


@dataclass(slots=True)
class RecordView:
    """A record for display and export."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]

    @property
    def size(self) -> int:
        return len(self.key or b"") + len(self.value or b"")


@dataclass(slots=True)
class Range:
    """What part of a topic to look at; `limit` counts records shown."""

    start: Start = "end"
    partition: int | None = None
    offset: int = 0
    time_ms: int = 0
    limit: int = 100


@dataclass(slots=True)
class Progress:
    """How far a search has come."""

    scanned: int
    total: int
    found: list[RecordView]
    is_complete: bool
    #: All that matched; `found` holds the first of them.
    matches: int = 0


Predicate = Callable[[RecordView], bool]


def view_of(message: Message) -> RecordView:
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return RecordView(
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp_ms=message.timestamp()[1],
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=[(n, _bytes(v)) for n, v in pairs],
    )


def _bytes(value: Any) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def filter_of(
    text: str, where: str = "anywhere", *, is_regex: bool = False, json_path: str = ""
) -> Predicate:
    """A predicate from what a person typed. Errors: `ClusterError` for a bad pattern, and from
    the predicate for one that finds no end."""
    if not text and not json_path:
        return lambda _: True
    is_in = _expression(text) if is_regex else re.compile(re.escape(text), re.IGNORECASE).search
    steps = [s for s in re.split(r"[.\[\]]+", json_path.removeprefix("$")) if s]

    def parts(record: RecordView) -> Iterator[str]:
        if json_path:
            found = reach(record.key if where == "key" else record.value, steps)
            if found is not None:
                yield found if isinstance(found, str) else json.dumps(found)
            return
        if where in ("anywhere", "key") and record.key is not None:
            yield record.key.decode("utf-8", "replace")
        if where in ("anywhere", "value") and record.value is not None:
            yield record.value.decode("utf-8", "replace")
        if where in ("anywhere", "header"):
            for name, value in record.headers:
                yield f"{name}: {(value or b'').decode('utf-8', 'replace')}"

    return lambda record: any(is_in(part) for part in parts(record))


def _expression(text: str) -> Callable[[str], Any]:
    """Whether a regular expression is found in a text; both as a person typed them."""
    try:
        pattern = regex.compile(text, regex.IGNORECASE)
    except regex.error as error:
        raise ClusterError(f"That is not a regular expression: {error}") from None

    def is_in(part: str) -> Any:
        try:
            return pattern.search(part, timeout=MATCH_S, concurrent=True)
        except TimeoutError:
            raise ClusterError(
                f"The regular expression needs more than {MATCH_S:.0f} s for one record. Nested"
                " repetitions, such as (a+)+, do that: write it without."
            ) from None

    return is_in


def reach(value: bytes | None, steps: list[str]) -> Any:
    """The value below a JSON path; None where there is none."""
    try:
        found = json.loads(value or b"null")
    except (ValueError, RecursionError):
        return None
    for step in steps:
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


class Reader:
    """A consumer that reads one range of a topic; close it after use."""

    def __init__(self, cluster: ClusterView, topic: str) -> None:
        self.topic = topic
        #: The offset after the last one read, of each partition.
        self.positions: dict[int, int] = {}
        self.consumer = Consumer(
            {
                **cluster.client_config,
                "group.id": "ottla-console",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                # The last offsets of a range may hold no record: markers of transactions, what
                # was aborted, what compaction took. That all are passed is told as an end.
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "allow.auto.create.topics": False,
            },
            logger=quiet_logger,
        )

    def close(self) -> None:
        self.consumer.close()

    def bounds(self, wanted: Range) -> dict[int, tuple[int, int]]:
        """First offset and end of what can be read of each wanted partition."""
        try:
            found = {
                n: self.consumer.get_watermark_offsets(TopicPartition(self.topic, n), timeout=10)
                for n in self._numbers(wanted)
            }
            starts = self._starts(wanted, found)
        except KafkaException as error:
            raise ClusterError(reason_of(error)) from None
        return {n: (starts[n], high) for n, (_, high) in found.items()}

    def _numbers(self, wanted: Range) -> list[int]:
        metadata = self.consumer.list_topics(self.topic, timeout=10).topics[self.topic]
        if metadata.error is not None:
            raise ClusterError(f"There is no topic {self.topic}.")
        return [n for n in sorted(metadata.partitions) if wanted.partition in (None, n)]

    def _starts(self, wanted: Range, found: dict[int, tuple[int, int]]) -> dict[int, int]:
        if wanted.start == "beginning":
            return {n: low for n, (low, _) in found.items()}
        if wanted.start == "offset":
            return {n: min(max(wanted.offset, low), high) for n, (low, high) in found.items()}
        if wanted.start == "time":
            asked = [TopicPartition(self.topic, n, wanted.time_ms) for n in found]
            answer = self.consumer.offsets_for_times(asked, timeout=10)
            return {
                a.partition: a.offset if a.offset >= 0 else found[a.partition][1] for a in answer
            }
        return {n: max(low, high - wanted.limit) for n, (low, high) in found.items()}

    def read(self, bounds: dict[int, tuple[int, int]]) -> Iterator[list[RecordView]]:
        """Records of the range in batches, until all partitions reached their end.

        Errors: `ClusterError` when some of them give nothing any more before that.
        """
        waiting = {n for n, (start, end) in bounds.items() if start < end}
        if not waiting:
            return
        self.consumer.assign([TopicPartition(self.topic, n, bounds[n][0]) for n in waiting])
        empty_polls = 0
        while waiting and empty_polls < READ_TIMEOUT_POLLS:
            # What is there already, or else the next to come: asking for many at once would
            # wait for so many.
            first = self.consumer.poll(POLL_S)
            messages = [] if first is None else [first, *self.consumer.consume(BATCH, 0)]
            batch = []
            for message in messages:
                error = message.error()
                if error is not None:
                    number = message.partition()
                    if error.code() == KafkaError._PARTITION_EOF and number in waiting:
                        waiting.discard(number)
                        self.positions[number] = bounds[number][1]
                    continue
                record = view_of(message)
                end = bounds[record.partition][1]
                self.positions[record.partition] = min(end, record.offset + 1)
                if record.offset < end:
                    batch.append(record)
                if record.offset >= end - 1:
                    waiting.discard(record.partition)
            empty_polls = 0 if messages else empty_polls + 1
            yield batch
        if waiting:
            some = ", ".join(map(str, sorted(waiting)[:5]))
            raise ClusterError(
                f"Not all could be read: no answer about {len(waiting)} of its partitions ({some})"
                f" for {READ_TIMEOUT_POLLS * POLL_S:.0f} s."
            )


@dataclass(frozen=True, slots=True)
class Slice:
    """Records, and where all there are were read, how many offsets held none of them."""

    records: list[RecordView]
    empty_offsets: int = 0


def read_slice(cluster: ClusterView, topic: str, wanted: Range) -> list[RecordView]:
    """At most `limit` records, newest first when reading from the end."""
    return slice_of(cluster, topic, wanted).records


def slice_of(cluster: ClusterView, topic: str, wanted: Range) -> Slice:
    """The same, with what the offsets say."""
    reader = Reader(cluster, topic)
    try:
        # Asked first, so that a record that comes meanwhile is not taken for an empty offset.
        ends = _ends(cluster, topic)
        if wanted.start == "end":
            return _newest(reader, wanted, ends)
        records: list[RecordView] = []
        bounds = reader.bounds(wanted)
        for batch in reader.read(bounds):
            records += batch
            if len(records) >= wanted.limit:
                break
    finally:
        reader.close()
    records.sort(key=lambda r: (r.timestamp_ms, r.partition, r.offset))
    return _sliced(records, bounds, ends, wanted.limit)


def _ends(cluster: ClusterView, topic: str) -> dict[int, int]:
    """The high watermarks: beyond what can be read where a transaction is open."""
    with raw_cluster(cluster) as client:
        leaders = partition_leaders(client, [topic])
        found = find_offsets(client, dict.fromkeys(leaders, LATEST), leaders=leaders)
    return {number: answer.offset for (_, number), answer in found.items()}


def _sliced(
    records: list[RecordView],
    bounds: dict[int, tuple[int, int]],
    ends: dict[int, int],
    limit: int,
) -> Slice:
    if len(records) >= limit:
        return Slice(records[:limit])
    offsets = sum(max(0, ends.get(n, end) - start) for n, (start, end) in bounds.items())
    return Slice(records, max(0, offsets - len(records)))


def _newest(reader: Reader, wanted: Range, ends: dict[int, int]) -> Slice:
    """Looks further back where the last offsets hold few records, or none."""
    lows = {n: low for n, (low, _) in reader.bounds(replace(wanted, start="beginning")).items()}
    back = wanted.limit
    while True:
        bounds = reader.bounds(replace(wanted, limit=back))
        records = [record for batch in reader.read(bounds) for record in batch]
        is_all = all(start <= lows[n] for n, (start, _) in bounds.items())
        if len(records) >= wanted.limit or is_all or back >= MAX_LOOKED_BACK:
            break
        back *= LOOK_BACK_FACTOR
    records.sort(key=lambda r: (r.timestamp_ms, r.partition, r.offset), reverse=True)
    return _sliced(records, bounds, ends, wanted.limit)


def covered(bounds: dict[int, tuple[int, int]], positions: dict[int, int]) -> int:
    """Offsets of the range that have been looked at: compaction leaves gaps among them."""
    return sum(positions.get(n, start) - start for n, (start, _) in bounds.items())


def search(
    cluster: ClusterView,
    topic: str,
    wanted: Range,
    matches: Predicate,
    should_stop: Callable[[], bool],
) -> Iterator[Progress]:
    """Look through the whole range, keep the first matches; the progress after each batch."""
    reader = Reader(cluster, topic)
    try:
        bounds = reader.bounds(wanted)
        total = sum(end - start for start, end in bounds.values())
        found: list[RecordView] = []
        count = 0
        for batch in reader.read(bounds):
            hits = [r for r in batch if matches(r)]
            count += len(hits)
            found += hits[: max(0, wanted.limit - len(found))]
            yield Progress(covered(bounds, reader.positions), total, found, False, count)
            if should_stop():
                return
        yield Progress(total, total, found, True, count)
    finally:
        reader.close()


def latest_per_key(
    cluster: ClusterView,
    topic: str,
    wanted: Range,
    matches: Predicate,
    should_stop: Callable[[], bool],
) -> Iterator[Progress]:
    """The newest record of each key in the range: what a table made of the topic would hold.

    Keys whose newest record is null (deleted) are left out; at most `MAX_KEYS` are kept.
    """
    reader = Reader(cluster, topic)
    latest: dict[bytes, RecordView] = {}
    is_full = False
    try:
        bounds = reader.bounds(wanted)
        total = sum(end - start for start, end in bounds.values())
        for batch in reader.read(bounds):
            for record in batch:
                if record.key is not None and (record.key in latest or not is_full):
                    latest[record.key] = record
            is_full = len(latest) >= MAX_KEYS
            yield Progress(covered(bounds, reader.positions), total, [], False, len(latest))
            if should_stop():
                break
        is_complete = not is_full and not should_stop()
        rows = [r for r in latest.values() if r.value is not None and matches(r)]
        rows.sort(key=lambda r: r.timestamp_ms, reverse=True)
        scanned = total if is_complete else covered(bounds, reader.positions)
        yield Progress(scanned, total, rows[: wanted.limit], is_complete, len(rows))
    finally:
        reader.close()

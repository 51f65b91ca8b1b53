"""The real storage on the simulated disk: random work, power cuts, recovery, judgement.

One seed decides everything: the operations and their order (the steps of flush
tickets stand for worker threads and come between any others), the step before
which the power fails, what the cut leaves, and faults. After each start the
logs must keep what their models were promised.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import replace
from typing import Final

from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import Record, build_batch, records
from ottla.batch.record_batch import headers as batch_headers
from ottla.storage import safety
from ottla.storage.cleaner import Compaction
from ottla.storage.errors import AppendError, CorruptLogError, LogOfflineError, StorageError
from ottla.storage.flush import FlushTicket
from ottla.storage.log_config import LogConfig
from ottla.storage.log_reader import ColdRead, ReadInfo
from ottla.storage.partition_log import PartitionLog
from ottla.storage.retention import DeleteJob
from simulation.disk import PowerCut, SimulatedDisk
from simulation.log_model import Entry, LogModel, ProducerModel, SentBatch, Violation
from simulation.shelf import Shelf

OPERATIONS_PER_LIFE: Final = 60
TRACE_LINES: Final = 2_000
MAX_TOPICS: Final = 3
#: Few names, so that a name is taken again soon after its topic was deleted.
TOPICS: Final = ("a", "b", "compacted", "d")
KEYS: Final = tuple(b"key %d" % i for i in range(6))
#: Chances in one life.
SYNC_FAULT: Final = 0.06
FULL_DISK: Final = 0.06
#: What ends a life, and how often.
ENDS: Final = {"power cuts": 70, "kills": 22, "clean stops": 8}

_COMMON: Final = LogConfig(
    segment_bytes=6_000,
    index_interval_bytes=400,
    max_message_bytes=5_000,
    file_delete_delay_ms=0,
    message_timestamp_after_max_ms=1 << 60,
)


def config_of(topic: str) -> LogConfig:
    """Compacted topics keep the last value of each key, others the last twenty seconds."""
    if topic == "compacted":
        return replace(
            _COMMON,
            cleanup_policy=frozenset({"compact"}),
            min_cleanable_dirty_ratio=0.1,
            segment_bytes=3_000,
            max_message_bytes=2_500,
        )
    return replace(_COMMON, retention_ms=20_000)


class LogWorld:
    """Runs any number of lives of one machine."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"log world {seed}")
        self.disk = SimulatedDisk(random.Random(f"disk {seed}"))
        self.disk.cold_share = self.rng.choice((0.0, 0.0, 0.3))
        self.wall_ms = 1_700_000_000_000
        self.life = 0
        self.counts: Counter[str] = Counter()
        #: By topic id.
        self.models: dict[bytes, LogModel] = {}
        #: What happened last, for whoever must understand a violation.
        self.trace: deque[str] = deque(maxlen=TRACE_LINES)
        self.disk.follow = lambda what: self.trace.append(f"    {what}")
        self._serial = 0
        self._producer_ids = 0
        self._tickets: list[FlushTicket] = []
        self._jobs: list[DeleteJob] = []
        self._compactions: list[Compaction] = []
        self.shelf = Shelf(self.disk, config_of)

    # Lives

    def run(self, lives: int) -> Counter[str]:
        """Live and die so many times; raises `Violation`."""
        for _ in range(lives):
            self._start()
            self._live()
        self._start()
        return self.counts

    def _start(self) -> None:
        """Start until a start survives, then judge what it found."""
        while True:
            if self.rng.random() < 0.3:
                self.disk.cut_power_at(self.disk.steps + self.rng.randint(1, 40))
            try:
                self.life += 1
                self.trace.append(f"=== start {self.life}")
                self._tickets, self._jobs, self._compactions = [], [], []
                self.shelf.open(self.wall_ms)
                self._judge()
                self.disk.cut_power_at(self.disk.FAR_AWAY)
                self._resend()
                return
            except PowerCut:
                self.counts["power cuts during recovery"] += 1
                self.trace.append("=== power cut during recovery")
                self.disk.power_cut(self.rng)

    def _live(self) -> None:
        end = self.rng.choices(list(ENDS), list(ENDS.values()))[0]
        if end == "power cuts":
            self.disk.cut_power_at(self.disk.steps + self.rng.randint(1, 120))
        if self.rng.random() < SYNC_FAULT:
            share = self.rng.choice((0.05, 0.3))
            self.disk.set_fault(lambda _kind, _path: self.rng.random() < share)
        if self.rng.random() < FULL_DISK:
            self.disk.capacity_bytes = self.disk.used_bytes + self.rng.randint(0, 8_000)
        try:
            for _ in range(self.rng.randint(1, OPERATIONS_PER_LIFE)):
                self._operate()
            if end == "clean stops":
                self.disk.set_fault(None)
                self.disk.capacity_bytes = None
                self._stop_cleanly()
        except PowerCut:
            end = "power cuts"
        self.disk.capacity_bytes = None
        self.counts[end] += 1
        self.trace.append(f"=== {end}")
        if end == "power cuts":
            self.disk.power_cut(self.rng)
        else:
            self.disk.process_killed()

    def _stop_cleanly(self) -> None:
        while self._tickets:
            self._run_ticket()
        try:
            self.shelf.close()
        except OSError:
            self.counts["failed stops"] += 1

    # Operations

    def _operate(self) -> None:
        self.wall_ms += self.rng.randint(0, 2_000)
        if self.rng.random() < 0.01:
            self.wall_ms += self.rng.choice((-60_000, 60_000))  # somebody set the clock
        operation = self.rng.choices(
            (
                self._append,
                self._cut_ticket,
                self._run_ticket,
                self._read,
                self._roll,
                self._checkpoint,
                self._retain,
                self._compact,
                self._run_job,
                self._delete_records,
                self._create_or_delete,
            ),
            (40, 16, 16, 8, 2, 4, 3, 6, 3, 2, 3),
        )[0]
        self.trace.append(operation.__name__)
        operation()

    def _pick(self) -> tuple[PartitionLog, LogModel] | None:
        names = sorted(self.shelf.logs)
        if not names:
            return None
        name = self.rng.choice(names)
        return self.shelf.logs[name], self.model_of(name)

    def model_of(self, name: str) -> LogModel:
        """The model of the topic that has this name now."""
        topic_id = self.shelf.topics[name]
        if topic_id not in self.models:
            is_compacted = config_of(name).is_compacted
            self.models[topic_id] = LogModel(name, is_compacted)
        return self.models[topic_id]

    # Appending

    def _entries(self, *, is_compacted: bool) -> tuple[Entry, ...]:
        entries = []
        for _ in range(self.rng.randint(1, 4)):
            self._serial += 1
            size = self.rng.choice((0, 20, 200, 400 if is_compacted else 900))
            key = self.rng.choice(KEYS) if is_compacted else None
            entries.append(Entry(key, b"%d:" % self._serial + self.rng.randbytes(size)))
        return tuple(entries)

    def _append(self) -> None:
        picked = self._pick()
        if picked is None:
            return
        log, model = picked
        entries = self._entries(is_compacted=model.is_compacted)
        producer = self.rng.choice([None, *model.producers])
        if producer is None and len(model.producers) < 3 and self.rng.random() < 0.2:
            self._producer_ids += 1
            producer = ProducerModel(self._producer_ids)
            model.producers.append(producer)
        if producer is None:
            if model.is_compacted and self.rng.random() < 0.2:
                entries = (Entry(entries[0].key, None),)
            self._offer(log, model, build_batch(self._records(entries)), entries)
        elif len(producer.unanswered) < 5:
            producer.unanswered.append(SentBatch(producer.next_sequence, entries))
            producer.next_sequence += len(entries)
            if not self._send(log, model, producer, len(producer.unanswered) - 1):
                # As if it had given up before its first try.
                producer.next_sequence = producer.unanswered.pop().sequence

    def _records(self, entries: tuple[Entry, ...]) -> list[Record]:
        return [Record(0, self.wall_ms, entry.key, entry.value) for entry in entries]

    def _offer(
        self, log: PartitionLog, model: LogModel, data: bytearray, entries: tuple[Entry, ...]
    ) -> tuple[int, bool] | None:
        """(first offset, whether it is a repeat), or None when the log refused."""
        model.offer(entries)
        try:
            info = log.append(data, leader_epoch=self.life, wall_ms=self.wall_ms)
        except AppendError as error:
            self.counts[f"refused: {error.code.name}"] += 1
            self.trace.append(f"  {model.name} {error.code.name}: {error.message}")
            model.refuse()
            return None
        self.trace.append(
            f"  {model.name} {info.first_offset}..{info.last_offset} repeat={info.is_duplicate}"
        )
        if info.is_duplicate:
            model.refuse()
        else:
            self.counts["batches"] += 1
            model.accept(info.first_offset, entries)
        return info.first_offset, info.is_duplicate

    def _batch_of(self, producer: ProducerModel, sent: SentBatch) -> bytearray:
        return build_batch(
            self._records(sent.entries),
            producer_id=producer.producer_id,
            producer_epoch=0,
            base_sequence=sent.sequence,
        )

    def _send(self, log: PartitionLog, model: LogModel, producer: ProducerModel, at: int) -> bool:
        """Send an unanswered batch; False when the log refused it."""
        sent = producer.unanswered[at]
        known = set(model.entries)
        answer = self._offer(log, model, self._batch_of(producer, sent), sent.entries)
        if answer is None:
            return False
        offset, is_repeat = answer
        if not is_repeat and not known.isdisjoint(sent.entries):
            raise Violation(f"{model.name}: a retried batch was appended a second time")
        if is_repeat and offset >= model.first_offset:
            for i, entry in enumerate(sent.entries):
                if model.entry_at(offset + i) != entry:
                    raise Violation(f"{model.name}: {offset} is not where the repeat stands")
        producer.unanswered[at] = sent._replace(offset=offset)
        return True

    def _resend(self) -> None:
        """After a start, producers send again what they have no answer for, in order."""
        for name, log in self.shelf.logs.items():
            model = self.model_of(name)
            for producer in model.producers:
                # The broker remembers five batches.
                is_remembered = sum(sent.offset >= 0 for sent in producer.unanswered) < 5
                answered = producer.answered
                if answered is not None and answered.offset >= model.first_offset and is_remembered:
                    data = self._batch_of(producer, answered)
                    if self._offer(log, model, data, answered.entries) != (answered.offset, True):
                        raise Violation(f"{name}: an acknowledged batch sent again is not known")
                for at in range(len(producer.unanswered)):
                    if not self._send(log, model, producer, at):
                        raise Violation(f"{name}: a retry of a batch was refused")

    # Flushing

    def _cut_ticket(self) -> None:
        picked = self._pick()
        if picked is not None:
            ticket = picked[0].begin_flush()
            if ticket is not None:
                self._tickets.append(ticket)

    def _run_ticket(self) -> None:
        if not self._tickets:
            return
        ticket = self._tickets.pop(self.rng.randrange(len(self._tickets)))
        error = None
        try:
            ticket.run()
        except OSError as failure:
            error = failure
            self.counts["failed tickets"] += 1
        # Other operations may come between the worker's end and the loop's turn.
        if self.rng.random() < 0.3:
            self._append()
        ticket.owner.finish_flush(ticket, error)
        for name, log in self.shelf.logs.items():
            self._acknowledge(log, self.model_of(name))

    def _acknowledge(self, log: PartitionLog, model: LogModel) -> None:
        model.acknowledge(log.flushed_end_offset)
        for offset in sorted(model.asked_starts):
            if safety.may_answer_delete_records(offset, log.durable_log_start_offset):
                model.apply_start(offset, acknowledged=True)
                model.asked_starts.discard(offset)
        for producer in model.producers:
            while producer.unanswered:
                first = producer.unanswered[0]
                if first.offset < 0 or first.offset + len(first.entries) > log.flushed_end_offset:
                    break
                producer.answered = producer.unanswered.pop(0)
                self.counts["acknowledged batches"] += 1

    def _checkpoint(self) -> None:
        for log in self.shelf.directory.checkpoint_candidates():
            if self.rng.random() < 0.8:
                log.request_checkpoint()
        if self.rng.random() < 0.5:
            self._flush_directory(checkpoint=True)

    def _flush_directory(self, *, checkpoint: bool) -> None:
        if checkpoint:
            self.shelf.directory.request_checkpoint()
        ticket = self.shelf.directory.begin_flush()
        if ticket is not None:
            self._tickets.append(ticket)

    # Everything else

    def _read(self) -> None:
        picked = self._pick()
        if picked is None:
            return
        log, model = picked
        end = log.flushed_end_offset
        if end <= log.log_start_offset:
            return
        start = self.rng.randrange(log.log_start_offset, end)
        try:
            found, reached = read_entries(log, start, end, self.rng.randint(1, 4_000))
        except LogOfflineError:
            return
        except CorruptLogError as error:
            raise Violation(f"{model.name}: {error}") from error
        if reached < end:
            raise Violation(f"{model.name}: reading from {start} stops at {reached}, not at {end}")
        model.expect(start, end, found)

    def _roll(self) -> None:
        picked = self._pick()
        if picked is not None:
            try:
                picked[0].roll()
            except (LogOfflineError, OSError):
                self.counts["refused rolls"] += 1

    def _retain(self) -> None:
        picked = self._pick()
        if picked is None:
            return
        log, model = picked
        self.wall_ms += self.rng.choice((0, 15_000))
        # What retention may remove is not more than what is flushed.
        model.apply_start(log.flushed_end_offset, acknowledged=False)
        try:
            job = log.apply_retention(self.wall_ms)
        except (LogOfflineError, OSError):
            return
        model.shown_start(log.log_start_offset)
        if job is not None:
            self.counts["segments removed"] += 1
            self._jobs.append(job)
        if self.rng.random() < 0.5:
            self._flush_directory(checkpoint=False)

    def _compact(self) -> None:
        """Begin a round, or do a step of one, or have a finished one taken."""
        log = self.shelf.logs.get("compacted")
        if log is None:
            return
        if not self._compactions:
            try:
                compaction = log.begin_compaction(self.wall_ms)
            except LogOfflineError:
                return
            if compaction is not None:
                self._compactions.append(compaction)
            return
        compaction = self._compactions[0]
        try:
            while not compaction.step():
                if self.rng.random() < 0.3:
                    return
        except OSError:
            self._compactions.clear()
            return
        self._compactions.clear()
        try:
            job = log.finish_compaction(compaction)
        except LogOfflineError:
            return
        self.counts["compactions"] += 1
        if job is not None:
            self._jobs.append(job)

    def _run_job(self) -> None:
        if self._jobs:
            self._jobs.pop(self.rng.randrange(len(self._jobs))).run()

    def _delete_records(self) -> None:
        picked = self._pick()
        if picked is None:
            return
        log, model = picked
        if model.is_compacted or log.flushed_end_offset <= log.log_start_offset:
            return
        offset = self.rng.randint(log.log_start_offset, log.flushed_end_offset)
        model.apply_start(offset, acknowledged=False)
        try:
            if log.advance_log_start_offset(offset):
                model.asked_starts.add(offset)
        except LogOfflineError:
            return
        self.counts["records deleted"] += 1
        self._flush_directory(checkpoint=False)

    def _create_or_delete(self) -> None:
        names = sorted(self.shelf.topics)
        is_deletion = bool(names) and self.rng.random() < 0.4
        if not is_deletion and len(names) >= MAX_TOPICS:
            return
        try:
            if is_deletion:
                name = self.rng.choice(names)
                if name == "compacted":
                    self._compactions.clear()
                job = self.shelf.delete(name)
                if job is not None:
                    self._jobs.append(job)
                self.counts["topics deleted"] += 1
            else:
                name = self.rng.choice([name for name in TOPICS if name not in names])
                self.shelf.create(name, self.rng.randbytes(16), self.wall_ms)
                self.counts["topics created"] += 1
        except (StorageError, OSError):
            self.counts["refused changes of topics"] += 1

    # Judgement

    def _judge(self) -> None:
        for name, log in self.shelf.logs.items():
            start, end = log.log_start_offset, log.log_end_offset
            try:
                found, reached = read_entries(log, start, end, 1 << 20)
            except CorruptLogError as error:
                raise Violation(f"{name}: {error}") from error
            if reached < end:
                raise Violation(f"{name}: reading stops at {reached}, the log ends at {end}")
            self.model_of(name).recovered(start, end, found)
            self.counts["logs judged"] += 1


def read_entries(
    log: PartitionLog, offset: int, end_offset: int, max_bytes: int
) -> tuple[list[tuple[int, Entry]], int]:
    """(offset, record) from `offset` on, and the offset where there was nothing more."""
    found: list[tuple[int, Entry]] = []
    while offset < end_offset:
        answer = log.read(offset, max_bytes, end_offset)
        info: ReadInfo = answer.run() if isinstance(answer, ColdRead) else answer
        if not info.size:
            if info.upper_offset <= offset:
                return found, offset
            offset = info.upper_offset  # Compaction left nothing in this segment.
        try:
            for buffer in info.buffers:
                for position, header in batch_headers(buffer):
                    for record in records(buffer, position):
                        if record.offset >= offset:
                            found.append((record.offset, Entry(record.key, record.value)))
                    offset = max(offset, header.next_offset)
        except CorruptBatchError as error:
            raise Violation(f"{log.topic}: served bad bytes at {offset}: {error}") from error
    return found, offset

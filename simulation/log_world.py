"""The real storage on the simulated disk: random work, power cuts, recovery, judgement.

One seed decides everything: the operations and their order (the steps of flush
tickets stand for worker threads and come between any others), the step before
which the power fails, what the cut leaves, and faults. After each start the
logs must keep what their models were promised.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from typing import Final

from ottla.batch.record_batch import Record, build_batch, records
from ottla.batch.record_batch import headers as batch_headers
from ottla.storage.errors import AppendError, CorruptLogError, LogOfflineError
from ottla.storage.flush import FlushTicket
from ottla.storage.log_config import LogConfig
from ottla.storage.log_reader import ColdRead, ReadInfo
from ottla.storage.partition_log import PartitionLog
from ottla.storage.retention import DeleteJob
from simulation.disk import PowerCut, SimulatedDisk
from simulation.log_model import LogModel, ProducerModel, SentBatch, Violation
from simulation.shelf import Shelf

OPERATIONS_PER_LIFE: Final = 60
TRACE_LINES: Final = 200
MAX_TOPICS: Final = 3
#: Few names, so that a name is taken again soon after its topic was deleted.
TOPICS: Final = ("a", "b", "c", "d")
#: Chances in one life.
SYNC_FAULT: Final = 0.06
FULL_DISK: Final = 0.06
#: What ends a life, and how often.
ENDS: Final = {"power cut": 70, "kill": 22, "clean stop": 8}

CONFIG: Final = LogConfig(
    segment_bytes=6_000,
    index_interval_bytes=400,
    retention_ms=20_000,
    max_message_bytes=5_000,
    file_delete_delay_ms=0,
)


class LogWorld:
    """Runs any number of lives of one machine."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(f"log world {seed}")
        self.disk = SimulatedDisk(random.Random(f"disk {seed}"))
        self.disk.cold_share = self.rng.choice((0.0, 0.0, 0.3))
        self.wall_ms = 1_700_000_000_000
        self.life = 0
        self.counts: Counter[str] = Counter()
        self.models: dict[str, LogModel] = {}
        #: What happened last, for whoever must understand a violation.
        self.trace: deque[str] = deque(maxlen=TRACE_LINES)
        self.disk.follow = lambda what: self.trace.append(f"    {what}")
        self._serial = 0
        self._producer_ids = 0
        self.shelf = Shelf(self.disk, CONFIG)

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
                self.disk.cut_power_at(self.disk.steps + self.rng.randint(1, 25))
            try:
                self.life += 1
                self.trace.append(f"=== start {self.life}")
                self._tickets: list[FlushTicket] = []
                self._jobs: list[DeleteJob] = []
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
        if end == "power cut":
            self.disk.cut_power_at(self.disk.steps + self.rng.randint(1, 120))
        if self.rng.random() < SYNC_FAULT:
            share = self.rng.choice((0.05, 0.3))
            self.disk.set_fault(lambda _kind, _path: self.rng.random() < share)
        if self.rng.random() < FULL_DISK:
            self.disk.capacity_bytes = self.disk.used_bytes + self.rng.randint(0, 8_000)
        try:
            for _ in range(self.rng.randint(1, OPERATIONS_PER_LIFE)):
                self._operate()
            if end == "clean stop":
                self.disk.set_fault(None)
                self.disk.capacity_bytes = None
                self._stop_cleanly()
        except PowerCut:
            end = "power cut"
        self.disk.capacity_bytes = None
        self.counts[end] += 1
        self.trace.append(f"=== {end}")
        if end == "power cut":
            self.disk.power_cut(self.rng)
        else:
            self.disk.process_killed()

    def _stop_cleanly(self) -> None:
        while self._tickets:
            self._run_ticket()
        try:
            self.shelf.directory.close()
        except OSError:
            self.counts["failed stops"] += 1

    # Operations

    def _operate(self) -> None:
        self.wall_ms += self.rng.randint(0, 2_000)
        operation = self.rng.choices(
            (
                self._append,
                self._cut_ticket,
                self._run_ticket,
                self._read,
                self._roll,
                self._checkpoint,
                self._retain,
                self._run_job,
                self._delete_records,
                self._create_or_delete,
            ),
            (40, 16, 16, 8, 2, 3, 3, 3, 2, 3),
        )[0]
        self.trace.append(operation.__name__)
        operation()

    def _pick(self) -> tuple[str, PartitionLog, LogModel] | None:
        names = sorted(self.shelf.logs)
        if not names:
            return None
        name = self.rng.choice(names)
        return name, self.shelf.logs[name], self.models[name]

    def _values(self) -> tuple[bytes, ...]:
        values = []
        for _ in range(self.rng.randint(1, 4)):
            self._serial += 1
            size = self.rng.choice((0, 20, 200, 900))
            values.append(b"%d:" % self._serial + self.rng.randbytes(size))
        return tuple(values)

    def _append(self) -> None:
        picked = self._pick()
        if picked is None:
            return
        _, log, model = picked
        values = self._values()
        producer = self.rng.choice([None, *model.producers])
        if producer is None and len(model.producers) < 3 and self.rng.random() < 0.2:
            self._producer_ids += 1
            producer = ProducerModel(self._producer_ids)
            model.producers.append(producer)
        if producer is None:
            self._offer(log, model, build_batch(self._records(values)), values)
            return
        if len(producer.unanswered) >= 5:
            return
        batch = SentBatch(producer.next_sequence, values)
        producer.next_sequence += len(values)
        producer.unanswered.append(batch)
        self._send(log, model, producer, len(producer.unanswered) - 1)

    def _records(self, values: tuple[bytes, ...]) -> list[Record]:
        return [Record(0, self.wall_ms, None, value) for value in values]

    def _offer(
        self, log: PartitionLog, model: LogModel, data: bytearray, values: tuple[bytes, ...]
    ) -> tuple[int, bool] | None:
        """(first offset, whether it is a repeat), or None when the log refused."""
        model.offer(values)
        try:
            info = log.append(data, leader_epoch=self.life, wall_ms=self.wall_ms)
        except AppendError as error:
            self.counts[f"refused: {error.code.name}"] += 1
            self.trace.append(f"  {model.name} {error.code.name}: {error.message}")
            self.trace.append(f"  {model.name} {error.code.name}: {error.message}")
            model.refuse()
            return None
        self.trace.append(
            f"  {model.name} {info.first_offset}..{info.last_offset} {info.is_duplicate}"
        )
        if info.is_duplicate:
            model.refuse()
        else:
            self.counts["batches"] += 1
            model.accept(info.first_offset, values)
        return info.first_offset, info.is_duplicate

    def _send(self, log: PartitionLog, model: LogModel, producer: ProducerModel, at: int) -> bool:
        """Send an unanswered batch; False when the log refused it for now."""
        sent = producer.unanswered[at]
        known = set(model.values)
        data = build_batch(
            self._records(sent.values),
            producer_id=producer.producer_id,
            producer_epoch=0,
            base_sequence=sent.sequence,
        )
        answer = self._offer(log, model, data, sent.values)
        if answer is None:
            if at == len(producer.unanswered) - 1:
                # Never sent again: as if the producer had given up before its first try.
                producer.unanswered.pop()
                producer.next_sequence = sent.sequence
            return False
        offset, is_repeat = answer
        if is_repeat and offset >= model.first_offset:
            model.expect(offset, sent.values)
        elif is_repeat:
            pass  # Retention has removed it since.
        elif not known.isdisjoint(sent.values):
            raise Violation(f"{model.name}: a retried batch was appended a second time")
        producer.unanswered[at] = sent._replace(offset=offset)
        return True

    def _resend(self) -> None:
        """After a start, producers send again what they have no answer for, in order."""
        for name in sorted(self.shelf.logs):
            log, model = self.shelf.logs[name], self.models[name]
            for producer in model.producers:
                is_remembered = sum(sent.offset >= 0 for sent in producer.unanswered) < 5
                if producer.answered is not None and model.first_offset == 0 and is_remembered:
                    self._send_answered(log, model, producer, producer.answered)
                for at in range(len(producer.unanswered)):
                    if not self._send(log, model, producer, at):
                        raise Violation(f"{name}: a retry of a batch was refused")

    def _send_answered(
        self, log: PartitionLog, model: LogModel, producer: ProducerModel, sent: SentBatch
    ) -> None:
        data = build_batch(
            self._records(sent.values),
            producer_id=producer.producer_id,
            producer_epoch=0,
            base_sequence=sent.sequence,
        )
        answer = self._offer(log, model, data, sent.values)
        if answer != (sent.offset, True):
            raise Violation(f"{model.name}: an acknowledged batch sent again: {answer}")

    # Flushing

    def _cut_ticket(self) -> None:
        picked = self._pick()
        if picked is not None:
            ticket = picked[1].begin_flush()
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
            self.counts["failed syncs"] += 1
        # Other operations may come between the worker's end and the loop's turn.
        if self.rng.random() < 0.3:
            self._append()
        ticket.owner.finish_flush(ticket, error)
        for name, log in self.shelf.logs.items():
            self._acknowledge(log, self.models[name])

    def _acknowledge(self, log: PartitionLog, model: LogModel) -> None:
        model.acknowledge(log.flushed_end_offset)
        if log.durable_log_start_offset in model.asked_starts:
            model.apply_start(log.durable_log_start_offset, acknowledged=True)
        for producer in model.producers:
            while producer.unanswered:
                first = producer.unanswered[0]
                if not 0 <= first.offset + len(first.values) <= log.flushed_end_offset:
                    break
                if first.offset < 0:
                    break
                producer.answered = producer.unanswered.pop(0)
                self.counts["acknowledged batches"] += 1

    # Everything else

    def _read(self) -> None:
        picked = self._pick()
        if picked is None:
            return
        _, log, model = picked
        if log.flushed_end_offset <= log.log_start_offset:
            return
        offset = self.rng.randrange(log.log_start_offset, log.flushed_end_offset)
        try:
            found = read_values(log, offset, log.flushed_end_offset, self.rng.randint(1, 4_000))
        except LogOfflineError:
            return
        if not found:
            raise Violation(f"{model.name}: nothing to read at visible offset {offset}")
        for at, value in found:
            model.expect(at, [value])

    def _roll(self) -> None:
        picked = self._pick()
        if picked is not None:
            try:
                picked[1].roll()
            except (LogOfflineError, OSError):
                self.counts["refused rolls"] += 1

    def _retain(self) -> None:
        picked = self._pick()
        if picked is None:
            return
        _, log, model = picked
        self.wall_ms += self.rng.choice((0, 15_000))
        # What retention may remove is not more than what is flushed.
        model.apply_start(log.flushed_end_offset, acknowledged=False)
        try:
            job = log.apply_retention(self.wall_ms)
        except (LogOfflineError, OSError):
            return
        model.shown_start(log.log_start_offset)
        if job is not None:
            self._jobs.append(job)
            self.counts["retained"] += 1
            if self.rng.random() < 0.5:
                self._flush_directory(checkpoint=False)

    def _run_job(self) -> None:
        if self._jobs:
            self._jobs.pop(self.rng.randrange(len(self._jobs))).run()

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

    def _delete_records(self) -> None:
        picked = self._pick()
        if picked is None:
            return
        _, log, model = picked
        if log.flushed_end_offset <= log.log_start_offset:
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
        if self.shelf.topics and self.rng.random() < 0.4:
            name = self.rng.choice(sorted(self.shelf.topics))
            del self.models[name]
            self.counts["topics deleted"] += 1
            try:
                job = self.shelf.delete(name)
            except OSError:
                self.counts["refused deletions"] += 1
                return
            if job is not None:
                self._jobs.append(job)
        elif len(self.shelf.topics) < MAX_TOPICS:
            name = self.rng.choice([n for n in TOPICS if n not in self.shelf.topics])
            self.models[name] = LogModel(name)
            self.counts["topics created"] += 1
            try:
                self.shelf.create(name, self.rng.randbytes(16), self.wall_ms)
            except (LogOfflineError, OSError):
                # The broker would answer with an error and create it at the next start.
                self.counts["refused creations"] += 1

    # Judgement

    def _judge(self) -> None:
        for name in sorted(self.shelf.logs):
            log, model = self.shelf.logs[name], self.models[name]
            start, end = log.log_start_offset, log.log_end_offset
            try:
                found = read_values(log, start, end, 1 << 20)
            except CorruptLogError as error:
                raise Violation(f"{name}: {error}") from error
            wanted = [at for at, _ in found]
            if wanted != list(range(start, end)):
                raise Violation(f"{name}: offsets {wanted} between {start} and {end}")
            model.recovered(start, end, [value for _, value in found])
            self.counts["logs judged"] += 1


def read_values(
    log: PartitionLog, offset: int, end_offset: int, max_bytes: int
) -> list[tuple[int, bytes]]:
    """(offset, value) of the records from `offset` to `end_offset`."""
    found: list[tuple[int, bytes]] = []
    while offset < end_offset:
        answer = log.read(offset, max_bytes, end_offset)
        info: ReadInfo = answer.run() if isinstance(answer, ColdRead) else answer
        before = offset
        for buffer in info.buffers:
            for position, header in batch_headers(buffer):
                for record in records(buffer, position):
                    if record.offset >= offset:
                        assert record.value is not None
                        found.append((record.offset, record.value))
                offset = max(offset, header.next_offset)
        if offset == before:
            break
    return found

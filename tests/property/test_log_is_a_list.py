"""Whatever is done to a log, it agrees with a list of what was appended.

Random appends (with and without producers and transactions), reads from
anywhere, rolls, flushes, checkpoints, clean and unclean starts, torn ends,
retention and record deletion, against a model that is a plain list.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ottla.batch.control import TransactionMarker, build_marker_batch
from ottla.batch.record_batch import Record, build_batch, headers, records
from ottla.seams.real import RealFileSystem
from ottla.storage.directory_state import DirectoryState
from ottla.storage.errors import OffsetOutOfRangeError
from ottla.storage.log_config import LogConfig
from ottla.storage.log_reader import ColdRead, ReadInfo
from ottla.storage.open_files import OpenFiles
from ottla.storage.partition_log import PartitionLog
from ottla.storage.validator import Origin

NOW_MS = 1_800_000_000_000
PRODUCERS = range(1, 4)

CONFIG = LogConfig(
    segment_bytes=1_500,
    index_interval_bytes=150,
    retention_ms=-1,
    retention_bytes=4_000,
    max_message_bytes=1_200,
)


class LogIsAList(RuleBasedStateMachine):
    """`entries[offset]` is (timestamp, value), or None for a marker."""

    def __init__(self) -> None:
        super().__init__()
        self.root = tempfile.TemporaryDirectory(prefix="ottla-property-")
        self.filesystem = RealFileSystem()
        self.directory = f"{self.root.name}/topic-0"
        self.filesystem.make_directory(self.directory)
        self.files = OpenFiles(self.filesystem, 4)
        self.state = DirectoryState(self.filesystem, self.root.name)
        self.entries: list[tuple[int, bytes] | None] = []
        self.epochs: list[int] = []
        self.batch_ends: list[int] = []
        self.start = 0
        self.sequences = dict.fromkeys(PRODUCERS, 0)
        self.open_transactions: dict[int, int] = {}
        self.aborted: list[tuple[int, int, int]] = []
        self.epoch = 0
        self.serial = 0

    def teardown(self) -> None:
        self.files.close()
        self.root.cleanup()

    @initialize()
    def open_first(self) -> None:
        self.open(0)

    def open(self, recovery_point: int) -> None:
        self.files.close()
        self.log = PartitionLog(
            self.files,
            self.state,
            self.directory,
            "topic",
            0,
            CONFIG,
            wall_ms=NOW_MS,
            recovery_point=recovery_point,
            log_start_offset=self.start,
        )
        self.log.open()

    # What is done

    def some_records(self, sizes: list[int], base_ms: int) -> list[Record]:
        made = []
        for i, size in enumerate(sizes):
            self.serial += 1
            value = b"%d." % self.serial + bytes(size)
            made.append(Record(0, NOW_MS + base_ms + i, b"key", value))
        return made

    def note(self, made: list[Record], first_offset: int) -> None:
        assert first_offset == len(self.entries)
        self.entries += [(record.timestamp, record.value or b"") for record in made]
        self.epochs += [self.epoch] * len(made)
        self.batch_ends.append(len(self.entries))

    @rule(
        sizes=st.lists(st.integers(0, 120), min_size=1, max_size=6),
        base_ms=st.integers(0, 1_000),
        codec=st.integers(0, 4),
    )
    def append(self, sizes: list[int], base_ms: int, codec: int) -> None:
        made = self.some_records(sizes, base_ms)
        data = build_batch(made, compression=codec)
        info = self.log.append(data, leader_epoch=self.epoch, wall_ms=NOW_MS)
        self.note(made, info.first_offset)

    @rule(
        producer=st.sampled_from(PRODUCERS),
        sizes=st.lists(st.integers(0, 60), min_size=1, max_size=4),
        is_transactional=st.booleans(),
        repeats=st.integers(0, 2),
    )
    def append_idempotent(
        self, producer: int, sizes: list[int], is_transactional: bool, repeats: int
    ) -> None:
        is_transactional = is_transactional or producer in self.open_transactions
        made = self.some_records(sizes, 0)

        def batch() -> bytearray:
            return build_batch(
                made,
                producer_id=producer,
                producer_epoch=0,
                base_sequence=self.sequences[producer],
                transactional=is_transactional,
            )

        info = self.log.append(batch(), leader_epoch=self.epoch, wall_ms=NOW_MS)
        assert not info.is_duplicate
        for _ in range(repeats):
            again = self.log.append(batch(), leader_epoch=self.epoch, wall_ms=NOW_MS)
            assert again.is_duplicate
            assert (again.first_offset, again.last_offset) == (info.first_offset, info.last_offset)
        self.note(made, info.first_offset)
        self.sequences[producer] += len(made)
        if is_transactional:
            self.open_transactions.setdefault(producer, info.first_offset)

    @rule(producer=st.sampled_from(PRODUCERS), is_commit=st.booleans())
    def end_transaction(self, producer: int, is_commit: bool) -> None:
        marker = build_marker_batch(
            TransactionMarker(is_commit, 0),
            producer_id=producer,
            producer_epoch=0,
            timestamp_ms=NOW_MS,
        )
        info = self.log.append(
            marker, leader_epoch=self.epoch, wall_ms=NOW_MS, origin=Origin.COORDINATOR
        )
        self.entries.append(None)
        self.epochs.append(self.epoch)
        self.batch_ends.append(len(self.entries))
        first = self.open_transactions.pop(producer, None)
        if first is not None and not is_commit:
            self.aborted.append((producer, first, info.first_offset))

    @rule()
    def roll(self) -> None:
        self.log.roll()

    @rule()
    def next_leader(self) -> None:
        self.epoch += 1

    @rule(checkpoint=st.booleans())
    def flush(self, checkpoint: bool) -> None:
        if checkpoint:
            self.log.request_checkpoint()
        ticket = self.log.begin_flush()
        if ticket is not None:
            ticket.run()
            self.log.finish_flush(ticket, None)
        assert self.log.flushed_end_offset == len(self.entries)

    @rule()
    def stop_and_start(self) -> None:
        self.log.checkpoint()
        self.open(self.log.recovery_point)
        assert self.log.problems == []

    @rule()
    def crash(self) -> None:
        self.open(self.log.recovery_point)
        assert self.log.problems == []

    @precondition(lambda self: len(self.entries) > self.log.recovery_point)
    @rule(data=st.data())
    def tear(self, data: st.DataObject) -> None:
        """The end behind the recovery point is torn off somewhere."""
        segment = self.log.segments[-1]
        if segment.base_offset < self.log.recovery_point or not segment.size:
            return
        size = data.draw(st.integers(0, segment.size - 1))
        self.files.close()
        path = Path(segment.path)
        path.write_bytes(path.read_bytes()[:size])
        self.open(self.log.recovery_point)
        self.cut(self.log.log_end_offset)

    def cut(self, end: int) -> None:
        assert end in (*self.batch_ends, self.start, 0)
        del self.entries[end:]
        del self.epochs[end:]
        self.batch_ends = [e for e in self.batch_ends if e <= end]
        self.aborted = [a for a in self.aborted if a[2] < end]
        # The producers are new ones as far as the log is concerned.
        self.open_transactions = {}
        self.sequences = {}
        for producer in PRODUCERS:
            state = self.log.producers.get(producer)
            last = -1 if state is None else state.last_sequence
            self.sequences[producer] = last + 1
            if state is not None and state.transaction_first_offset >= 0:
                self.open_transactions[producer] = state.transaction_first_offset

    @rule(share=st.floats(0, 1))
    def delete_records(self, share: float) -> None:
        offset = int(len(self.entries) * share)
        self.log.advance_log_start_offset(offset)
        self.start = max(self.start, offset)

    @rule()
    def retain(self) -> None:
        before = self.log.size
        self.log.apply_retention(NOW_MS, len(self.entries))
        assert self.log.log_start_offset >= self.start
        if before - CONFIG.retention_bytes < self.log.segments[0].size:
            assert self.log.log_start_offset in (self.start, self.log.segments[0].base_offset)
        self.start = self.log.log_start_offset
        entry = self.log.checkpoint_entry(bytes(16))
        self.log.checkpoint_written(entry._replace(recovery_point=self.log.recovery_point))
        job = self.log.apply_retention(NOW_MS, len(self.entries))
        if job is not None:
            job.run()
        self.start = self.log.log_start_offset

    # What must be true

    def read(self, offset: int, max_bytes: int, end: int) -> ReadInfo:
        result = self.log.read(offset, max_bytes, end)
        return result.run() if isinstance(result, ColdRead) else result

    @rule(data=st.data(), max_bytes=st.integers(0, 3_000))
    def read_somewhere(self, data: st.DataObject, max_bytes: int) -> None:
        offset = data.draw(st.integers(0, len(self.entries) + 1))
        end = data.draw(st.sampled_from([0, *self.batch_ends]))
        if not self.start <= offset <= len(self.entries):
            with pytest.raises(OffsetOutOfRangeError):
                self.log.read(offset, max_bytes, end)
            return
        info = self.read(offset, max_bytes, end)
        if offset >= end:
            assert info.size == 0
            return
        assert info.size > 0
        assert info.size == sum(len(buffer) for buffer in info.buffers)
        position = info.first_offset
        assert position <= offset
        for buffer in info.buffers:
            for at, header in headers(buffer):
                assert header.base_offset == position
                if not header.is_control:
                    for record in records(buffer, at):
                        assert self.entries[record.offset] == (record.timestamp, record.value)
                position = header.next_offset
                assert header.partition_leader_epoch == self.epochs[header.base_offset]
        assert offset < position <= info.upper_offset <= end

    @rule(timestamp=st.integers(NOW_MS - 1, NOW_MS + 1_010))
    def search(self, timestamp: int) -> None:
        found = self.log.offset_for_timestamp(timestamp)
        wanted = None
        for offset in range(self.start, len(self.entries)):
            stamp = (self.entries[offset] or (NOW_MS, b""))[0]
            if stamp >= timestamp:
                wanted = (stamp, offset, self.epochs[offset])
                break
        assert found == wanted

    @rule(data=st.data())
    def ask_for_aborted(self, data: st.DataObject) -> None:
        start = data.draw(st.integers(self.start, len(self.entries)))
        end = data.draw(st.integers(start, len(self.entries)))
        found = {
            (a.producer_id, a.first_offset, a.last_offset)
            for a in self.log.aborted_transactions(start, end)
        }
        wanted = {a for a in self.aborted if a[2] >= start and a[1] < end and start < end}
        assert wanted <= found
        assert found <= set(self.aborted)

    @invariant()
    def ends_and_stable_end(self) -> None:
        if not hasattr(self, "log"):
            return
        end = len(self.entries)
        assert self.log.log_end_offset == end
        assert self.log.log_start_offset == self.start
        first_open = min(self.open_transactions.values(), default=end)
        assert self.log.last_stable_offset(end) == first_open


TestLogIsAList = LogIsAList.TestCase
TestLogIsAList.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_the_model_notices_a_lost_batch() -> None:
    """The test above can fail."""
    machine = LogIsAList()
    try:
        machine.open_first()
        machine.append([1], 0, 0)
        machine.entries.append((0, b"never appended"))
        with pytest.raises(AssertionError):
            machine.ends_and_stable_end()
    finally:
        machine.teardown()

"""Which part of a log compaction may touch, and whether it is time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ottla.storage import safety
from ottla.storage.cleaner import CompactionPlan, LastOfProducer, SourceSegment
from ottla.storage.log_config import LogConfig
from ottla.storage.open_files import OpenFiles
from ottla.storage.producer_state import ProducerStates
from ottla.storage.segment import Segment
from ottla.storage.transaction_index import AbortedTransaction


class Cleanable(NamedTuple):
    """The sealed segments that may be compacted, oldest first."""

    segments: list[SourceSegment]
    clean_bytes: int
    dirty_bytes: int
    #: Maximum timestamp of the first dirty segment; -1 without one.
    first_dirty_timestamp_ms: int
    #: False: more segments are sealed and stable, but the recovery point is not past them yet.
    is_whole: bool = True

    @property
    def dirty_ratio(self) -> float:
        total = self.clean_bytes + self.dirty_bytes
        return self.dirty_bytes / total if total else 0.0

    def is_due(self, config: LogConfig, wall_ms: int) -> bool:
        """Whether enough is dirty, or has been so for long enough (KIP-354)."""
        if not config.is_compacted or not self.dirty_bytes:
            return False
        lag = wall_ms - self.first_dirty_timestamp_ms
        is_enough = self.dirty_ratio >= config.min_cleanable_dirty_ratio
        return is_enough or lag > config.max_compaction_lag_ms


def find_cleanable(
    segments: Sequence[Segment],
    files: OpenFiles,
    config: LogConfig,
    *,
    first_dirty_offset: int,
    stable_end_offset: int,
    durable_recovery_point: int,
    wall_ms: int,
) -> Cleanable:
    """Sealed segments below the last stable offset and the recovery point; of the dirty ones
    only those older than the minimum lag (KIP-58)."""
    clean = dirty = 0
    first_dirty_timestamp = -1
    found: list[SourceSegment] = []
    for segment, following in pairwise(segments):
        end = following.base_offset
        if end > stable_end_offset:
            break
        if end > first_dirty_offset:
            largest = segment.largest(files).timestamp_ms
            if 0 < config.min_compaction_lag_ms > wall_ms - largest:
                break
        if not safety.may_compact_below(end, durable_recovery_point):
            return Cleanable(found, clean, dirty, first_dirty_timestamp, is_whole=False)
        if end <= first_dirty_offset:
            clean += segment.size
        else:
            if not dirty:
                first_dirty_timestamp = largest
            dirty += segment.size
        found.append(SourceSegment(segment.base_offset, end, segment.path, segment.size))
    return Cleanable(found, clean, dirty, first_dirty_timestamp)


def plan_round(
    directory: str,
    cleanable: Cleanable,
    config: LogConfig,
    first_dirty_offset: int,
    aborted: Sequence[AbortedTransaction],
    producers: ProducerStates,
    wall_ms: int,
    max_keys: int,
) -> CompactionPlan:
    """Everything that one round of compaction needs to know."""
    return CompactionPlan(
        directory,
        tuple(cleanable.segments),
        first_dirty_offset,
        tuple(aborted),
        {state.producer_id: LastOfProducer(state.last_offset, state.epoch) for state in producers},
        wall_ms,
        config.delete_retention_ms,
        config.segment_bytes,
        config.index_interval_bytes,
        max_keys,
    )

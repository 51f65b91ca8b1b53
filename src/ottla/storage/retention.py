"""Which segments a log no longer keeps, by age, by size and by its start offset."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ottla.seams.filesystem import FileSystem
from ottla.storage.log_config import LogConfig
from ottla.storage.segment import Segment


class DeleteJob:
    """Removes files that were renamed away; `run` it in a worker, `delay_ms` from now.

    Readers that opened a file before keep it until they close it. A crash before
    `run` leaves the renamed files to the next start."""

    __slots__ = ("_filesystem", "_paths", "delay_ms")

    def __init__(self, filesystem: FileSystem, paths: Sequence[str], delay_ms: int) -> None:
        self._filesystem = filesystem
        self._paths = paths
        self.delay_ms = delay_ms

    def run(self) -> None:
        for path in self._paths:
            try:
                if self._filesystem.is_directory(path):
                    self._filesystem.remove_tree(path)
                else:
                    self._filesystem.remove(path)
            except FileNotFoundError:
                pass  # The directory above went first.


def expired_segments(
    segments: Sequence[Segment],
    config: LogConfig,
    *,
    log_start_offset: int,
    log_end_offset: int,
    high_watermark: int,
    wall_ms: int,
    largest_timestamp: Callable[[Segment], int],
) -> int:
    """How many segments, from the oldest on, are to go.

    The last segment goes only by age, and only when it holds something; nothing
    the high watermark does not cover goes at all.
    """
    count = 0
    excess = sum(segment.size for segment in segments) - config.retention_bytes
    for i, segment in enumerate(segments):
        is_last = i == len(segments) - 1
        end = log_end_offset if is_last else segments[i + 1].base_offset
        if end > high_watermark or (is_last and not segment.size):
            break
        is_below_start = end <= log_start_offset and not is_last
        is_old = is_too_much = False
        if config.is_deleted and not is_below_start:
            if config.retention_ms >= 0:
                timestamp = largest_timestamp(segment)
                # Without a single timestamp, the age is that of this process's view of it.
                born = timestamp if timestamp >= 0 else max(segment.created_ms, 0)
                is_old = born > 0 and wall_ms - born > config.retention_ms
            is_too_much = config.retention_bytes >= 0 and excess >= segment.size and not is_last
        if not (is_below_start or is_old or is_too_much):
            break
        excess -= segment.size
        count += 1
    return count

"""The steps that keep the promises, each one a small named function.

Everything else in `storage` may be slow or clumsy without losing a record;
these may not be left out. Each is called through this module, so that the
simulation can replace one by nothing and prove that it then loses data.
"""

from __future__ import annotations

from ottla.batch.checksum import crc32c
from ottla.batch.record_batch import BatchHeader, has_valid_crc
from ottla.seams.filesystem import Buffer, File, FileSystem


def sync_appended_data(file: File) -> None:
    """Before an acknowledgement: what was appended survives a power cut."""
    file.sync()


def sync_new_names(filesystem: FileSystem, directory: str) -> None:
    """Before acknowledged data depends on a file: its name survives a power cut."""
    filesystem.sync_directory(directory)


def is_intact_at_recovery(buffer: Buffer, position: int, header: BatchHeader) -> bool:
    """Whether a batch found behind the recovery point is the one that was appended."""
    return has_valid_crc(buffer, position, header)


def is_intact_when_read(buffer: Buffer, position: int, header: BatchHeader) -> bool:
    """Whether a batch of an earlier run may be served."""
    return has_valid_crc(buffer, position, header)


def cut_bad_tail(file: File, size: int) -> None:
    """Behind the last good batch nothing stays that a later append would leave in place."""
    file.truncate(size)


def make_kept_tail_durable(file: File) -> None:
    """Recovered data may only ever have been in the page cache: the high watermark covers
    it, so it must not vanish in a second power cut."""
    file.sync()


def sync_replacement(file: File) -> None:
    """Before a file replaces another by rename: its content is durable."""
    file.sync()


def may_answer_delete_records(offset: int, durable_log_start: int) -> bool:
    """Whether the promise that nothing below `offset` is ever seen again can be kept."""
    return offset <= durable_log_start


def sync_replaced_name(filesystem: FileSystem, directory: str) -> None:
    """After such a rename: the name leads to the new content even after a power cut."""
    filesystem.sync_directory(directory)


def sync_swapped_names(filesystem: FileSystem, directory: str) -> None:
    """Before a compacted segment takes its name: those it replaces are gone with all their
    files, so that none comes back without, say, its index of aborted transactions."""
    filesystem.sync_directory(directory)


def may_compact_below(end_offset: int, durable_recovery_point: int) -> bool:
    """Whether a segment that ends at `end_offset` may be compacted: recovery must never scan
    it again, for it takes the gaps that compaction leaves for the end of the log."""
    return end_offset <= durable_recovery_point


def sync_removed_mark(filesystem: FileSystem, directory: str) -> None:
    """Before the first append: a mark that says "clean" is durably gone."""
    filesystem.sync_directory(directory)


def may_remove_below(end_offset: int, durable_log_start: int, durable_recovery_point: int) -> bool:
    """Whether a segment that ends at `end_offset` may lose its files: the log start that makes
    it superfluous is durable, so that no power cut brings it back without its neighbours, and
    so is what it says of producers."""
    return end_offset <= min(durable_log_start, durable_recovery_point)


def is_journal_frame_intact(payload: Buffer, crc: int) -> bool:
    """Whether a frame of the metadata journal is the one that was written."""
    return crc32c(payload) == crc


def is_snapshot_intact(entries: Buffer, crc: int) -> bool:
    """Whether a producer snapshot is the one that was written."""
    return crc32c(entries) == crc


def may_trust_after_failed_sync() -> bool:
    """Whether a log goes on after a failed sync. Never: the kernel may have dropped the
    pages and called them clean, so that a second sync would succeed and mean nothing."""
    return False

"""The journal keeps every record that was durable, and only whole ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from ottla.seams.real import RealFileSystem
from ottla.storage.directory_state import DirectoryState
from ottla.storage.errors import AppendError, CorruptLogError
from ottla.storage.metadata_journal import FILE_NAME, MetadataJournal

FILESYSTEM = RealFileSystem()


def open_journal(path: Path) -> tuple[MetadataJournal, list[bytes]]:
    state = DirectoryState(FILESYSTEM, str(path))
    return MetadataJournal.open(FILESYSTEM, state, str(path))


def flush(journal: MetadataJournal) -> None:
    ticket = journal.begin_flush()
    assert ticket is not None
    ticket.run()
    journal.finish_flush(ticket, None)


def test_records_come_back_in_order(tmp_path: Path) -> None:
    journal, found = open_journal(tmp_path)
    assert found == []
    position = journal.append(b"one")
    journal.append(b"")
    journal.append(b"three")
    assert journal.durable_position < position
    flush(journal)
    assert journal.durable_position == journal.end_position
    assert journal.begin_flush() is None
    journal.close()
    again, found = open_journal(tmp_path)
    assert found == [b"one", b"", b"three"]
    again.close()


def test_a_rewrite_replaces_everything(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path)
    for _ in range(5):
        journal.append(b"old")
    journal.rewrite([b"snapshot"])
    journal.append(b"new")
    journal.close()
    again, found = open_journal(tmp_path)
    assert found == [b"snapshot", b"new"]
    again.close()


@pytest.mark.parametrize("cut", range(1, 22))
def test_a_torn_end_is_cut_off(tmp_path: Path, cut: int) -> None:
    journal, _ = open_journal(tmp_path)
    journal.append(b"whole")
    flush(journal)
    journal.append(b"torn!")
    journal.close()
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-cut])
    again, found = open_journal(tmp_path)
    assert found == [b"whole"]
    again.append(b"next")
    again.close()
    last, found = open_journal(tmp_path)
    assert found == [b"whole", b"next"]
    last.close()


def test_frames_that_were_never_durable_may_vanish_out_of_order(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path)
    journal.append(b"whole")
    flush(journal)
    first = journal.end_position
    journal.append(b"lost")
    journal.append(b"kept by chance")
    journal.close()
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    content[first + 17] ^= 1
    path.write_bytes(content)
    again, found = open_journal(tmp_path)
    assert found == [b"whole"]
    again.close()


def test_damage_to_what_was_durable_is_refused(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path)
    journal.append(b"durable")
    flush(journal)
    journal.append(b"later")
    journal.close()
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    content[8 + 16] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptLogError, match="position 8"):
        open_journal(tmp_path)
    assert path.read_bytes() == content


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"something else")
    with pytest.raises(CorruptLogError):
        open_journal(tmp_path)


def test_after_a_failed_sync_nothing_is_appended(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path)
    journal.append(b"doubtful")
    ticket = journal.begin_flush()
    assert ticket is not None
    journal.finish_flush(ticket, OSError(5, "Input/output error"))
    assert journal.durable_position < journal.end_position
    with pytest.raises(AppendError):
        journal.append(b"refused")
    assert journal.begin_flush() is None
    journal.close()


def test_a_journal_full_of_history_is_bloated(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path)
    assert not journal.is_bloated
    journal.append(bytes(1_100_000))
    assert journal.is_bloated
    journal.rewrite([bytes(1_100_000)])
    assert not journal.is_bloated
    journal.close()

"""Names and small files of a data directory: written, read back, refused when damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.seams.real import RealFileSystem
from ottla.storage import directory_checkpoint, leader_epochs
from ottla.storage.checkpoints import encode_offsets, read_file, write_atomically
from ottla.storage.directory_checkpoint import LogCheckpoint
from ottla.storage.errors import DirectoryRefusedError
from ottla.storage.identity import Identity, read_identity, write_identity
from ottla.storage.leader_epochs import LeaderEpochs
from ottla.storage.partition_directory import (
    delete_name,
    directory_name,
    encode_metadata,
    format_id,
    parse_directory_name,
    parse_id,
    read_topic_id,
    stray_name,
)

FILESYSTEM = RealFileSystem()
topics = st.text("abcXYZ019._-", min_size=1, max_size=249)
offsets = st.integers(0, 2**63 - 1)


# Names


@given(topics, st.integers(0, 99_999), st.binary(min_size=16, max_size=16))
def test_a_directory_name_leads_back_to_its_partition(
    topic: str, partition: int, unique: bytes
) -> None:
    assert parse_directory_name(directory_name(topic, partition)) == (topic, partition)
    for name in (delete_name(topic, partition, unique), stray_name(topic, partition, unique)):
        assert parse_directory_name(name) is None
        assert len(name) <= 255
        assert unique.hex() in name


@pytest.mark.parametrize("name", ["orders", "orders-", "-1x", "a/b-0", "orders-0-delete", ""])
def test_other_names_are_no_partitions(name: str) -> None:
    assert parse_directory_name(name) is None


@given(st.binary(min_size=16, max_size=16))
def test_an_id_is_printed_as_kafka_does(identifier: bytes) -> None:
    text = format_id(identifier)
    assert len(text) == 22
    assert parse_id(text) == identifier


@pytest.mark.parametrize("text", ["", "short", "!" * 22, "A" * 30])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        parse_id(text)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA",
        b"version: 0\nid: AAAAAAAAAAAAAAAAAAAAAA",
        b"version: 0\ntopic_id: nonsense",
        b"\xff\xfe",
        bytes(43),
    ],
)
def test_a_directory_that_does_not_say_whose_it_is(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "partition.metadata").write_bytes(content)
    assert read_topic_id(FILESYSTEM, str(tmp_path)) is None


def test_a_directory_says_whose_it_is(tmp_path: Path) -> None:
    (tmp_path / "partition.metadata").write_bytes(encode_metadata(bytes(range(16))))
    assert read_topic_id(FILESYSTEM, str(tmp_path)) == bytes(range(16))


# Replacing files


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = f"{tmp_path}/file"
    assert read_file(FILESYSTEM, path) is None
    write_atomically(FILESYSTEM, path, b"a long first content")
    write_atomically(FILESYSTEM, path, b"short")
    assert read_file(FILESYSTEM, path) == b"short"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_kafkas_checkpoints_are_lines() -> None:
    assert encode_offsets({("a", 0): 5, ("b", 12): 0}) == b"0\n2\na 0 5\nb 12 0\n"


# Whose directory


def test_the_identity_is_read_back(tmp_path: Path) -> None:
    identity = Identity("cluster-id", 3, "directory-id")
    write_identity(FILESYSTEM, str(tmp_path), identity)
    assert read_identity(FILESYSTEM, str(tmp_path)) == identity
    assert read_identity(FILESYSTEM, f"{tmp_path}/missing") is None


def test_a_file_is_no_data_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DirectoryRefusedError, match="is not a directory"):
        read_identity(FILESYSTEM, f"{tmp_path}/file")


def test_a_directory_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    class Unreadable(RealFileSystem):
        def list_directory(self, path: str) -> list[str]:
            raise PermissionError(13, "Permission denied", path)

    with pytest.raises(DirectoryRefusedError, match="Permission denied"):
        read_identity(Unreadable(), str(tmp_path))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"version=1\nnode.id=1\n", "may belong to an Apache Kafka"),
        (b"ottla.format=2\n", "has format 2"),
        (b"ottla.format=1\ncluster.id=x\n", "is damaged"),
        (b"ottla.format=1\ncluster.id=x\nnode.id=x\ndirectory.id=x\n", "is damaged"),
    ],
)
def test_other_identities_are_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "meta.properties").write_bytes(content)
    with pytest.raises(DirectoryRefusedError, match=why):
        read_identity(FILESYSTEM, str(tmp_path))


def test_comments_and_spaces_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "meta.properties").write_bytes(
        b"#a comment\n! another\n\n ottla.format = 1 \ncluster.id=c\nnode.id=1\ndirectory.id=d\n"
    )
    assert read_identity(FILESYSTEM, str(tmp_path)) == Identity("c", 1, "d")


# The directory's checkpoint


@given(
    st.dictionaries(
        st.tuples(topics, st.integers(0, 9_999)),
        st.tuples(st.binary(min_size=16, max_size=16), offsets, offsets, offsets),
        max_size=5,
    )
)
def test_the_checkpoint_is_read_back(entries: dict) -> None:
    checkpoint = {key: LogCheckpoint(*fields) for key, fields in entries.items()}
    assert directory_checkpoint.decode(directory_checkpoint.encode(checkpoint)) == checkpoint


def test_every_flipped_bit_of_the_checkpoint_is_noticed() -> None:
    data = directory_checkpoint.encode({("orders", 0): LogCheckpoint(bytes(16), 17, 4, 0)})
    for position in range(len(data) - 1):
        broken = bytearray(data)
        broken[position] ^= 1
        with pytest.raises(ValueError):
            directory_checkpoint.decode(bytes(broken))


def test_a_checkpoint_of_another_version_is_refused() -> None:
    from ottla.batch.checksum import crc32c

    body = b"ottla-checkpoint 2\n"
    with pytest.raises(ValueError, match="unknown version"):
        directory_checkpoint.decode(body + f"crc32c {crc32c(body):08x}\n".encode())


# Leader epochs


def some_epochs() -> LeaderEpochs:
    epochs = LeaderEpochs()
    assert epochs.assign(2, 0)
    assert epochs.assign(5, 10)
    assert epochs.assign(6, 30)
    return epochs


def test_epochs_only_rise() -> None:
    epochs = some_epochs()
    assert not epochs.assign(6, 40)
    assert not epochs.assign(1, 50)
    assert not LeaderEpochs().assign(-1, 0)
    assert epochs.latest == 6


def test_an_epoch_without_records_leaves_no_trace() -> None:
    epochs = some_epochs()
    epochs.assign(8, 30)
    assert epochs.entries == [(2, 0), (5, 10), (8, 30)]


@pytest.mark.parametrize(
    ("epoch", "answer"),
    [
        (-1, (-1, -1)),
        (0, (0, 0)),
        (2, (2, 10)),
        (3, (2, 10)),
        (5, (5, 30)),
        (6, (6, 44)),
        (7, (-1, -1)),
    ],
)
def test_where_an_epoch_ends(epoch: int, answer: tuple[int, int]) -> None:
    assert some_epochs().end_offset(epoch, 44) == answer


@pytest.mark.parametrize(("offset", "epoch"), [(-1, -1), (0, 2), (9, 2), (10, 5), (31, 6)])
def test_who_wrote_an_offset(offset: int, epoch: int) -> None:
    assert some_epochs().epoch_at(offset) == epoch
    assert LeaderEpochs().latest == -1


def test_epochs_are_cut_at_both_ends() -> None:
    epochs = some_epochs()
    assert not epochs.cut_end(31)
    assert epochs.cut_end(30)
    assert epochs.entries == [(2, 0), (5, 10)]
    assert not epochs.cut_start(0)
    assert epochs.cut_start(4)
    assert epochs.entries == [(2, 4), (5, 10)]
    assert epochs.cut_start(12)
    assert epochs.entries == [(5, 12)]
    assert not epochs.cut_start(3)


def test_epochs_are_written_as_kafka_writes_them() -> None:
    epochs = some_epochs()
    assert epochs.encode() == b"0\n3\n2 0\n5 10\n6 30\n"
    assert leader_epochs.decode(epochs.encode()).entries == epochs.entries


@pytest.mark.parametrize(
    "data", [b"", b"0\n", b"1\n0\n", b"0\n2\n1 0\n", b"0\n1\nx 0\n", b"0\n2\n3 0\n2 5\n", b"\xff"]
)
def test_damaged_epoch_files_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        leader_epochs.decode(data)


def test_a_checkpoint_without_a_line_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown version"):
        directory_checkpoint.decode(b"crc32c 00000000\n")

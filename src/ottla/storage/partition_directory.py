"""How the directories of partitions are named, and the file that says whose they are.

`<topic>-<partition>` holds a log; `<topic>-<partition>.<32 hex digits>-delete`
is one on its way out, and with `-stray` one that does not say whose it is.
`partition.metadata` in it is Kafka's, text: "version: 0" and "topic_id: " with
the topic's id in URL-safe base64 without padding.
"""

from __future__ import annotations

import base64
import binascii
import errno
import re
from typing import Final

from ottla.seams.filesystem import FileSystem
from ottla.storage.checkpoints import PartitionKey, read_file
from ottla.storage.directory_state import DirectoryState
from ottla.storage.open_files import OpenFiles

METADATA_FILE: Final = "partition.metadata"
DELETE_SUFFIX: Final = "-delete"
STRAY_SUFFIX: Final = "-stray"
_MAX_NAME: Final = 255
_NAME: Final = re.compile(r"([a-zA-Z0-9._-]+)-(\d{1,10})")


def directory_name(topic: str, partition: int) -> str:
    return f"{topic}-{partition}"


def parse_directory_name(name: str) -> PartitionKey | None:
    """The partition a directory belongs to; None for other names."""
    if name.endswith(DELETE_SUFFIX):
        return None
    match = _NAME.fullmatch(name)
    return None if match is None else (match[1], int(match[2]))


def delete_name(topic: str, partition: int, unique: bytes) -> str:
    """A name that says "to be removed", no longer than a file system takes."""
    return _unique_name(topic, partition, unique, DELETE_SUFFIX)


def stray_name(topic: str, partition: int, unique: bytes) -> str:
    """A name that says "whose is this?", likewise."""
    return _unique_name(topic, partition, unique, STRAY_SUFFIX)


def _unique_name(topic: str, partition: int, unique: bytes, suffix: str) -> str:
    rest = f"-{partition}.{unique.hex()}{suffix}"
    return topic[: _MAX_NAME - len(rest)] + rest


def format_id(identifier: bytes) -> str:
    """Sixteen bytes as Kafka prints them."""
    return base64.urlsafe_b64encode(identifier).rstrip(b"=").decode()


def parse_id(text: str) -> bytes:
    """Raises `ValueError` when `text` is not an id."""
    try:
        identifier = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(f"not an id: {text!r}") from error
    if len(identifier) != 16:
        raise ValueError(f"not an id: {text!r}")
    return identifier


def encode_metadata(topic_id: bytes) -> bytes:
    return f"version: 0\ntopic_id: {format_id(topic_id)}".encode()


def make_partition_directory(files: OpenFiles, directory: str, topic_id: bytes) -> str:
    """The directory of a new partition is there, and says whose it is; the path of the file
    that says so, which is not durable yet. Raises `OSError`, also when records are there."""
    filesystem = files.filesystem
    filesystem.make_directory(directory)
    for name in filesystem.list_directory(directory):
        if name.endswith(".log") and filesystem.file_size(f"{directory}/{name}"):
            # A deletion must have failed; the next start removes it.
            raise FileExistsError(errno.EEXIST, "records of a deleted topic are there", directory)
    path = f"{directory}/{METADATA_FILE}"
    files.create(path).write_at([encode_metadata(topic_id)], 0)
    return path


def take_back_partition_directory(files: OpenFiles, directory: str, state: DirectoryState) -> None:
    """What could not be made completely (a full disk, perhaps) is gone. After a clean stop half
    a directory would be taken for a log, although it does not say whose it is, or not durably:
    a crash would then set aside what was written to it."""
    try:
        files.forget_below(directory)
        files.filesystem.remove_tree(directory)
    except OSError as error:
        state.fail(f"removing {directory}", error)


def read_topic_id(filesystem: FileSystem, directory: str) -> bytes | None:
    """The id of the topic whose partition lies in `directory`; None when it does not say."""
    data = read_file(filesystem, f"{directory}/{METADATA_FILE}")
    try:
        version, line = (data or b"").decode("ascii").splitlines()
        if version != "version: 0" or not line.startswith("topic_id: "):
            return None
        return parse_id(line.removeprefix("topic_id: "))
    except ValueError:
        return None

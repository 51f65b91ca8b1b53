"""Whose data directory this is (`meta.properties`).

Shape: Java properties, as Kafka's version 1: version, cluster.id, node.id,
directory.id; and `ottla.format`, by which we know our own. A directory without
that line may belong to a real Kafka: it is refused, and nothing in it touched.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ottla.seams.filesystem import FileSystem
from ottla.storage.checkpoints import TEMPORARY, read_file, write_atomically
from ottla.storage.directory_checkpoint import FILE_NAME as CHECKPOINT
from ottla.storage.errors import DirectoryRefusedError

FILE_NAME: Final = "meta.properties"
LOCK_FILE: Final = ".lock"
FORMAT: Final = "1"
#: What a directory may hold before we first use it.
_HARMLESS: Final = {
    LOCK_FILE,
    "lost+found",
    FILE_NAME + TEMPORARY,
    CHECKPOINT,
    CHECKPOINT + TEMPORARY,
}


class Identity(NamedTuple):
    """The ids are printed in URL-safe base64, as Kafka's."""

    cluster_id: str
    node_id: int
    directory_id: str


def read_identity(filesystem: FileSystem, directory: str) -> Identity | None:
    """Who wrote `directory`; None when it is missing or empty. Touches nothing. Raises
    `DirectoryRefusedError` for a directory of somebody else's, or that cannot be read."""
    path = f"{directory}/{FILE_NAME}"
    try:
        if not filesystem.exists(directory):
            return None
        if not filesystem.is_directory(directory):
            raise DirectoryRefusedError(f"{directory} is not a directory")
        data = read_file(filesystem, path)
        others = [name for name in filesystem.list_directory(directory) if name not in _HARMLESS]
    except OSError as error:
        raise DirectoryRefusedError(f"{directory} cannot be read: {error.strerror}") from error
    if data is None:
        if others:
            raise DirectoryRefusedError(
                f"{directory} is not empty and has no {FILE_NAME}: "
                "Ottla did not write it and leaves it alone; name another directory"
            )
        return None
    properties = _parse(data)
    found = properties.get("ottla.format")
    if found is None:
        raise DirectoryRefusedError(
            f"{path} was not written by Ottla; the directory may belong to an Apache Kafka "
            "and is left alone; name another directory"
        )
    if found != FORMAT:
        raise DirectoryRefusedError(
            f"{directory} has format {found}, this Ottla reads format {FORMAT}"
        )
    try:
        return Identity(
            properties["cluster.id"], int(properties["node.id"]), properties["directory.id"]
        )
    except (KeyError, ValueError) as error:
        raise DirectoryRefusedError(f"{path} is damaged: {error}") from error


def write_identity(filesystem: FileSystem, directory: str, identity: Identity) -> None:
    """The directory is ours from now on, durably."""
    lines = [
        "#",
        f"cluster.id={identity.cluster_id}",
        f"directory.id={identity.directory_id}",
        f"node.id={identity.node_id}",
        f"ottla.format={FORMAT}",
        "version=1",
    ]
    content = "\n".join(lines) + "\n"
    write_atomically(filesystem, f"{directory}/{FILE_NAME}", content.encode())


def _parse(data: bytes) -> dict[str, str]:
    properties = {}
    for line in data.decode("utf-8", "replace").splitlines():
        stripped = line.strip()
        if stripped and stripped[0] not in "#!":
            key, _, value = stripped.partition("=")
            properties[key.strip()] = value.strip()
    return properties

"""Any bytes in any file of a data directory: a start says what is wrong, or all is well.

An input is a row of changes (which file, where, how many bytes go, what comes
instead), made to the files of a broker that did a bit of everything. Checksums
of journal and log are made right again where asked, so that what lies behind
them is reached.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from typing import Any, Final

from simulation.disk import FileNode, SimulatedDisk
from simulation.machine import SETTINGS as MACHINE_SETTINGS
from simulation.machine import Link, Machine

from fuzzing.batches import with_right_sums
from fuzzing.requests import new_machine, sample, settle
from fuzzing.samples import API_KEYS, NAME, body
from fuzzing.target import Input, Target
from ottla.batch.checksum import crc32c
from ottla.broker.topics import MetadataFormatError
from ottla.storage.errors import StorageError
from ottla.wire import frames
from ottla.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest

SETTINGS: Final = {
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "auto.create.topics.enable": "true",
    "group.initial.rebalance.delay.ms": "0",
    "log.segment.bytes": "2000",
    "log.index.interval.bytes": "100",
}
ROOT: Final = MACHINE_SETTINGS["log.dirs"]
#: What a start, or a request, may say of a bad directory.
ALLOWED: Final = (StorageError, MetadataFormatError, OSError)


def _call(machine: Machine, link: Link, request: bytes) -> None:
    given = Input(request)
    which, version, size = given.byte(), given.byte(), given.number()
    api_key, content = API_KEYS[which & 127], given.take(size)
    tags = b"\0" if frames.is_flexible(api_key, version) else b""
    head = api_key.to_bytes(2, "big") + version.to_bytes(2, "big") + b"\0\0\0\1\0\4fuzz"
    link.to_broker.append(bytearray(head + tags + content))
    settle(machine)


@functools.cache
def sound(is_clean: bool) -> dict[str, bytes]:
    """The files of a directory with every kind of file in it."""
    machine = new_machine(SETTINGS)
    link = machine.connect()
    assert link is not None
    topics = [
        CreatableTopic(name=name, num_partitions=2, replication_factor=1)
        for name in (NAME, "other")
    ]
    content = body(CreateTopicsRequest(topics=topics, timeout_ms=10), 5)
    which = bytes((API_KEYS.index(19), 5)) + len(content).to_bytes(2, "big")
    _call(machine, link, which + content)
    ids: dict[str, Any] = {"producer_id": 0, "producer_epoch": 0, "transactional_id": NAME}
    for _ in range(3):
        _call(machine, link, sample(22, 4, transactional_id=NAME))
        for request in ((24, 3), (0, 9), (25, 3), (28, 3), (26, 3)):
            _call(machine, link, sample(request[0], request[1], **ids))
        for _ in range(8):
            _call(machine, link, sample(0, 9, transactional_id=None))
        _call(machine, link, sample(8, 5, group_id="commits"))
        _call(machine, link, sample(11, 2))
        joining: dict[str, Any] = {"member_epoch": 0, "member_id": "one"}
        _call(machine, link, sample(68, 0, group_id="new", topic_partitions=[], **joining))
        _call(machine, link, sample(76, 1, group_id="shared", **joining))
        share: dict[str, Any] = {"group_id": "shared", "member_id": "one"}
        _call(machine, link, sample(78, 1, share_session_epoch=0, **share))
        for _ in range(4):
            machine.pass_time_to_next_deadline()
            settle(machine)
    if is_clean:
        machine.stop_cleanly()
    else:
        machine.stop()
    return {
        path: bytes(node.content)
        for path, node in machine.disk.walk(ROOT)
        if isinstance(node, FileNode)
    }


def run(data: bytes) -> None:
    given = Input(data)
    flags = given.byte()
    files = dict(sound(bool(flags & 1)))
    paths = sorted(files)
    while given:
        path = paths[given.byte() % len(paths)]
        old, where, gone = files[path], given.number(), given.byte()
        new = given.take(given.byte())
        at = where % (len(old) + 1)
        files[path] = old[:at] + new + old[at + gone :]
    if flags & 2:
        files = {path: mended(path, content) for path, content in files.items()}
    disk = SimulatedDisk(random.Random(1))
    for path, content in files.items():
        disk.make_directory(path.rpartition("/")[0])
        disk.open(path, create=True).write_at([content], 0)
    machine = Machine(disk, random.Random(3), SETTINGS)
    try:
        machine.start()
    except ALLOWED:
        return
    _use(machine)
    try:
        machine.stop_cleanly()
        machine.start()
    except ALLOWED:
        pass


def _use(machine: Machine) -> None:
    """Read, write and list everything; a bad file may refuse, and may not break."""
    link = machine.connect()
    for request in (
        sample(1, 12, topic=NAME, fetch_offset=0),
        sample(1, 12, topic="other", fetch_offset=0, isolation_level=1),
        sample(2, 7, timestamp=1),
        sample(0, 9, transactional_id=None),
        sample(22, 4, transactional_id=NAME),
        sample(9, 7),
        sample(15, 5),
        sample(65, 0),
        sample(66, 1),
        sample(60, 0),
        sample(61, 0),
        sample(21, 2, offset=1),
        sample(23, 4),
    ):
        if link is None or not link.is_open:
            link = machine.connect()
        assert link is not None
        _call(machine, link, request)
    for _ in range(8):
        machine.pass_time_to_next_deadline()
        settle(machine)


def mended(path: str, content: bytes) -> bytes:
    """With the checksums that a file of this name has made right."""
    if path.endswith(".log"):
        return _with_batch_sums(content)
    if path.endswith(".journal"):
        return _with_frame_sums(content)
    if path.endswith("/ottla-checkpoint"):
        body = content.rpartition(b"crc32c ")[0]
        return body + f"crc32c {crc32c(body):08x}\n".encode()
    if path.endswith(".snapshot") and len(content) >= 6:
        return content[:2] + crc32c(memoryview(content)[6:]).to_bytes(4, "big") + content[6:]
    return content


def _with_batch_sums(content: bytes) -> bytes:
    out = bytearray()
    position = 0
    while position + 61 <= len(content):
        size = 12 + int.from_bytes(content[position + 8 : position + 12], "big", signed=True)
        if size < 61 or position + size > len(content):
            break
        out += with_right_sums(content[position : position + size])
        position += size
    return bytes(out + content[position:])


def _with_frame_sums(content: bytes) -> bytes:
    out = bytearray(content)
    position = 8
    while position + 16 <= len(out):
        end = position + 16 + int.from_bytes(out[position : position + 4], "big")
        if end > len(out):
            break
        out[position + 4 : position + 8] = crc32c(out[position + 8 : end]).to_bytes(4, "big")
        position = end
    return bytes(out)


def seeds() -> Iterator[bytes]:
    yield b"\0"
    yield b"\1"
    for flags in range(4):
        paths = sorted(sound(bool(flags & 1)))
        for which in range(len(paths)):
            yield bytes((flags, which)) + b"\0\x11\1\1\x07"
            yield bytes((flags, which)) + b"\0\0\xff\0"
            yield bytes((flags, which)) + b"\0\x40\0\x08" + bytes(8)
            yield bytes((flags, which)) + b"\0\x40\x04\x04\x7f\xff\xff\xff"


TARGET = Target("files", "logs, indexes, snapshots, journal and checkpoints", seeds, run)

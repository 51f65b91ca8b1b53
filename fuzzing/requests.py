"""Any requests at all, into the whole broker on a disk in memory.

An input is a row of frames: an API (one byte; its highest bit chooses one of
two connections), a version, the length of the body, the body. Headers are made
sound, so that the body is reached; an API byte above the table is a frame as it
stands. Afterwards time passes, the broker stops cleanly and starts again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from simulation.disk import SimulatedDisk
from simulation.machine import Link, Machine

from fuzzing.samples import API_KEYS, NAME, TOPIC_ID, body, filled, versions
from fuzzing.target import Input, Target
from ottla.batch.record_batch import Record, build_batch
from ottla.broker import topic_changes
from ottla.wire import frames
from ottla.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest

#: Events that one input may cause; more means that something goes round in circles.
MOST_EVENTS: Final = 5_000
DEADLINES: Final = 12
SETTINGS: Final = {
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "auto.create.topics.enable": "true",
    "group.initial.rebalance.delay.ms": "0",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}


def new_machine(settings: dict[str, str]) -> Machine:
    """A machine whose broker has just started on an empty disk."""
    # No request may make thousands of logs here: that is slow, and no fault.
    topic_changes.MAX_PARTITIONS = 40  # type: ignore[misc]
    disk = SimulatedDisk(random.Random(1))
    disk.make_directory("/var")
    machine = Machine(disk, random.Random(2), settings)
    machine.start()
    return machine


def settle(machine: Machine) -> None:
    """Everything happens that is under way."""
    for _ in range(MOST_EVENTS):
        events = machine.events()
        if not events:
            return
        events[0]()
    raise AssertionError("the broker does not come to rest")


def check_responses(link: Link) -> None:
    """What was sent is whole frames."""
    position = 0
    while position < len(link.to_client):
        size = int.from_bytes(link.to_client[position : position + 4], "big")
        position += 4 + size
    assert position == len(link.to_client), "half a response was sent"


def send(machine: Machine, link: Link, api_key: int, version: int, content: bytes) -> None:
    client_id = b"" if api_key == 7 and version == 0 else b"\x00\x04fuzz"
    tags = b"\0" if frames.is_flexible(api_key, version) else b""
    header = api_key.to_bytes(2, "big") + version.to_bytes(2, "big") + b"\0\0\0\1"
    link.to_broker.append(bytearray(header + client_id + tags + content))
    settle(machine)


def run(data: bytes) -> None:
    machine = new_machine(SETTINGS)
    broker = machine.broker
    assert broker is not None
    topic = CreatableTopic(name=NAME, num_partitions=2, replication_factor=1)
    create = CreateTopicsRequest(topics=[topic], timeout_ms=1000)
    links = [machine.connect(), machine.connect()]
    assert links[0] is not None
    send(machine, links[0], 19, 5, body(create, 5))
    topic_id = broker.metadata.topics[NAME].id
    given = Input(data)
    while given:
        which, version, size = given.byte(), given.byte(), given.number()
        link = links[which >> 7]
        if link is None or not link.is_open:
            link = links[which >> 7] = machine.connect()
        assert link is not None
        content = given.take(size).replace(TOPIC_ID, topic_id)
        if (which & 127) < len(API_KEYS):
            send(machine, link, API_KEYS[which & 127], version, content)
        else:
            link.to_broker.append(bytearray(content))
            settle(machine)
    for _ in range(DEADLINES):
        machine.pass_time_to_next_deadline()
        settle(machine)
    for link in links:
        if link is not None:
            check_responses(link)
    machine.stop_cleanly()
    machine.start()


def framed(api_key: int, version: int, content: bytes, connection: int = 0) -> bytes:
    """One request as inputs hold it."""
    which = API_KEYS.index(api_key) | connection << 7
    return bytes((which, version)) + len(content).to_bytes(2, "big") + content


#: Values by field name that let a request do something.
CHOSEN: Final[dict[str, Any]] = {
    "num_partitions": 1,
    "count": 3,
    "replication_factor": 1,
    "assignments": [],
    "acks": -1,
    "timeout_ms": 100,
    "max_wait_ms": 5,
    "min_bytes": 0,
    "max_bytes": 100_000,
    "partition_max_bytes": 100_000,
    "session_timeout_ms": 10_000,
    "session_timeout": 10_000,
    "rebalance_timeout_ms": 10_000,
    "transaction_timeout_ms": 10_000,
    "protocol_type": "consumer",
    "member_id": "",
    "group_instance_id": None,
    "instance_id": None,
    "producer_id": -1,
    "producer_epoch": -1,
    "leader_epoch": -1,
    "generation_id": -1,
    "generation_id_or_member_epoch": -1,
    "current_leader_epoch": -1,
    "session_id": 0,
    "session_epoch": -1,
    "resource_type": 2,
    "configs": [],
    "acknowledgement_batches": [],
    "topic_regex": None,
    "subscribed_topic_regex": None,
    "replica_id": -1,
}


def sample(api_key: int, version: int, **chosen: Any) -> bytes:
    """A request of this API that has a chance of success."""
    batch = bytes(build_batch([Record(0, 1_700_000_000_000, b"key", b"value" * 20)]))
    values = CHOSEN | {"records": batch} | chosen
    return framed(
        api_key, version, body(filled(frames.request_class(api_key), version, **values), version)
    )


def seeds() -> Iterator[bytes]:
    init = sample(22, 4, transactional_id=NAME)
    produce = sample(0, 9, transactional_id=None)
    for api_key in API_KEYS:
        for version in versions(api_key):
            yield sample(api_key, version)
            if version == versions(api_key)[-1]:
                plain = framed(
                    api_key, version, body(filled(frames.request_class(api_key), version), version)
                )
                yield produce + init + sample(api_key, version) + plain
    # Whole conversations.
    ids = {"producer_id": 0, "producer_epoch": 0, "transactional_id": NAME}
    yield (
        init
        + sample(24, 3, **ids)
        + sample(0, 9, **ids)
        + sample(28, 3, **ids)
        + sample(26, 3, **ids)
    )
    yield sample(8, 5) + sample(9, 7) + sample(11, 2) + sample(14, 2) + sample(13, 2)
    one: dict[str, Any] = {"member_id": "one", "member_epoch": 0}
    leaving = one | {"member_epoch": -1}
    joined = sample(68, 0, topic_partitions=[], **one)
    yield joined + sample(69, 0) + sample(68, 0, topic_partitions=[], **leaving)
    shared = sample(76, 1, **one) + sample(78, 1, share_session_epoch=0, **one)
    yield produce + shared + sample(79, 1, share_session_epoch=1, **one) + sample(76, 1, **leaving)
    yield produce + sample(21, 2, offset=1) + sample(2, 7) + sample(1, 12) + sample(1, 3)
    yield b"\x7f\0\0\x0e" + b"\0\x12\0\x00\0\0\0\1\0\x04fuzz"


TARGET = Target("requests", "any requests into the whole broker", seeds, run)

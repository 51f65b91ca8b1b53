"""What a coordinator decided: records to append, replies to send.

The caller appends `records`, in order, as one batch to the partition of the
internal topic that the group belongs to, hands each to `replay` at once, and
sends `replies` when a flush has covered the batch. Nothing durable has changed
before `replay`, so an outcome whose append failed can be dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from ottla.coordinator.records.framing import RecordKey, RecordValue, encode_key, encode_value
from ottla.wire.message import Message

#: Whoever waits for a reply. Coordinators only hand it back.
Waiter: TypeAlias = object


class CoordinatorRecord(NamedTuple):
    """A record of an internal topic; a `value` of None is a tombstone."""

    key: bytes
    value: bytes | None


class Producer(NamedTuple):
    """The transactional producer that records are appended for."""

    producer_id: int
    producer_epoch: int


class Markers(NamedTuple):
    """The end of a transaction, to be written to each partition it touched.

    Order matters: first the outcome's records become durable, then a control
    record with these values goes to every partition (those of deleted topics
    are left out), and when all of them are durable `markers_written` of the
    transaction coordinator is called, also when there are no partitions.
    """

    transactional_id: str
    producer_id: int
    producer_epoch: int
    committed: bool
    partitions: tuple[tuple[str, int], ...]


class Client(NamedTuple):
    """Who sent a request: what coordinators keep of it, and its API version."""

    client_id: str
    client_host: str
    api_version: int


@dataclass(slots=True)
class Outcome:
    """The result of one decision; every list may be empty.

    `producer` is set where the records belong to a producer's transaction and
    must be appended as a transactional batch of that producer. `markers` asks
    for the end of a transaction to be written.
    """

    records: list[CoordinatorRecord] = field(default_factory=list)
    replies: list[tuple[Waiter, Message]] = field(default_factory=list)
    producer: Producer | None = None
    markers: Markers | None = None

    def reply(self, waiter: Waiter, message: Message) -> None:
        self.replies.append((waiter, message))

    def write(self, key: RecordKey, value: RecordValue, version: int | None = None) -> None:
        self.records.append(CoordinatorRecord(encode_key(key), encode_value(value, version)))

    def add(self, key: bytes, value: bytes) -> None:
        """Add a record that is encoded already."""
        self.records.append(CoordinatorRecord(key, value))

    def erase(self, key: RecordKey) -> None:
        """Add a tombstone."""
        self.records.append(CoordinatorRecord(encode_key(key), None))

"""A talk with a broker, written down so that two brokers' answers can be compared.

What differs from run to run (ids, addresses, times) is replaced by names that
count: equal ids get equal names. Fields with Kafka's default are left out.
Lists of structures become mappings where their elements have a natural key,
so that neither order nor neighbours matter.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from ottla.batch.record_batch import read_header, records
from ottla.client import ClientError, Connection, Settings
from ottla.client.connection import Ticket
from ottla.client.errors import ConnectionLostError, NoAnswerError
from ottla.wire import frames
from ottla.wire.message import ZERO_UUID, Message, Request
from ottla.wire.messages.api_versions import ApiVersionsRequest
from ottla.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from ottla.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from ottla.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from ottla.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponseTopic,
)

#: The first of these that a structure has, and that tells its neighbours apart, is its key.
NATURAL_KEYS = (
    "api_key",
    "partition_index",
    "partition",
    "index",
    "name",
    "topic",
    "topic_id",
    "group_id",
    "transactional_id",
    "key",
    "resource_name",
    "node_id",
    "broker_id",
    "member_id",
    "log_dir",
)
#: Whole numbers that a broker makes up.
MADE_UP = {
    "producer_id": "pid",
    "session_id": "session",
    "finalized_features_epoch": "epoch",
    "member_epoch": "member-epoch",
    "group_epoch": "group-epoch",
    "assignment_epoch": "assignment-epoch",
}
#: Texts for people: that there is one is compared, not how it reads.
FOR_PEOPLE = {
    "error_message",
    "acknowledge_error_message",
    "batch_index_error_message",
    "documentation",
}
NOW = range(1_600_000_000_000, 4_000_000_000_000)
UUID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<![\w-])[\w-]{22}(?![\w-])",
    re.ASCII,
)
#: No talk is about an answer that does not come.
PATIENCE_S = 60.0
PATIENCE_MS = 60_000

Plain = Any  # what JSON can hold


class Talk:
    """One scenario's conversation with the broker at `host`:`port`, in one version."""

    def __init__(self, host: str, port: int, version: int) -> None:
        self.host = host
        self.port = port
        self.version = version
        self.suffix = uuid4().hex[:10]
        self.entries: list[dict[str, Plain]] = []
        self.names: dict[object, str] = {}
        self.counts: dict[str, int] = {}
        self.topics: list[str] = []
        #: Requests that undo what would be in the way of other tests.
        self.undoing: list[Request[Any]] = []
        #: Fields too long to be written down again and again.
        self.hidden: set[str] = set()
        self.connections: list[Connection] = []
        self.main = self.connect()

    def connect(self) -> Connection:
        """One more connection."""
        settings = Settings(client_id="talk", request_timeout_ms=PATIENCE_MS)
        connection = Connection(self.host, self.port, settings)
        self.connections.append(connection)
        return connection

    def close(self) -> None:
        """Remove what the talk created, and hang up."""
        try:
            if self.topics:
                deletion = [DeleteTopicState(name=name) for name in self.topics]
                self.connect().request(DeleteTopicsRequest(deletion, self.topics, 10_000), 5)
            for request in self.undoing:
                self.connect().request(request)
        except ClientError:
            pass
        for connection in self.connections:
            connection.close()

    def name(self, text: str) -> str:
        """A name for this talk alone; the transcript says `text~`."""
        return f"{text}-{self.suffix}"

    # Speaking

    def ask(
        self,
        label: str,
        message: Request[Any],
        version: int | None = None,
        *,
        on: Connection | None = None,
    ) -> Any:
        """Send a request and write the answer down; returns it, or None without one."""
        connection = on or self.living()
        version = self.version if version is None else version
        try:
            ticket = connection.send(message, version)
        except ConnectionLostError:
            self._write(label, "connection closed")
            return None
        return self.hear(label, ticket, on=connection)

    def hear(self, label: str, ticket: Ticket[Any], *, on: Connection) -> Any:
        """Write down the answer to a request that was sent."""
        try:
            response = on.receive(ticket)
        except ConnectionLostError:
            self._write(label, "connection closed")
            return None
        except NoAnswerError:
            self._write(label, "no answer")
            return None
        self._write(label, self.plain(response, ticket.version))
        return response

    def say_raw(self, label: str, frame: bytes, *, size: int | None = None) -> bytes | None:
        """Send a frame as it is; write down whether an answer came, and return it."""
        connection = self.connect()
        length = len(frame) if size is None else size
        try:
            connection.send_bytes((length & 0xFFFFFFFF).to_bytes(4, "big") + frame)
            answer = bytes(connection.receive_frame(time.monotonic() + PATIENCE_S, PATIENCE_MS))
        except ConnectionLostError:
            self._write(label, "connection closed")
            return None
        except NoAnswerError:
            self._write(label, "no answer")
            return None
        self._write(label, "answered")
        return answer

    def note(self, label: str, value: Plain) -> None:
        """Write down something seen."""
        self._write(label, value)

    def living(self) -> Connection:
        """The main connection, made anew if the broker closed it."""
        if self.main.is_closed:
            self.main = self.connect()
        return self.main

    def _write(self, label: str, answer: Plain) -> None:
        assert all(entry["label"] != label for entry in self.entries), f"{label!r} is there twice"
        self.entries.append({"label": label, "answer": answer})

    # Preparing, unwritten

    def do(self, message: Request[Any], version: int | None = None) -> Any:
        """A request whose answer is not part of the talk."""
        return self.living().request(message, version)

    def topic(
        self, text: str, partitions: int = 1, configs: Mapping[str, str] | None = None
    ) -> MetadataResponseTopic:
        """A new topic, ready to be written to: its metadata."""
        name = self.name(text)
        self.topics.append(name)
        given = [CreatableTopicConfig(k, v) for k, v in (configs or {}).items()]
        answer = self.do(
            CreateTopicsRequest([CreatableTopic(name, partitions, 1, [], given)], 10_000)
        )
        assert not answer.topics[0].error_code, answer
        return self.wait_for_topic(name)

    def wait_for_topic(self, name: str) -> MetadataResponseTopic:
        """Metadata of a topic once all its partitions have leaders, and these know it."""
        request = MetadataRequest([MetadataRequestTopic(name=name)], False)

        def look() -> MetadataResponseTopic | None:
            (topic,) = self.do(request).topics
            partitions = [ListOffsetsPartition(p.partition_index, -1, -1) for p in topic.partitions]
            if topic.error_code or not partitions:
                return None
            answer = self.do(ListOffsetsRequest(-1, 0, [ListOffsetsTopic(name, partitions)]))
            is_ready = not any(p.error_code for p in answer.topics[0].partitions)
            return topic if is_ready else None

        return self.wait_for(look)

    def wait_for(self, look: Callable[[], Any]) -> Any:
        """What `look` returns once it is true."""
        deadline = time.monotonic() + PATIENCE_S
        while not (seen := look()):
            assert time.monotonic() < deadline, f"waited {PATIENCE_S} s in vain"
            time.sleep(0.02)
        return seen

    # Writing down

    def named(self, kind: str, value: object) -> str:
        """The same name for the same value."""
        name = self.names.get((kind, value))
        if name is None:
            self.counts[kind] = number = self.counts.get(kind, 0) + 1
            name = self.names[kind, value] = f"<{kind}-{number}>"
        return name

    def plain(self, message: Message, version: int) -> dict[str, Plain]:
        """A message as JSON can hold it."""
        default = type(message)()
        result = {}
        for field in message.SCHEMA:
            value = getattr(message, field.name)
            if not field.first <= version <= field.last or value == getattr(default, field.name):
                continue
            if field.is_array and value is not None:
                result[field.name] = self._plain_list(field.name, field.type_, value, version)
            else:
                result[field.name] = self._plain_value(field.name, field.type_, value, version)
        return result

    def _plain_list(self, name: str, type_: Any, values: list[Any], version: int) -> Plain:
        if name in self.hidden:
            return f"<{name}>"
        if not isinstance(type_, str):
            values = sorted(values, key=_by_name)
        items = [self._plain_value(name, type_, value, version) for value in values]
        if isinstance(type_, str):
            return items
        for key in NATURAL_KEYS:
            if any(field.name == key and field.first <= version for field in type_.SCHEMA):
                keys = [
                    str(item.get(key, _key_text(getattr(value, key))))
                    for item, value in zip(items, values, strict=True)
                ]
                if len(set(keys)) == len(keys):
                    keyed = dict(zip(keys, items, strict=True))
                    return {k: keyed[k] for k in sorted(keyed)}
        return sorted(items, key=str)

    def _plain_value(self, name: str, type_: Any, value: Any, version: int) -> Plain:
        if isinstance(value, Message):
            return self.plain(value, version)
        if value is None:
            return None
        if name in FOR_PEOPLE:
            return "<text>"
        if type_ == "uuid":
            return "<no id>" if value == ZERO_UUID else self.named("id", bytes(value))
        if type_ == "records":
            return self._plain_records(bytes(value))
        if type_ == "bytes":
            data = bytes(value)
            return self._plain_text(data.decode()) if data.isascii() else "0x" + data.hex()
        if isinstance(value, str):
            return self._plain_text(value)
        return self._plain_number(name, value)

    def _plain_number(self, name: str, value: Plain) -> Plain:
        if name in MADE_UP and value > 0:
            return self.named(MADE_UP[name], value)
        if name == "port" and value == self.port:
            return "<port>"
        if isinstance(value, int) and value in NOW:
            return "<now>"
        return value

    def _plain_text(self, text: str) -> str:
        text = text.replace("-" + self.suffix, "~")
        if text == self.host:
            return "<host>"
        text = re.sub(r"(.)\1{29,}", lambda match: f"{match[1]}×{len(match[0])}", text)
        return UUID.sub(lambda match: self.named("uuid", match[0]), text)

    def _plain_records(self, data: bytes) -> Plain:
        batches: list[Plain] = []
        position = 0
        while position < len(data):
            size = int.from_bytes(data[position + 8 : position + 12], "big")
            if position + 12 + size > len(data) or position + 61 > len(data):
                batches.append("the beginning of a batch")
                break
            header = read_header(data, position)
            batches.append(
                {
                    "offsets": [header.base_offset, header.last_offset],
                    "leader_epoch": header.partition_leader_epoch,
                    "attributes": header.attributes,
                    "max_timestamp": self._plain_number("timestamp", header.max_timestamp),
                    "producer": [
                        self._plain_number("producer_id", header.producer_id),
                        header.producer_epoch,
                        header.base_sequence,
                    ],
                    "records": [
                        [r.offset, *(v and v.decode(errors="replace") for v in (r.key, r.value))]
                        for r in records(data, position)
                    ],
                }
            )
            position += header.size_in_bytes
        return batches


def _key_text(value: object) -> object:
    """What a key reads as that is left out as its field's default."""
    return "<no id>" if value == ZERO_UUID else value


def _by_name(message: Message) -> list[str]:
    """An order that does not depend on ids, which differ from run to run."""
    texts = [getattr(message, key, None) for key in (*NATURAL_KEYS, "topic_name")]
    return [str(text) for text in texts if not isinstance(text, bytes | None)]


def raw_request(
    api_key: int, version: int, body: bytes, *, flexible: bool = False, correlation_id: int = 7
) -> bytes:
    """A request frame (without its size) whose parts need not fit together."""
    head = api_key.to_bytes(2, "big", signed=True) + version.to_bytes(2, "big", signed=True)
    head += correlation_id.to_bytes(4, "big") + b"\x00\x04talk"
    return head + (b"\x00" if flexible else b"") + body


def is_alive(talk: Talk) -> bool:
    """Whether the broker still answers others."""
    with Connection(talk.host, talk.port) as connection:
        response = connection.request(ApiVersionsRequest(), 0)
    return response.error_code == 0 and frames.API_VERSIONS_KEY in {
        key.api_key for key in response.api_keys
    }

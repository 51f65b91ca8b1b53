"""How kafka-console-consumer writes a record: Kafka's formatters, by name."""

from __future__ import annotations

import json
import struct
import sys
import uuid
from collections.abc import Callable
from typing import Protocol

from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    Message,
)

from ottla.cli.errors import CommandError

#: What a timestamp is, as Kafka writes it.
TIMESTAMP_TYPES = {
    TIMESTAMP_CREATE_TIME: "CreateTime",
    TIMESTAMP_LOG_APPEND_TIME: "LogAppendTime",
}


class MessageFormatter(Protocol):
    """Turns one record into the bytes to print."""

    def format(self, message: Message) -> bytes:
        """The bytes for one record, its line end included; may be empty."""


def _fixed(code: str, text: Callable[[bytes], str] | None = None) -> Callable[[bytes], str]:
    reader = struct.Struct(code)

    def deserialize(data: bytes) -> str:
        if len(data) != reader.size:
            raise CommandError(f"Size of data received by the deserializer is not {reader.size}")
        return str(reader.unpack(data)[0]) if text is None else text(data)

    return deserialize


def _double(data: bytes) -> str:
    from ottla.cli.java_numbers import double_text

    return double_text(struct.unpack(">d", data)[0])


def _float(data: bytes) -> str:
    from ottla.cli.java_numbers import float_text

    return float_text(data)


#: Short class name → text of a key or value.
DESERIALIZERS: dict[str, Callable[[bytes], str]] = {
    "IntegerDeserializer": _fixed(">i"),
    "LongDeserializer": _fixed(">q"),
    "ShortDeserializer": _fixed(">h"),
    "DoubleDeserializer": _fixed(">d", _double),
    "FloatDeserializer": _fixed(">f", _float),
    "BooleanDeserializer": lambda data: str(data == b"\x01").lower(),
    "UUIDDeserializer": lambda data: str(uuid.UUID(data.decode())),
    "VoidDeserializer": lambda _: "null",
}
#: Those that print the bytes as they are.
TEXT_DESERIALIZERS = frozenset(
    {"StringDeserializer", "ByteArrayDeserializer", "BytesDeserializer", "ByteBufferDeserializer"}
)


class DefaultFormatter:
    """Kafka's DefaultMessageFormatter: what to print is a matter of properties."""

    def __init__(self, properties: dict[str, str]) -> None:
        def is_on(name: str, default: str = "false") -> bool:
            return properties.get(name, default).strip().lower() == "true"

        self.timestamp = is_on("print.timestamp")
        self.partition = is_on("print.partition")
        self.offset = is_on("print.offset")
        self.delivery = is_on("print.delivery")
        self.epoch = is_on("print.epoch")
        self.headers = is_on("print.headers")
        self.key = is_on("print.key")
        self.value = is_on("print.value", "true")
        self.key_separator = properties.get("key.separator", "\t").encode()
        self.line_separator = properties.get("line.separator", "\n").encode()
        self.headers_separator = properties.get("headers.separator", ",").encode()
        self.null_literal = properties.get("null.literal", "null").encode()
        self._key_text = _deserializer(properties.get("key.deserializer"))
        self._value_text = _deserializer(properties.get("value.deserializer"))
        self._header_text = _deserializer(properties.get("headers.deserializer"))
        self._value_only = self.value and not (
            self.timestamp
            or self.partition
            or self.offset
            or self.delivery
            or self.epoch
            or self.headers
            or self.key
        )

    def format(self, message: Message) -> bytes:
        """The columns that are switched on, in Kafka's order."""
        if self._value_only and self._value_text is None:
            value = message.value()
            return (self.null_literal if value is None else value) + self.line_separator
        columns: list[bytes] = []
        if self.timestamp:
            kind, timestamp = message.timestamp()
            columns.append(
                b"NO_TIMESTAMP"
                if kind == TIMESTAMP_NOT_AVAILABLE
                else f"{TIMESTAMP_TYPES[kind]}:{timestamp}".encode()
            )
        if self.partition:
            columns.append(f"Partition:{message.partition()}".encode())
        if self.offset:
            columns.append(f"Offset:{message.offset()}".encode())
        if self.delivery:
            # Only records of share groups are counted.
            count = message.delivery_count()
            columns.append(f"Delivery:{count or 'NOT_PRESENT'}".encode())
        if self.epoch:
            # Kafka's consumer hands its formatter a copy without the epoch.
            columns.append(b"Epoch:NOT_PRESENT")
        if self.headers:
            columns.append(self._headers_of(message))
        if self.key:
            columns.append(self._text(message.key(), self._key_text))
        if self.value:
            columns.append(self._text(message.value(), self._value_text))
        return self.key_separator.join(columns) + self.line_separator

    def _headers_of(self, message: Message) -> bytes:
        headers = message.headers()
        if not headers:
            return b"NO_HEADERS"
        assert isinstance(headers, list)
        return self.headers_separator.join(
            name.encode() + b":" + self._text(_as_bytes(value), self._header_text)
            for name, value in headers
        )

    def _text(self, data: bytes | None, deserialize: Callable[[bytes], str] | None) -> bytes:
        if data is None:
            return self.null_literal
        return data if deserialize is None else deserialize(data).encode()


def _as_bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _deserializer(name: str | None) -> Callable[[bytes], str] | None:
    if not name:
        return None
    short = name.rpartition(".")[2]
    if short in TEXT_DESERIALIZERS:
        return None
    try:
        return DESERIALIZERS[short]
    except KeyError:
        raise CommandError(
            f"The deserializer {name} is a Java class that cannot be loaded here; "
            f"known are {', '.join(sorted(TEXT_DESERIALIZERS | set(DESERIALIZERS)))}."
        ) from None


class LoggingFormatter:
    """Kafka's LoggingMessageFormatter: prints as the default does, and logs to stderr."""

    def __init__(self, properties: dict[str, str]) -> None:
        self._default = DefaultFormatter(properties)

    def format(self, message: Message) -> bytes:
        """As `DefaultFormatter`, with one line on stderr as well."""
        kind, timestamp = message.timestamp()
        when = "" if kind == TIMESTAMP_NOT_AVAILABLE else f"{TIMESTAMP_TYPES[kind]}:{timestamp}, "
        key, value = message.key(), message.value()
        print(
            f"{when}key:{'null ' if key is None else key.decode(errors='replace') + ', '}"
            f"value:{'null' if value is None else value.decode(errors='replace')}",
            file=sys.stderr,
        )
        return self._default.format(message)


class NoOpFormatter:
    """Kafka's NoOpMessageFormatter: prints nothing, for measuring."""

    def __init__(self, properties: dict[str, str]) -> None:
        del properties

    def format(self, message: Message) -> bytes:
        """Nothing."""
        del message
        return b""


class InternalFormatter:
    """Kafka's formatters of its internal topics: JSON, one behind the other."""

    modules: tuple[str, ...] = ("offsets", "consumer_groups", "share_groups")
    #: Kinds of record that are shown; all without any.
    kinds: frozenset[int] = frozenset()

    def __init__(self, properties: dict[str, str]) -> None:
        del properties

    def format(self, message: Message) -> bytes:
        """The record, or nothing where it is of another kind."""
        from ottla.inspect.internal_records import UnknownRecordError, decode
        from ottla.wire.errors import ProtocolError

        key_bytes = _as_bytes(message.key())
        if key_bytes is None:
            return b""
        try:
            kind, key, version, value = decode(
                self.modules, key_bytes, _as_bytes(message.value()), opens_members=False
            )
        except UnknownRecordError:
            return b""
        except ProtocolError as error:
            raise CommandError(
                f"Could not read record at offset {message.offset()} due to: {error}"
            ) from None
        if self.kinds and kind not in self.kinds:
            return b""
        shown = {
            "key": {"type": kind, "data": key},
            "value": None if value is None else {"version": version, "data": value},
        }
        return json.dumps(shown, separators=(",", ":"), ensure_ascii=False).encode()


class OffsetsFormatter(InternalFormatter):
    """Committed offsets in `__consumer_offsets`."""

    kinds = frozenset({0, 1})


class GroupMetadataFormatter(InternalFormatter):
    """Classic groups in `__consumer_offsets`."""

    kinds = frozenset({2})


class ShareGroupFormatter(InternalFormatter):
    """Share groups in `__consumer_offsets`."""

    kinds = frozenset({10, 11, 12, 13, 14, 15})


class TransactionLogFormatter(InternalFormatter):
    """Transactions in `__transaction_state`."""

    modules = ("transactions",)


class ShareGroupStateFormatter(InternalFormatter):
    """Progress of share partitions in `__share_group_state`."""

    modules = ("share_state",)


class RemoteLogFormatter:
    """Kafka's RemoteLogMetadataSerde$RemoteLogMetadataFormatter: tiered storage's own records."""

    def __init__(self, properties: dict[str, str]) -> None:
        del properties

    def format(self, message: Message) -> bytes:
        """Where the record is, and what it says."""
        from ottla.inspect.metadata_records import UnknownMetadataError
        from ottla.inspect.remote_log_records import text_of

        try:
            text = text_of(_as_bytes(message.value()) or b"")
        except UnknownMetadataError as error:
            raise CommandError(
                f"Could not read record at offset {message.offset()} due to: {error}"
            ) from None
        place = f"partition: {message.partition()}, offset: {message.offset()}"
        return f"{place}, value: {text}\n".encode()


FORMATTERS: dict[str, Callable[[dict[str, str]], MessageFormatter]] = {
    "DefaultMessageFormatter": DefaultFormatter,
    "GroupMetadataMessageFormatter": GroupMetadataFormatter,
    "LoggingMessageFormatter": LoggingFormatter,
    "NoOpMessageFormatter": NoOpFormatter,
    "OffsetsMessageFormatter": OffsetsFormatter,
    "RemoteLogMetadataSerde$RemoteLogMetadataFormatter": RemoteLogFormatter,
    "ShareGroupMessageFormatter": ShareGroupFormatter,
    "ShareGroupStateMessageFormatter": ShareGroupStateFormatter,
    "TransactionLogMessageFormatter": TransactionLogFormatter,
}


def formatter_named(name: str, properties: dict[str, str]) -> MessageFormatter:
    """The formatter of a Java class name, package or not.

    Errors: `CommandError` for a class that is none of Kafka's.
    """
    try:
        return FORMATTERS[name.rpartition(".")[2]](properties)
    except KeyError:
        raise CommandError(
            f"The formatter {name} is a Java class that cannot be loaded here; "
            f"known are {', '.join(sorted(FORMATTERS))}."
        ) from None

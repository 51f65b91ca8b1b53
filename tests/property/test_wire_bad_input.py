"""Whatever arrives, decoding gives a message or a ProtocolError, and cheaply."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ottla.wire import codec, frames
from ottla.wire.errors import ProtocolError
from ottla.wire.message import Message
from ottla.wire.messages import API_NAMES, API_VERSIONS
from ottla.wire.messages.create_topics import CreateTopicsRequest
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from ottla.wire.messages.metadata import MetadataRequest, MetadataRequestTopic

EVERY_API = pytest.mark.parametrize("api_key", sorted(API_NAMES), ids=lambda key: API_NAMES[key])


def decodes_or_refuses(cls: type[Message], version: int, data: bytes, flexible: bool) -> None:
    try:
        codec.decode(cls, version, data, 0, flexible)
    except ProtocolError:
        pass


def populated(cls: type[Message], version: int, depth: int = 0) -> Message:
    """A message with something in every field that this version carries."""
    message = cls()
    samples = {"string": "text", "bytes": b"bytes", "records": b"records", "uuid": b"u" * 16}
    for field in cls.SCHEMA:
        if not field.first <= version <= field.last:
            continue
        if isinstance(field.type_, str):
            value = samples.get(field.type_, field.type_ == "bool" or 3)
        else:
            value = populated(field.type_, version, depth + 1)
        setattr(message, field.name, [value, value] if field.is_array else value)
    return message


def encoded(message: Message, version: int, flexible: bool) -> bytes:
    out = bytearray()
    codec.encode(message, version, flexible, out)
    return bytes(out)


@EVERY_API
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_garbage_is_refused(api_key: int, data: st.DataObject) -> None:
    oldest, newest, _ = API_VERSIONS[api_key]
    version = data.draw(st.integers(oldest, newest))
    garbage = data.draw(st.binary(max_size=120))
    flexible = frames.is_flexible(api_key, version)
    decodes_or_refuses(frames.request_class(api_key), version, garbage, flexible)
    decodes_or_refuses(frames.response_class(api_key), version, garbage, flexible)


@EVERY_API
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_message_is_refused_or_another_message(api_key: int, data: st.DataObject) -> None:
    oldest, newest, _ = API_VERSIONS[api_key]
    version = data.draw(st.integers(oldest, newest))
    flexible = frames.is_flexible(api_key, version)
    cls = frames.request_class(api_key)
    good = bytearray(encoded(populated(cls, version), version, flexible) or b"\x00")
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    decodes_or_refuses(cls, version, bytes(good), flexible)


@EVERY_API
def test_no_proper_beginning_of_a_message_is_a_message(api_key: int) -> None:
    oldest, newest, _ = API_VERSIONS[api_key]
    for version in range(oldest, newest + 1):
        flexible = frames.is_flexible(api_key, version)
        for cls in (frames.request_class(api_key), frames.response_class(api_key)):
            whole = encoded(populated(cls, version), version, flexible)
            for end in range(len(whole)):
                with pytest.raises(ProtocolError):
                    codec.decode(cls, version, whole[:end], 0, flexible)


@settings(max_examples=200, deadline=None)
@given(frame=st.binary(max_size=60))
def test_any_frame_has_a_header_or_is_refused(frame: bytes) -> None:
    try:
        header = frames.read_request_header(frame)
        frames.decode_request(header, frame)
    except ProtocolError:
        pass


def with_unknown_tag(encoding: bytes, position: int) -> bytes:
    assert encoding[position] == 0, "here is an empty tagged-field section"
    return encoding[:position] + b"\x01\xc8\x01\x03abc" + encoding[position + 1 :]


def test_unknown_tagged_fields_are_skipped_at_every_level() -> None:
    message = FetchRequest(topics=[FetchTopic(b"i" * 16, "", [FetchPartition(4)])], rack_id="r")
    plain = encoded(message, 17, True)
    assert plain.endswith(b"\x00\x00\x01\x02r\x00"), "partition, topic, nothing forgotten, rack"
    for from_end in (1, 5, 6):
        tagged = with_unknown_tag(plain, len(plain) - from_end)
        assert codec.decode(FetchRequest, 17, tagged, 0, True) == message


def test_an_unknown_tagged_field_beside_a_known_one_is_skipped() -> None:
    message = FetchRequest("cluster")
    plain = encoded(message, 12, True)
    tags = plain.rindex(b"\x01\x00\x08\x08cluster")
    tagged = plain[:tags] + b"\x02" + plain[tags + 1 :] + b"\x63\x02zz"
    assert codec.decode(FetchRequest, 12, tagged, 0, True) == message


@pytest.mark.parametrize(
    ("version", "claim"),
    [
        (1, struct.pack(">i", 2**31 - 1)),
        (12, b"\xff\xff\xff\xff\x0f"),
        (12, b"\xff\xff\xff\xff\xff\xff\xff"),
    ],
)
def test_a_huge_array_claim_costs_nothing(version: int, claim: bytes) -> None:
    flexible = frames.is_flexible(3, version)
    codec.decoder_for(MetadataRequest, version, flexible)
    data = claim + bytes(40)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            codec.decode(MetadataRequest, version, data, 0, flexible)
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()


def test_more_elements_than_kafka_allows_are_refused_even_when_they_are_there() -> None:
    one_too_many = codec.MAX_ARRAY_ELEMENTS + 1
    data = struct.pack(">i", one_too_many) + bytes(2 * one_too_many)
    with pytest.raises(ProtocolError, match="array claims 1000001 elements"):
        codec.decode(MetadataRequest, 1, data, 0, False)


def test_more_tagged_fields_than_kafka_allows_are_refused() -> None:
    out = bytearray(b"\x01\x00\x00\x00")
    codec.write_unsigned_varint(codec.MAX_TAGGED_FIELDS + 1, out)
    with pytest.raises(ProtocolError, match="too many tagged fields"):
        codec.decode(MetadataRequest, 9, bytes(out) + bytes(2 * 10_001), 0, True)


def test_a_string_longer_than_two_bytes_can_say_is_refused() -> None:
    message = MetadataRequest([MetadataRequestTopic(name="x" * 32_768)])
    with pytest.raises(ProtocolError, match="name is too long"):
        codec.decode(MetadataRequest, 12, encoded(message, 12, True), 0, True)


def test_null_where_there_may_be_none_is_refused() -> None:
    with pytest.raises(ProtocolError, match="topics is null"):
        codec.decode(CreateTopicsRequest, 4, struct.pack(">i", -1) + bytes(8), 0, False)


def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ProtocolError, match="utf-8"):
        codec.decode(MetadataRequest, 1, struct.pack(">ih2s", 1, 2, b"\xff\xfe"), 0, False)


def test_any_negative_count_is_null_as_in_kafka() -> None:
    data = struct.pack(">i", -2)
    assert codec.decode(MetadataRequest, 1, data, 0, False).topics is None

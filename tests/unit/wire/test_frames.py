"""Requests and responses keep Kafka's framing, oddities included."""

from __future__ import annotations

import struct

import pytest

from ottla.wire import frames
from ottla.wire.codec import SPLICE_FROM_BYTES
from ottla.wire.errors import ProtocolError
from ottla.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from ottla.wire.messages.fetch import FetchableTopicResponse, FetchResponse, PartitionData
from ottla.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from ottla.wire.messages.sasl_handshake import SaslHandshakeRequest

API_VERSIONS, FETCH, METADATA, SASL_HANDSHAKE = 18, 1, 3, 17


def joined(buffers: list[bytes]) -> bytes:
    return b"".join(buffers)


def test_a_request_carries_size_key_version_correlation_id_and_client_id() -> None:
    frame = joined(frames.encode_request(MetadataRequest([]), 4, 7, "me"))
    assert frame == struct.pack(">ihhih2si?", len(frame) - 4, 3, 4, 7, 2, b"me", 0, True)


def test_the_client_id_of_a_flexible_request_keeps_its_two_byte_length() -> None:
    frame = joined(frames.encode_request(MetadataRequest([]), 9, 7, "me"))
    assert frame[4:17] == struct.pack(">hhih2sb", 3, 9, 7, 2, b"me", 0)


@pytest.mark.parametrize("client_id", [None, "", "käfka"])
@pytest.mark.parametrize("version", [1, 12])
def test_a_request_comes_back_as_it_was_sent(version: int, client_id: str | None) -> None:
    message = MetadataRequest([MetadataRequestTopic(name="t")], True)
    frame = joined(frames.encode_request(message, version, 9, client_id))[4:]
    header = frames.read_request_header(frame)
    assert header[:4] == (METADATA, version, 9, client_id)
    assert frames.decode_request(header, frame) == message


def test_tagged_fields_in_the_header_are_skipped() -> None:
    head = struct.pack(">hhih", METADATA, 9, 5, -1) + b"\x01\x07\x03abc"
    frame = head + b"\x01\x01\x00\x00\x00"
    header = frames.read_request_header(frame)
    assert header.body == len(head)
    assert frames.decode_request(header, frame).topics == []


def test_the_header_of_an_api_versions_response_is_never_flexible() -> None:
    frame = joined(frames.encode_response(ApiVersionsResponse(35), API_VERSIONS, 3, 1))
    assert frame[4:10] == struct.pack(">ih", 1, 35)
    assert frames.decode_response(API_VERSIONS, 3, frame[4:]).error_code == 35


def test_other_flexible_responses_have_tagged_fields_in_their_header() -> None:
    frame = joined(frames.encode_response(MetadataResponse(), METADATA, 9, 77))
    assert frame[4:9] == struct.pack(">ib", 77, 0)
    assert frames.read_correlation_id(frame[4:]) == 77
    assert frames.decode_response(METADATA, 9, frame[4:]) == MetadataResponse()


def test_sasl_handshake_is_never_flexible() -> None:
    message = SaslHandshakeRequest("PLAIN")
    frame = joined(frames.encode_request(message, 1, 0, None))
    assert frame[4:] == struct.pack(">hhihh5s", 17, 1, 0, -1, 5, b"PLAIN")


def test_a_newer_api_versions_request_than_ours_has_a_readable_header() -> None:
    frame = joined(frames.encode_request(ApiVersionsRequest("x", "1"), 4, 3, "c"))[4:]
    newer = frame[:2] + struct.pack(">h", 99) + frame[4:]
    assert frames.read_request_header(newer)[:4] == (API_VERSIONS, 99, 3, "c")


def test_the_header_of_an_unknown_api_is_readable_and_its_message_refused() -> None:
    frame = struct.pack(">hhih1s", 999, 0, 4, 1, b"x")
    header = frames.read_request_header(frame)
    assert header[:4] == (999, 0, 4, "x")
    with pytest.raises(ProtocolError, match="unknown API key 999"):
        frames.decode_request(header, frame)


def test_a_version_beyond_ours_is_refused() -> None:
    frame = struct.pack(">hhih", METADATA, 99, 4, -1) + b"\x00"
    with pytest.raises(ProtocolError, match="metadata has no version 99"):
        frames.decode_request(frames.read_request_header(frame), frame)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x00\x03\x00",
        struct.pack(">hhih", METADATA, 1, 4, 10) + b"short",
        struct.pack(">hhih1s", METADATA, 1, 4, 1, b"\xff"),
        struct.pack(">hhih", METADATA, 9, 4, -1),
        struct.pack(">hhih", METADATA, 9, 4, -1) + b"\xff\xff\xff\xff\x0f",
        struct.pack(">hhih", METADATA, 9, 4, -1) + b"\x01\x00\x7f",
    ],
)
def test_bytes_that_are_no_header_are_a_protocol_error(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        frames.read_request_header(frame)


@pytest.mark.parametrize("frame", [b"", b"\x00\x00\x00", b"\x00\x00\x00\x01"])
def test_bytes_that_are_no_response_are_a_protocol_error(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        frames.decode_response(METADATA, 9, frame)


@pytest.mark.parametrize("version", [4, 11, 12, 13, 18])
def test_large_records_travel_uncopied_in_their_place(version: int) -> None:
    large = bytes(range(256)) * (SPLICE_FROM_BYTES // 256)
    small = b"small"

    def response(several: list[bytes]) -> FetchResponse:
        partitions = [PartitionData(i, 0, 9, records=records) for i, records in enumerate(several)]
        topic_id = bytes(16) if version < 13 else b"i" * 16
        topic = "t" if version < 13 else ""
        return FetchResponse(responses=[FetchableTopicResponse(topic_id, topic, partitions)])

    message = response([large, small, large])
    message.responses[0].partitions.append(PartitionData(3, 0, 9, records=[large, small, large]))
    buffers = frames.encode_response(message, FETCH, version, 3)
    assert sum(buffer is large for buffer in buffers) == 4
    frame = joined(buffers)
    assert len(frame) == 4 + struct.unpack_from(">i", frame)[0]
    expected = response([large, small, large, large + small + large])
    assert frames.decode_response(FETCH, version, frame[4:]) == expected

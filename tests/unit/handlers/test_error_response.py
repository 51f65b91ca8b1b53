"""Every API can say no to a whole request."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ottla.handlers.error_response import error_response
from ottla.handlers.registry import ROWS, find_api
from ottla.wire import codec, frames
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.message import Message
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from ottla.wire.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)

REFUSED = RequestError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "not you")


def filled(cls: type[Message]) -> Message:
    """A message with one element in every list."""
    message = cls()
    for field in cls.SCHEMA:
        value: Any = getattr(message, field.name)
        if isinstance(field.type_, str):
            if field.type_ in ("string", "int32", "int64", "int16", "int8") and field.is_array:
                value = ["text" if field.type_ == "string" else 3]
            elif field.type_ == "string":
                value = "text"
        elif field.is_array:
            value = [filled(field.type_)]
        setattr(message, field.name, value)
    return message


def error_codes(message: Message) -> set[int]:
    """The error codes anywhere in a message."""
    found = set()
    for field in message.SCHEMA:
        value = getattr(message, field.name)
        if field.name.endswith("error_code"):
            found.add(value)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Message) and field.tag < 0:
                found |= error_codes(item)
    return found


@pytest.mark.parametrize("api_key", ROWS, ids=lambda key: ROWS[key].name)
def test_every_api_answers_with_the_error_in_every_version(api_key: int) -> None:
    api = find_api(api_key)
    assert api is not None
    request = filled(frames.request_class(api_key))
    for version in range(api.min_version, api.max_version + 1):
        context: Any = SimpleNamespace(broker=None, version=version)
        response = error_response(api, context, request, REFUSED)
        assert response is not None
        flexible = frames.is_flexible(api_key, version)
        out = bytearray()
        codec.encode(response, version, flexible, out)
        seen = codec.decode(api.response_class, version, out, 0, flexible)
        assert ErrorCode.CLUSTER_AUTHORIZATION_FAILED in error_codes(seen)


def answer_to(api_key: int, request: Message) -> Any:
    api = find_api(api_key)
    assert api is not None
    context: Any = SimpleNamespace(broker=None, version=api.max_version)
    return error_response(api, context, request, REFUSED)


def test_items_keep_their_names_and_numbers() -> None:
    parts = [OffsetCommitRequestPartition(4, 17), OffsetCommitRequestPartition(5, 18)]
    topics = [OffsetCommitRequestTopic(b"i" * 16, "t", parts)]
    response = answer_to(8, OffsetCommitRequest("g", topics=topics))
    assert isinstance(response, OffsetCommitResponse)
    (topic,) = response.topics
    assert (topic.topic_id, topic.name) == (b"i" * 16, "t")
    assert [(p.partition_index, p.error_code) for p in topic.partitions] == [(4, 31), (5, 31)]


def test_plain_numbers_become_items_with_an_error_each() -> None:
    marker = WritableTxnMarker(7, 0, True, [WritableTxnMarkerTopic("t", [2, 3])])
    response = answer_to(27, WriteTxnMarkersRequest([marker]))
    assert isinstance(response, WriteTxnMarkersResponse)
    (result,) = response.markers
    assert (result.producer_id, result.topics[0].name) == (7, "t")
    parts = [(p.partition_index, p.error_code) for p in result.topics[0].partitions]
    assert parts == [(2, 31), (3, 31)]

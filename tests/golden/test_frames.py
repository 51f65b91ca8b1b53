"""What real clients and Apache Kafka said to one another decodes, and encodes to the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ottla.wire import frames
from ottla.wire.messages import API_NAMES

EXCHANGES = json.loads((Path(__file__).parent / "frames.json").read_text())
EACH = pytest.mark.parametrize(
    "exchange",
    EXCHANGES,
    ids=lambda e: f"{e['client']}-{API_NAMES[e['api_key']]}-v{e['version']}",
)


@EACH
def test_a_real_request_survives_byte_for_byte(exchange: dict[str, str]) -> None:
    frame = bytes.fromhex(exchange["request"])
    header = frames.read_request_header(frame)
    message = frames.decode_request(header, frame)
    again = frames.encode_request(
        message, header.api_version, header.correlation_id, header.client_id
    )
    assert b"".join(again)[4:] == frame


@EACH
def test_a_real_response_survives_byte_for_byte(exchange: dict[str, str]) -> None:
    frame = bytes.fromhex(exchange["response"])
    api_key, version = int(exchange["api_key"]), int(exchange["version"])
    message = frames.decode_response(api_key, version, frame)
    again = frames.encode_response(message, api_key, version, frames.read_correlation_id(frame))
    assert b"".join(again)[4:] == frame


def test_all_four_kinds_of_client_were_heard() -> None:
    clients = {exchange["client"] for exchange in EXCHANGES}
    assert clients == {"librdkafka", "aiokafka", "kafka-python", "kafka-tools"}

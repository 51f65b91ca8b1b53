"""The versions that Kafka 4 dropped (KIP-896), which kio does not know, against older clients.

kafka-python still carries the structures it once spoke them with; they say
the sequence of types, so equal bytes after a round trip mean equal layouts.
"""

from __future__ import annotations

import importlib
import io

import pytest
from hypothesis import given, settings
from tests.property.neutral_messages import messages

from ottla.wire import codec, frames
from ottla.wire.message import Message
from ottla.wire.messages import API_NAMES, API_VERSIONS

#: API key -> (module of kafka.protocol.old, class name, first version Kafka 4 has)
DROPPED = {
    0: ("produce", "Produce", 3),
    1: ("fetch", "Fetch", 4),
    2: ("list_offsets", "ListOffsets", 1),
    8: ("commit", "OffsetCommit", 2),
    9: ("commit", "OffsetFetch", 1),
    19: ("admin", "CreateTopics", 2),
    20: ("admin", "DeleteTopics", 1),
    23: ("offset_for_leader_epoch", "OffsetForLeaderEpoch", 2),
    29: ("admin", "DescribeAcls", 1),
    30: ("admin", "CreateAcls", 1),
    31: ("admin", "DeleteAcls", 1),
    32: ("admin", "DescribeConfigs", 1),
    34: ("", "AlterReplicaLogDirs", 1),
    35: ("admin", "DescribeLogDirs", 1),
}
#: kafka-python takes the partition numbers of v0 for a single one.
THEIR_SLIPS = {(35, "Request")}
CASES = [
    pytest.param(api_key, version, kind, id=f"{API_NAMES[api_key]}-v{version}-{kind}")
    for api_key, (module, _, first) in DROPPED.items()
    for version in range(first)
    for kind in ("Request", "Response")
    if module and (api_key, kind) not in THEIR_SLIPS
]


def test_exactly_these_apis_serve_dropped_versions() -> None:
    zero = {key for key, (oldest, _, _) in API_VERSIONS.items() if oldest == 0}
    assert zero.issuperset(DROPPED)


@pytest.mark.parametrize(("api_key", "version", "kind"), CASES)
def test_dropped_versions_agree_with_an_older_client(api_key: int, version: int, kind: str) -> None:
    module_name, name, _ = DROPPED[api_key]
    module = importlib.import_module(f"kafka.protocol.old.{module_name}")
    theirs = getattr(module, f"{name}{kind}_v{version}", None)
    assert theirs is not None
    cls = (frames.request_class if kind == "Request" else frames.response_class)(api_key)

    @settings(max_examples=30, deadline=None)
    @given(messages(cls, version))
    def agrees(message: Message) -> None:
        out = bytearray()
        codec.encode(message, version, False, out)
        encoded = bytes(out)
        stream = io.BytesIO(encoded)
        decoded = theirs.SCHEMA.decode(stream)
        assert stream.read() == b""
        assert theirs.SCHEMA.encode(decoded) == encoded
        assert codec.decode(cls, version, encoded, 0, False) == message

    agrees()

"""The compiled codecs and kio, which is generated from Kafka's schemas, agree byte for byte."""

from __future__ import annotations

import importlib
import importlib.util
import io

import pytest
from hypothesis import given, settings
from kio.schema.index import api_key_map
from kio.serial import entity_reader, entity_writer
from tests.property.neutral_messages import messages

from ottla.wire import codec, frames
from ottla.wire.message import Message
from ottla.wire.messages import API_NAMES, API_VERSIONS


def kio_class(api_key: int, version: int, kind: str) -> type:
    module = importlib.import_module(f"kio.schema.{api_key_map[api_key]}.v{version}.{kind}")
    for value in vars(module).values():
        if getattr(getattr(value, "__type__", None), "name", None) == kind:
            return value
    raise AssertionError(f"kio has no {kind} of {API_NAMES[api_key]} v{version}")


def versions_known_to_kio(api_key: int) -> list[int]:
    oldest, newest, _ = API_VERSIONS[api_key]
    return [
        version
        for version in range(oldest, newest + 1)
        if importlib.util.find_spec(f"kio.schema.{api_key_map[api_key]}.v{version}") is not None
    ]


def check_version(cls: type[Message], api_key: int, version: int, kind: str) -> None:
    flexible = frames.is_flexible(api_key, version)
    theirs = kio_class(api_key, version, kind)
    assert theirs.__flexible__ == flexible
    read, write = entity_reader(theirs), entity_writer(theirs)

    @settings(max_examples=12, deadline=None)
    @given(messages(cls, version))
    def agrees(message: Message) -> None:
        out = bytearray()
        codec.encode(message, version, flexible, out)
        encoded = bytes(out)
        entity, size = read(encoded, 0)
        assert size == len(encoded)
        again = io.BytesIO()
        write(again, entity)
        assert again.getvalue() == encoded
        assert codec.decode(cls, version, encoded, 0, flexible) == message

    agrees()


@pytest.mark.parametrize("kind", ["request", "response"])
@pytest.mark.parametrize("api_key", sorted(API_NAMES), ids=lambda key: API_NAMES[key])
def test_every_version_agrees_with_kio(api_key: int, kind: str) -> None:
    cls = (frames.request_class if kind == "request" else frames.response_class)(api_key)
    for version in versions_known_to_kio(api_key):
        check_version(cls, api_key, version, kind)

"""Every decoder of a request or response, at every version.

An input is an API (one byte), a version, a direction and the bytes. What
decodes, encodes; and what that gives decodes to the same again.
"""

from __future__ import annotations

from collections.abc import Iterator

from fuzzing.samples import API_KEYS, filled, request_sample, versions
from fuzzing.target import Input, Target
from ottla.wire import codec, frames
from ottla.wire.errors import ProtocolError
from ottla.wire.messages import API_VERSIONS


def run(data: bytes) -> None:
    given = Input(data)
    which, version, is_response = given.byte(), given.byte(), given.byte() & 1
    content = given.rest()
    if which >= len(API_KEYS):
        _read_header(content)
        return
    api_key = API_KEYS[which]
    oldest, newest, _ = API_VERSIONS[api_key]
    version = oldest + version % (newest - oldest + 1)
    flexible = frames.is_flexible(api_key, version)
    cls = frames.response_class(api_key) if is_response else frames.request_class(api_key)
    try:
        message = codec.decode(cls, version, content, 0, flexible)
    except ProtocolError:
        return
    once = bytearray()
    codec.encode(message, version, flexible, once)
    again = bytearray()
    codec.encode(codec.decode(cls, version, once, 0, flexible), version, flexible, again)
    assert once == again, "what was encoded decodes to something else"


def _read_header(frame: bytes) -> None:
    try:
        header = frames.read_request_header(frame)
        assert header.body <= len(frame)
        frames.decode_request(header, frame)
    except ProtocolError:
        pass


def seeds() -> Iterator[bytes]:
    for which, api_key in enumerate(API_KEYS):
        oldest = versions(api_key)[0]
        for version in versions(api_key):
            for direction, cls in enumerate(
                (frames.request_class(api_key), frames.response_class(api_key))
            ):
                content = bytearray()
                message = filled(cls, version)
                codec.encode(message, version, frames.is_flexible(api_key, version), content)
                yield bytes((which, version - oldest, direction)) + content
        request = request_sample(api_key, oldest)
        yield b"\xff\0\0" + b"".join(frames.encode_request(request, oldest, 1, "client"))[4:]


TARGET = Target("decoders", "every decoder of a request or response, headers", seeds, run)

"""Requests and responses as they travel: size prefix, header, message.

Shape of a frame: int32 size of what follows; a header; the message.
A request's header is int16 API key, int16 version, int32 correlation id,
nullable client id (v1) and, in flexible versions, tagged fields (v2). The
client id keeps its two-byte length even there (KIP-482). A response's header
is the correlation id (v0) and, in flexible versions, tagged fields (v1); an
ApiVersions response always has v0, because a client must be able to read it
before it knows what the broker speaks (KIP-511).

Functions that read take a frame without its size prefix; functions that write
return it with the prefix.
"""

from __future__ import annotations

import importlib
import struct
from typing import Any, Final, NamedTuple

from ottla.wire import codec
from ottla.wire.errors import ProtocolError
from ottla.wire.message import Buffer, Message, Request
from ottla.wire.messages import API_NAMES, API_VERSIONS

API_VERSIONS_KEY: Final = 18

_REQUEST_HEAD: Final = struct.Struct(">hhih")
_SIZE: Final = struct.Struct(">i")
_SIZE_AND_CORRELATION_ID: Final = struct.Struct(">ii")

_message_classes: dict[int, tuple[type[Request[Any]], type[Message]]] = {}


class RequestHeader(NamedTuple):
    """`body` is the position in the frame where the message begins."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body: int


def is_flexible(api_key: int, version: int) -> bool:
    """Whether this version has compact lengths and tagged fields (KIP-482).

    Versions newer than ours count as flexible where ours are.
    """
    known = API_VERSIONS.get(api_key)
    return known is not None and version >= known[2]


def _classes(api_key: int) -> tuple[type[Request[Any]], type[Message]]:
    try:
        return _message_classes[api_key]
    except KeyError:
        if api_key not in API_NAMES:
            raise ProtocolError(f"unknown API key {api_key}") from None
    module = importlib.import_module(f"ottla.wire.messages.{API_NAMES[api_key]}")
    return _message_classes.setdefault(api_key, (module.REQUEST, module.RESPONSE))


def request_class(api_key: int) -> type[Request[Any]]:
    """The class of an API's requests; loads its module at the first call."""
    return _classes(api_key)[0]


def response_class(api_key: int) -> type[Message]:
    """The class of an API's responses; loads its module at the first call."""
    return _classes(api_key)[1]


def _check_version(api_key: int, version: int) -> None:
    oldest, newest, _ = API_VERSIONS[api_key]
    if not oldest <= version <= newest:
        raise ProtocolError(f"{API_NAMES[api_key]} has no version {version}")


def read_request_header(frame: Buffer) -> RequestHeader:
    """Read the header of any request, of known and unknown APIs and versions.

    For an unknown API key, `body` is where it would be without tagged fields.
    Errors: `ProtocolError` when the bytes are no header.
    """
    view = memoryview(frame)
    try:
        api_key, version, correlation_id, length = _REQUEST_HEAD.unpack_from(view)
        position = _REQUEST_HEAD.size
        client_id = None
        if length >= 0:
            end = position + length
            if end > len(view):
                raise ProtocolError("client id runs past the end of the request")
            client_id = str(view[position:end], "utf-8")
            position = end
        if is_flexible(api_key, version):
            # Nobody has sent any yet.
            position = codec.skip_tagged_fields(view, position) if view[position] else position + 1
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ProtocolError(f"no request header: {error}") from None
    return RequestHeader(api_key, version, correlation_id, client_id, position)


def decode_request(header: RequestHeader, frame: Buffer) -> Request[Any]:
    """Decode the message behind `header`.

    Errors: `ProtocolError` for an unknown API or version and for bytes that
    are not this message.
    """
    cls = request_class(header.api_key)
    _check_version(header.api_key, header.api_version)
    flexible = is_flexible(header.api_key, header.api_version)
    return codec.decode(cls, header.api_version, frame, header.body, flexible)


def encode_request(
    message: Request[Any], version: int, correlation_id: int, client_id: str | None
) -> list[Buffer]:
    """The whole frame of a request, as buffers to be sent one after the other."""
    api_key = message.API_KEY
    _check_version(api_key, version)
    flexible = is_flexible(api_key, version)
    name = b"" if client_id is None else client_id.encode()
    out = bytearray(_SIZE.size)
    out += _REQUEST_HEAD.pack(
        api_key, version, correlation_id, -1 if client_id is None else len(name)
    )
    out += name
    if flexible:
        out.append(0)
    buffers, size = codec.encode_spliced(message, version, flexible, out)
    _SIZE.pack_into(out, 0, size - _SIZE.size)
    return buffers


def encode_response(
    message: Message, api_key: int, version: int, correlation_id: int
) -> list[Buffer]:
    """The whole frame of a response, as buffers to be sent one after the other.

    Large records are not copied: they are in the list as they were given.
    """
    flexible = is_flexible(api_key, version)
    out = bytearray(_SIZE_AND_CORRELATION_ID.pack(0, correlation_id))
    if flexible and api_key != API_VERSIONS_KEY:
        out.append(0)
    buffers, size = codec.encode_spliced(message, version, flexible, out)
    _SIZE.pack_into(out, 0, size - _SIZE.size)
    return buffers


def read_correlation_id(frame: Buffer) -> int:
    """The correlation id of a response. Errors: `ProtocolError` if it is too short."""
    if len(frame) < _SIZE.size:
        raise ProtocolError("no response header")
    return int(_SIZE.unpack_from(frame)[0])


def decode_response(api_key: int, version: int, frame: Buffer) -> Message:
    """Decode the response to a request of this API and version.

    Errors: `ProtocolError`.
    """
    cls = response_class(api_key)
    _check_version(api_key, version)
    flexible = is_flexible(api_key, version)
    view = memoryview(frame)
    position = _SIZE.size
    if flexible and api_key != API_VERSIONS_KEY:
        try:
            position = codec.skip_tagged_fields(view, position)
        except IndexError:
            raise ProtocolError("no response header") from None
    return codec.decode(cls, version, view, position, flexible)

"""The entry to the core: one frame in, one decision.

Errors come in four kinds. Bytes that are not a request close the connection.
A request refused as a whole (`RequestError`, raised before anything changed)
becomes its API's own error response, built here. Results per partition are
values in the handlers' responses. A broken invariant is not caught.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.broker.authentication import Stage
from ottla.broker.request import Parked, RequestContext
from ottla.handlers.authentication import check_turn, take_bare_token
from ottla.handlers.error_response import error_response
from ottla.handlers.features import is_switched_off
from ottla.handlers.registry import Api, find_api
from ottla.storage.errors import StorageError
from ottla.wire import codec
from ottla.wire.errors import ErrorCode, ProtocolError, RequestError
from ottla.wire.frames import API_VERSIONS_KEY, RequestHeader, read_request_header
from ottla.wire.message import Message

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.connection import Connection

#: Stands in for a request that need not be read.
_ANY_MESSAGE: Final = Message()


def dispatch(
    broker: Broker,
    connection: Connection,
    frame: bytearray | memoryview,
    wall_ms: int,
    mono_ms: int,
) -> None:
    """Handle one request; `frame` is writable, without its length, and ours from now on."""
    broker.wall_ms = wall_ms
    broker.mono_ms = mono_ms
    try:
        _dispatch(broker, connection, memoryview(frame), wall_ms, mono_ms)
    except ProtocolError as error:
        broker.metrics.connections_closed_by_error += 1
        connection.close(str(error))
    broker.settle()


def _dispatch(
    broker: Broker, connection: Connection, view: memoryview, wall_ms: int, mono_ms: int
) -> None:
    authentication = connection.authentication
    if authentication is not None and authentication.stage is Stage.BARE_TOKENS:
        take_bare_token(connection, authentication, view, wall_ms, mono_ms)
        return
    header = read_request_header(view)
    key, version = header.api_key, header.api_version
    if authentication is not None:
        check_turn(authentication, key, mono_ms)
    api = find_api(key)
    if api is None:
        raise ProtocolError(f"API key {key} is not served")
    oldest = api.strict_from if broker.is_strict else api.min_version
    is_served = oldest <= version <= api.max_version
    if not is_served and key != API_VERSIONS_KEY:
        raise ProtocolError(f"{api.name} version {version} is not served")
    is_flexible = is_served and version >= api.flexible_from
    connection.client_id = header.client_id
    metrics = broker.metrics.api(key)
    metrics.requests += 1
    metrics.request_bytes += len(view)
    if api.shortcut and is_served and api.shortcut(broker, connection, view, header, mono_ms):
        return
    cache_key = None
    cached = None
    if not is_served:
        # The message of a version from the future cannot be read (KIP-511).
        message, version = api.request_class(), 0
    else:
        if api.is_cacheable:
            cache_key = (key, version, bytes(view[header.body :]), *connection.place)
            cached = broker.response_cache.get(cache_key)
        if cached is not None:
            message = _ANY_MESSAGE
        elif api.decode is not None:
            message = api.decode(view, header.body, version)
        else:
            message = codec.decode(api.request_class, version, view, header.body, is_flexible)
    request = _begin(
        broker, connection, api, header, version, is_flexible, message, wall_ms, mono_ms
    )
    if cached is not None:
        request.send_body((cached,))
    elif is_served:
        _run(broker, api, request, cache_key)
    else:
        _refuse(request, RequestError(ErrorCode.UNSUPPORTED_VERSION))


def _begin(
    broker: Broker,
    connection: Connection,
    api: Api,
    header: RequestHeader,
    version: int,
    is_flexible: bool,
    message: Message,
    wall_ms: int,
    mono_ms: int,
) -> RequestContext:
    """The request has its place among its connection's answers; `version` is the answer's."""
    request = RequestContext(
        broker,
        connection,
        connection.take_slot(),
        header.api_key,
        version,
        is_flexible,
        header.correlation_id,
        header.client_id,
        wall_ms,
        mono_ms,
        message,
        _refuse,
    )
    request.body_encoder = api.encode
    return request


def _run(broker: Broker, api: Api, request: RequestContext, cache_key: object) -> None:
    metadata_epoch = broker.metadata.epoch
    broker.quotas.begin(request)
    levels = broker.metadata.features
    if levels and is_switched_off(api.key, levels):
        _refuse(request, RequestError(ErrorCode.UNSUPPORTED_VERSION))
        return
    try:
        response = api.handle(broker, request, request.message)
    except RequestError as error:
        _refuse(request, error)
        return
    except StorageError as error:
        # A log that cannot be opened: nothing was changed before that was noticed.
        _refuse(request, RequestError(error.code, error.message))
        return
    if isinstance(response, Parked):
        broker.quotas.charge_time(request, None)
        if response is Parked.NOTHING:
            request.complete_without_response()
        return
    assert isinstance(response, Message)
    if cache_key is None or metadata_epoch != broker.metadata.epoch:
        request.complete(response)
        return
    body = bytearray()
    codec.encode(response, request.version, request.is_flexible, body)
    broker.cache_response(cache_key, body)
    broker.quotas.charge_time(request, None)
    request.send_body((body,))


def _refuse(request: RequestContext, error: RequestError) -> None:
    """Answer with the API's own error response; close where none can show the error."""
    api = find_api(request.api_key)
    assert api is not None
    request.broker.metrics.api(api.key).count_error(error.code)
    refusal = error_response(api, request, request.message, error)
    if refusal is None:
        request.close(f"{api.name}: {error}")
    else:
        request.complete(refusal)


def refuse(
    broker: Broker,
    connection: Connection,
    frame: bytearray | memoryview,
    error: RequestError,
    wall_ms: int,
    mono_ms: int,
) -> None:
    """Answer a request with its API's error response instead of handling it.

    For faults that a test injects; an API without an error response loses its
    connection, as it would if its handler refused.
    """
    view = memoryview(frame)
    header = read_request_header(view)
    api = find_api(header.api_key)
    if api is None or not api.min_version <= header.api_version <= api.max_version:
        dispatch(broker, connection, frame, wall_ms, mono_ms)
        return
    is_flexible = header.api_version >= api.flexible_from
    message = codec.decode(api.request_class, header.api_version, view, header.body, is_flexible)
    version = header.api_version
    request = _begin(
        broker, connection, api, header, version, is_flexible, message, wall_ms, mono_ms
    )
    _refuse(request, error)
    broker.settle()

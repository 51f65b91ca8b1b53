"""ApiVersions (API key 18), versions 0 to 4.

v1 throttle time; v3 client software name and version, features (KIP-511,
KIP-584); v4 features with a minimum of 0 (KIP-1022).

The response header is always version 0. A version above ours is answered in
version 0 with UNSUPPORTED_VERSION and the versions of this API (KIP-511);
`dispatch` does so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ottla.handlers.features import FEATURES
from ottla.handlers.registry import ADVERTISED_FROM_ZERO, ROWS, oldest_version
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.frames import API_VERSIONS_KEY
from ottla.wire.messages.api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

_SOFTWARE: Final = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


def handle(
    broker: Broker, request: RequestContext, message: ApiVersionsRequest
) -> ApiVersionsResponse:
    """The APIs and versions served, and the features finalised."""
    if request.version >= 3:
        name, version = message.client_software_name, message.client_software_version
        if _SOFTWARE.fullmatch(name) is None or _SOFTWARE.fullmatch(version) is None:
            raise RequestError(ErrorCode.INVALID_REQUEST)
        request.connection.client_software_name = name
        request.connection.client_software_version = version
    return ApiVersionsResponse(
        api_keys=served(broker),
        # Clients before v4 cannot express a minimum of 0, so they are not told of it.
        supported_features=[
            SupportedFeatureKey(f.name, f.min_level, f.max_level)
            for f in FEATURES
            if f.min_level or request.version >= 4
        ],
        finalized_features_epoch=broker.metadata.epoch,
        finalized_features=[
            FinalizedFeatureKey(f.name, level, level)
            for f in FEATURES
            if (level := broker.metadata.features.get(f.name, f.max_level))
        ],
    )


def served(broker: Broker) -> list[ApiVersion]:
    """Every API served with the versions advertised."""
    return [
        ApiVersion(
            key,
            0 if key in ADVERTISED_FROM_ZERO else oldest_version(row, broker.is_strict),
            row.max_version,
        )
        for key, row in sorted(ROWS.items())
    ]


def unsupported_version(broker: Broker) -> ApiVersionsResponse:
    """What a client from the future is told, in version 0: what it may ask with (KIP-511)."""
    row = next(row for row in served(broker) if row.api_key == API_VERSIONS_KEY)
    return ApiVersionsResponse(ErrorCode.UNSUPPORTED_VERSION, [row])


def refused(code: ErrorCode) -> ApiVersionsResponse:
    return ApiVersionsResponse(code)

"""UpdateFeatures (API key 57), versions 0 to 2 (KIP-584).

v1 upgrade types and dry runs (KIP-778); v2 no results per feature: all or
nothing.

A feature can be lowered to any level this version still knows, or raised
again. Levels are those that ApiVersions finalises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import require_cluster
from ottla.handlers.features import FEATURES
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdatableFeatureResult,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

UPGRADE: Final = 1
SAFE_DOWNGRADE: Final = 2
UNSAFE_DOWNGRADE: Final = 3


def handle(
    broker: Broker, request: RequestContext, message: UpdateFeaturesRequest
) -> UpdateFeaturesResponse:
    """All the features have the levels asked for, durably, or none has changed."""
    require_cluster(request, Operation.ALTER)
    levels: dict[str, int] = {}
    for update in message.feature_updates:
        if request.version == 0:
            update.upgrade_type = SAFE_DOWNGRADE if update.allow_downgrade else UPGRADE
        if update.feature in levels:
            raise RequestError(ErrorCode.INVALID_REQUEST, "Duplicate feature in request.")
        _check(broker, update)
        levels[update.feature] = update.max_version_level
    if not message.validate_only:
        records = [
            record
            for name, level in levels.items()
            for record in broker.metadata.decide_feature(name, level)
        ]
        if records:
            broker.commit_metadata(records)
    return UpdateFeaturesResponse(
        error_message=None,
        results=[UpdatableFeatureResult(name, error_message="NONE") for name in levels],
    )


def _check(broker: Broker, update: FeatureUpdateKey) -> None:
    reason = _why_refused(broker, update)
    if reason is not None:
        raise RequestError(
            ErrorCode.INVALID_UPDATE_VERSION,
            "The update failed for all features since the following feature had an error: "
            f"Invalid update version {update.max_version_level} for feature {update.feature}. "
            f"{reason}",
        )


def _why_refused(broker: Broker, update: FeatureUpdateKey) -> str | None:
    level = update.max_version_level
    feature = next((f for f in FEATURES if f.name == update.feature), None)
    if feature is None:
        return f"Local controller {broker.node_id} does not support this feature."
    if not feature.min_level <= level <= feature.max_level:
        return (
            f"Local controller {broker.node_id} only supports versions "
            f"{feature.min_level}-{feature.max_level}"
        )
    current = broker.metadata.features.get(feature.name, feature.max_level)
    if level < current and update.upgrade_type == UPGRADE:
        return (
            "Can't downgrade the version of this feature without setting the upgrade type "
            "to either safe or unsafe downgrade."
        )
    if level > current and update.upgrade_type != UPGRADE:
        return "Can't downgrade to a newer version."
    return None

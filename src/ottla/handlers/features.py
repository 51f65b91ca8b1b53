"""The features a client may build on, each finalised by the commit that completed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Feature(NamedTuple):
    """A feature flag (KIP-584) with the levels this broker knows; the highest is finalised."""

    name: str
    min_level: int
    max_level: int


FEATURES: Final[tuple[Feature, ...]] = (
    # 4.3-IV0, as Apache Kafka 4.3 numbers it.
    Feature("metadata.version", 7, 30),
    Feature("transaction.version", 0, 2),
    Feature("group.version", 0, 1),
    Feature("share.version", 0, 1),
)

#: API key -> the feature without which the API is refused; the key stays advertised.
NEEDED: Final = {
    68: "group.version",
    69: "group.version",
    76: "share.version",
    77: "share.version",
    78: "share.version",
    79: "share.version",
    90: "share.version",
    91: "share.version",
    92: "share.version",
}


def is_switched_off(api_key: int, levels: Mapping[str, int]) -> bool:
    """Whether the API needs a feature that was lowered to 0; `levels` are those that differ."""
    feature = NEEDED.get(api_key)
    return feature is not None and levels.get(feature) == 0

"""The features a client may build on, each finalised by the commit that completed it."""

from __future__ import annotations

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

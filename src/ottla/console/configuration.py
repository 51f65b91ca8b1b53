"""A topic's configuration: each key with what it is now, its default, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ottla.console.cluster import ClusterView
from ottla.console.raw import check, raw_cluster
from ottla.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsSynonym,
)

TOPIC: Final = 2
HIDDEN: Final = "(hidden)"
SOURCES: Final = {
    1: "this topic",
    2: "this broker",
    3: "all brokers",
    4: "the broker's file",
    5: "default",
    6: "the broker's logger",
    7: "client metrics",
    8: "group",
}
OWN: Final = SOURCES[1]
TYPES: Final = {
    1: "true or false", 2: "text", 3: "whole number", 4: "whole number", 5: "whole number",
    6: "number", 7: "list", 8: "class", 9: "password",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """One key; `default` is what it would be without the topic's own value."""

    key: str
    value: str
    source: str
    default: str
    type: str
    documentation: str


def settings(cluster: ClusterView, topic: str) -> list[Setting]:
    """All keys, the topic's own first. Errors: `ClusterError`."""
    request = DescribeConfigsRequest(
        [DescribeConfigsResource(TOPIC, topic, None)],
        include_synonyms=True,
        include_documentation=True,
    )
    with raw_cluster(cluster) as client:
        result = client.request(request).results[0]
        check(result.error_code, result.error_message)
    found = [_setting(entry) for entry in result.configs]
    return sorted(found, key=lambda s: (s.source != OWN, s.source == SOURCES[5], s.key))


def _setting(entry: DescribeConfigsResourceResult) -> Setting:
    below = [s for s in entry.synonyms if s.source != 1]
    value = HIDDEN if entry.is_sensitive else str(entry.value or "")
    source = SOURCES.get(entry.config_source, "not known")
    return Setting(
        key=entry.name,
        value=value,
        source=source,
        # Where no broker's key stands behind it, the default is told only while it is in force.
        default=_default(entry.name, below[0]) if below else value if source != OWN else "",
        type=TYPES.get(entry.config_type, ""),
        documentation=entry.documentation or "",
    )


def _default(key: str, synonym: DescribeConfigsSynonym) -> str:
    """What a broker's key says, with its name where it may count in another unit."""
    value = str(synonym.value or "")
    is_same = synonym.name.rpartition(".")[2] == key.rpartition(".")[2]
    return value if is_same or not value else f"{value} ({synonym.name})"

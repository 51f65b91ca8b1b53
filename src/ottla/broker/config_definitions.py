"""Every configuration key by name: the one place that looks keys up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ottla.broker.config_broker_keys import BROKER_KEYS
from ottla.broker.config_topic_keys import CLIENT_METRICS_KEYS, GROUP_KEYS, TOPIC_KEYS
from ottla.broker.config_types import ConfigKey
from ottla.broker.config_unused_keys import FORMER_KEYS

BROKER: Final[Mapping[str, ConfigKey]] = {key.name: key for key in BROKER_KEYS}
TOPIC: Final[Mapping[str, ConfigKey]] = {key.name: key for key in TOPIC_KEYS}
GROUP: Final[Mapping[str, ConfigKey]] = {key.name: key for key in GROUP_KEYS}
CLIENT_METRICS: Final[Mapping[str, ConfigKey]] = {key.name: key for key in CLIENT_METRICS_KEYS}

#: Factors that one node can only keep at 1.
REPLICATION_FACTORS: Final = (
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "share.coordinator.state.topic.replication.factor",
    "transaction.state.log.replication.factor",
)

#: Families of broker keys of which the first that is set counts (strongest first).
_FAMILIES: Final = (
    ("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
    ("log.roll.ms", "log.roll.hours"),
    ("log.roll.jitter.ms", "log.roll.jitter.hours"),
    ("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
    ("log.dirs", "log.dir"),
    ("node.id", "broker.id"),
)
FAMILY: Final[Mapping[str, tuple[str, ...]]] = {
    name: family for family in _FAMILIES for name in family
}

#: What a synonym's number is multiplied by to become its topic key's milliseconds.
UNIT_MS: Final[Mapping[str, int]] = {
    "log.retention.minutes": 60_000,
    "log.retention.hours": 3_600_000,
    "log.roll.hours": 3_600_000,
    "log.roll.jitter.hours": 3_600_000,
}


def is_former(name: str) -> bool:
    """Whether `name` belongs to a Kafka before 4.0 (the ZooKeeper era)."""
    return name in FORMER_KEYS or name.startswith("zookeeper.")


def broker_key(name: str) -> ConfigKey | None:
    """The definition of a broker key, also of its `listener.name.<listener>.` form (KIP-103)."""
    found = BROKER.get(name)
    if found is None and name.startswith("listener.name."):
        tail = name.removeprefix("listener.name.").partition(".")[2]
        while tail:
            found = BROKER.get(tail)
            if found is not None:
                return found
            tail = tail.partition(".")[2]
    return found

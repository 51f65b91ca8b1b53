"""From configuration keys to the settings of a topic's logs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ottla.storage.log_config import LogConfig

if TYPE_CHECKING:
    from ottla.broker.config import BrokerConfig

#: Settings that Kafka keeps per broker, not per topic.
_BROKER_WIDE: Final = {"producer_id_expiration_ms": "producer.id.expiration.ms"}


def log_config(config: BrokerConfig, overrides: Mapping[str, str]) -> LogConfig:
    """The effective settings of the logs of a topic with these overrides."""
    settings: dict[str, Any] = {}
    for field in dataclasses.fields(LogConfig):
        key = _BROKER_WIDE.get(field.name)
        if key is not None:
            settings[field.name] = config.value(key)
            continue
        value = config.topic_value(field.name.replace("_", "."), overrides)
        settings[field.name] = frozenset(value) if isinstance(value, list) else value
    return LogConfig(**settings)

"""Dynamic configuration of topics, brokers, groups and client metrics.

One place knows, for every kind of resource, what is overridden now, what may
be, and what has to happen when it changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ottla.broker.config import OPERATION_DELETE, ConfigEntry, Synonym, alter, check_group
from ottla.broker.config_definitions import BROKER, CLIENT_METRICS, GROUP, TOPIC
from ottla.broker.config_types import ConfigError, ConfigKey, ConfigSource
from ottla.broker.topics import (
    GROUP_METADATA_TOPIC,
    RESOURCE_BROKER,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP,
    RESOURCE_TOPIC,
    check_topic_name,
)
from ottla.wire.errors import ErrorCode, RequestError

if TYPE_CHECKING:
    from ottla.broker.broker import Broker


def check_broker_name(broker: Broker, name: str) -> None:
    """Refuse the name of a broker that is not this one."""
    try:
        broker_id = int(name)
    except ValueError:
        raise RequestError(
            ErrorCode.INVALID_REQUEST, f"Broker id must be an integer, but it is: {name}"
        ) from None
    if broker_id != broker.node_id:
        raise RequestError(
            ErrorCode.INVALID_REQUEST,
            f"Unexpected broker id, expected {broker.node_id}, but received {name}",
        )


class Resource:
    """One configurable thing; raises `RequestError` when there is no such thing."""

    def __init__(self, broker: Broker, kind: int, name: str) -> None:
        self._broker = broker
        self._kind = kind
        self._name = name
        self._keys: Mapping[str, ConfigKey]
        if kind == RESOURCE_TOPIC:
            reason = check_topic_name(name)
            if reason is not None:
                raise RequestError(ErrorCode.INVALID_TOPIC_EXCEPTION, reason)
            if name not in broker.metadata.topics:
                raise RequestError(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                    "This server does not host this topic-partition.",
                )
            self._keys = TOPIC
        elif kind == RESOURCE_BROKER:
            if name:
                check_broker_name(broker, name)
            self._keys = BROKER
        elif kind in (RESOURCE_GROUP, RESOURCE_CLIENT_METRICS):
            if not name:
                raise RequestError(
                    ErrorCode.INVALID_REQUEST, "Default resources are not allowed here."
                )
            self._keys = GROUP if kind == RESOURCE_GROUP else CLIENT_METRICS
        else:
            raise RequestError(ErrorCode.INVALID_REQUEST, f"Unexpected resource type {kind}.")

    @property
    def overrides(self) -> dict[str, str]:
        """What is set on this resource itself."""
        metadata = self._broker.metadata
        if self._kind == RESOURCE_TOPIC:
            return metadata.topics[self._name].configs
        return metadata.configs.get((self._kind, self._name), {})

    def describe(self) -> list[ConfigEntry]:
        """Every key of the resource with its effective value."""
        config = self._broker.config
        if self._kind == RESOURCE_TOPIC:
            return config.describe_topic(self.overrides)
        if self._kind == RESOURCE_GROUP:
            return config.describe_group(self.overrides)
        if self._kind == RESOURCE_CLIENT_METRICS:
            return self._describe_client_metrics()
        entries = config.describe_broker()
        if self._name:
            return entries
        # The cluster-wide resource shows what is set on it, not what a broker makes of it.
        return [entry for entry in entries if entry.name in self.overrides]

    def _describe_client_metrics(self) -> list[ConfigEntry]:
        overrides = self.overrides
        entries = []
        for name, key in CLIENT_METRICS.items():
            is_set = name in overrides
            source = ConfigSource.CLIENT_METRICS_CONFIG if is_set else ConfigSource.DEFAULT_CONFIG
            value = overrides.get(name, key.default)
            entries.append(
                ConfigEntry(
                    name,
                    value,
                    source,
                    False,
                    key.is_sensitive,
                    key.type,
                    key.documentation,
                    (Synonym(name, value, source),),
                )
            )
        return entries

    def alter(self, operations: Sequence[tuple[str, int, str | None]]) -> dict[str, str]:
        """The overrides that operations (name, operation, value) lead to; changes nothing."""
        names = [name for name, _, _ in operations]
        if len(set(names)) < len(names):
            raise RequestError(
                ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys in the request."
            )
        nulls = [name for name, how, text in operations if text is None and how != OPERATION_DELETE]
        if nulls:
            raise RequestError(
                ErrorCode.INVALID_REQUEST, f"Null value not supported for: {','.join(nulls)}"
            )
        defaults: dict[str, str] = {}
        if self._kind == RESOURCE_TOPIC:
            defaults = {
                name: self._broker.config.topic_text(name, {}) for name in names if name in TOPIC
            }
        elif self._kind == RESOURCE_BROKER:
            defaults = {name: self._broker.config.raw(name) or "" for name in names}
        try:
            return alter(self._keys, self.overrides, defaults, operations)
        except ConfigError as error:
            raise RequestError(ErrorCode.INVALID_CONFIG, str(error)) from None

    def replace(self, overrides: Mapping[str, str], validate_only: bool) -> None:
        """The resource has exactly these overrides, durably and in effect."""
        broker, current = self._broker, self.overrides
        try:
            self._check(overrides)
        except ConfigError as error:
            is_broker = self._kind == RESOURCE_BROKER
            code = ErrorCode.INVALID_REQUEST if is_broker else ErrorCode.INVALID_CONFIG
            raise RequestError(code, str(error)) from None
        changes: dict[str, str | None] = {
            name: value for name, value in overrides.items() if current.get(name) != value
        }
        changes.update((name, None) for name in current if name not in overrides)
        if validate_only or not changes:
            return
        broker.commit_metadata(broker.metadata.decide_configs(self._kind, self._name, changes))
        if self._kind == RESOURCE_TOPIC:
            broker.topics.configs_changed(broker.metadata.topics[self._name])
        elif self._kind == RESOURCE_BROKER:
            broker.broker_configs_changed()

    def _check(self, overrides: Mapping[str, str]) -> None:
        if self._kind == RESOURCE_TOPIC:
            self._broker.config.check_topic(overrides)
            if self._name == GROUP_METADATA_TOPIC and "compact" not in overrides.get(
                "cleanup.policy", ""
            ):
                raise ConfigError(f"{self._name} must be compacted")
        elif self._kind == RESOURCE_BROKER:
            self._broker.config.check_dynamic(overrides)
        elif self._kind == RESOURCE_GROUP:
            check_group(overrides)
        else:
            for name, text in overrides.items():
                key = CLIENT_METRICS.get(name)
                if key is None:
                    raise ConfigError(f"Unknown client metrics configuration {name}")
                key.parse(text)

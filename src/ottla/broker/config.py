"""The broker's configuration: layers from weak to strong, typed, described, altered.

A `BrokerConfig` is always valid: what it is made from and what is added to it
later is checked first. Topic and group overrides belong to the metadata; they
are passed in as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ottla.broker.config_definitions import (
    BROKER,
    FAMILY,
    GROUP,
    REPLICATION_FACTORS,
    TOPIC,
    UNIT_MS,
    broker_key,
    is_former,
)
from ottla.broker.config_types import (
    ConfigError,
    ConfigKey,
    ConfigSource,
    ConfigType,
    Update,
    Value,
)

OPERATION_SET: Final = 0
OPERATION_DELETE: Final = 1
OPERATION_APPEND: Final = 2
OPERATION_SUBTRACT: Final = 3


class Synonym(NamedTuple):
    """One place an effective value could come from (KIP-226)."""

    name: str
    value: str | None
    source: ConfigSource


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """One row of DescribeConfigs. The value of a sensitive key is None."""

    name: str
    value: str | None
    source: ConfigSource
    is_read_only: bool
    is_sensitive: bool
    type: ConfigType
    documentation: str
    synonyms: tuple[Synonym, ...]

    @property
    def is_default(self) -> bool:
        return self.source is ConfigSource.DEFAULT_CONFIG


def refuse_factor(factor: int) -> str:
    """The sentence for a replication factor that one node cannot keep."""
    return (
        f"Replication factor {factor} is larger than 1: the embedded broker is one node and "
        "keeps one copy of each record. For more copies use Apache Kafka as the engine: "
        "`ottla cluster up` starts three nodes on this machine."
    )


#: The listener that `--containers` adds; it speaks PLAINTEXT.
CONTAINERS_LISTENER: Final = "CONTAINERS"


class BrokerConfig:
    """Settings of one broker, from four layers: defaults, static, cluster-wide, per broker.

    `unknown` are the names given that Kafka has no key for; `without_use` those
    that are Kafka's, and mean nothing to a single node.
    """

    def __init__(self, static: Mapping[str, str] | None = None) -> None:
        """Raises ConfigError for a wrong value."""
        self.static: dict[str, str] = {}
        self.cluster_wide: dict[str, str] = {}
        self.per_broker: dict[str, str] = {}
        self.unknown: list[str] = []
        self.without_use: list[str] = []
        self._parsed: dict[str, Value] = {}
        for name, text in sorted((static or {}).items()):
            self._accept(name, text)
        _translate_former(static or {}, self.static)

    @classmethod
    def from_layers(cls, layers: Iterable[Mapping[str, str]]) -> BrokerConfig:
        """Layers from weak to strong; a later layer's value replaces an earlier one's."""
        merged: dict[str, str] = {}
        for layer in layers:
            merged.update(layer)
        return cls(merged)

    def _accept(self, name: str, text: str) -> None:
        key = broker_key(name)
        if key is not None:
            _check_broker_value(key, text)
            self.static[name] = text.strip()
            if not key.has_use:
                self.without_use.append(name)
        elif is_former(name):
            self.without_use.append(name)
        else:
            self.unknown.append(name)

    def warning(self) -> str | None:
        """One sentence or two about keys that change nothing, or None."""
        parts = []
        if self.unknown:
            parts.append(f"Unknown configuration keys, ignored: {', '.join(self.unknown)}.")
        if self.without_use:
            parts.append(f"Keys Ottla has no use for, ignored: {', '.join(self.without_use)}.")
        directories = self.words("log.dirs")
        if len(directories) > 1:
            parts.append(f"Of log.dirs, only the first is used: {directories[0]}.")
        return " ".join(parts) or None

    # -- reading ----------------------------------------------------------------------

    def raw(self, name: str) -> str | None:
        """The effective text of a broker key, or None when it is not set."""
        for layer in (self.per_broker, self.cluster_wide, self.static):
            if name in layer:
                return layer[name]
        key = BROKER.get(name)
        return None if key is None else key.default

    def is_set(self, name: str) -> bool:
        """Whether anybody set the key (its default aside)."""
        return name in self.per_broker or name in self.cluster_wide or name in self.static

    def value(self, name: str) -> Value:
        """The effective typed value of a broker key."""
        try:
            return self._parsed[name]
        except KeyError:
            parsed = self._parsed[name] = BROKER[name].parse(self.raw(name))
            return parsed

    def number(self, name: str) -> int:
        value = self.value(name)
        assert isinstance(value, int)
        return value

    def flag(self, name: str) -> bool:
        value = self.value(name)
        assert isinstance(value, bool)
        return value

    def security_protocol(self, listener: str) -> str | None:
        """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; None for a listener nobody mapped."""
        if listener == CONTAINERS_LISTENER:
            return "PLAINTEXT"
        for pair in self.text("listener.security.protocol.map").split(","):
            name, _, protocol = pair.partition(":")
            if name.strip().upper() == listener:
                return protocol.strip().upper()
        return None

    def is_sasl(self, listener: str) -> bool:
        """Whether clients of the listener authenticate with SASL."""
        return (self.security_protocol(listener) or "").startswith("SASL_")

    def listener_text(self, listener: str, name: str) -> str | None:
        """A value for one listener: `listener.name.<listener>.<name>`, else `<name>`."""
        return self.raw(f"listener.name.{listener.lower()}.{name}") or self.raw(name)

    def text(self, name: str) -> str:
        value = self.value(name)
        return "" if value is None else str(value)

    def words(self, name: str) -> list[str]:
        value = self.value(name)
        return list(value) if isinstance(value, list) else []

    @property
    def node_id(self) -> int:
        older = self.number("broker.id")
        return older if older >= 0 and not self.is_set("node.id") else self.number("node.id")

    @property
    def log_directory(self) -> str:
        return (self.words("log.dirs") or [self.text("log.dir")])[0]

    @property
    def is_fsync(self) -> bool:
        """Whether an acknowledgement waits for the flush that covers it."""
        return self.text("ottla.durability") == "fsync"

    # -- topics -----------------------------------------------------------------------

    def topic_text(self, name: str, overrides: Mapping[str, str]) -> str:
        """The effective text of a topic key: override, else the broker's synonym, else default."""
        if name in overrides:
            return overrides[name]
        key = TOPIC[name]
        for synonym in key.synonyms:
            if self.is_set(synonym):
                text = self.raw(synonym)
                assert text is not None
                unit = UNIT_MS.get(synonym)
                return text if unit is None else _in_milliseconds(text, unit)
        assert key.default is not None
        return key.default

    def topic_value(self, name: str, overrides: Mapping[str, str]) -> Value:
        """The effective typed value of a topic key."""
        value = TOPIC[name].parse(self.topic_text(name, overrides))
        if name == "retention.ms" and isinstance(value, int) and value < 0:
            return -1
        return value

    def check_topic(self, overrides: Mapping[str, str]) -> None:
        """Accept the overrides of one topic, or raise ConfigError."""
        for name, text in overrides.items():
            key = TOPIC.get(name)
            if key is None:
                raise ConfigError(f"Unknown topic config name: {name}")
            key.parse(text)
        if self.topic_value("remote.storage.enable", overrides):
            raise ConfigError(
                "Invalid value true for configuration remote.storage.enable: "
                "allowed is false, as there is no tiered storage here"
            )
        low = self.topic_value("min.compaction.lag.ms", overrides)
        high = self.topic_value("max.compaction.lag.ms", overrides)
        assert isinstance(low, int)
        assert isinstance(high, int)
        if low > high:
            raise ConfigError(
                f"Invalid value {high} for configuration max.compaction.lag.ms: allowed is "
                f"at least min.compaction.lag.ms, which is {low}"
            )

    # -- changing ---------------------------------------------------------------------

    def check_dynamic(self, settings: Mapping[str, str]) -> None:
        """Accept what AlterConfigs sets on a running broker, or raise ConfigError (KIP-226)."""
        for name, text in settings.items():
            key = broker_key(name)
            if key is None:
                raise ConfigError(f"Unknown broker config name: {name}")
            if key.update is Update.READ_ONLY:
                raise ConfigError(
                    f"{name} cannot be changed while the broker runs; set it and start again"
                )
            _check_broker_value(key, text)

    def set_dynamic(self, cluster_wide: Mapping[str, str], per_broker: Mapping[str, str]) -> None:
        """Replace both dynamic layers with checked settings."""
        self.cluster_wide = dict(cluster_wide)
        self.per_broker = dict(per_broker)
        self._parsed.clear()

    # -- describing -------------------------------------------------------------------

    def describe_topic(self, overrides: Mapping[str, str]) -> list[ConfigEntry]:
        """Every topic key with its effective value, source and synonyms."""
        entries = []
        for name, key in TOPIC.items():
            # Of a family, Kafka tells only the first one's default.
            synonyms = [
                place
                for i, synonym in enumerate(key.synonyms)
                for place in self._places(synonym)
                if i == 0 or place.source is not ConfigSource.DEFAULT_CONFIG
            ]
            if name in overrides:
                synonyms.insert(
                    0, Synonym(name, overrides[name], ConfigSource.DYNAMIC_TOPIC_CONFIG)
                )
            source = synonyms[0].source if synonyms else ConfigSource.DEFAULT_CONFIG
            value = self.topic_text(name, overrides)
            entries.append(_entry(key, value, source, synonyms, is_read_only=False))
        return entries

    def describe_broker(self) -> list[ConfigEntry]:
        """Every broker key with its effective value, source and synonyms."""
        entries = []
        for name, key in BROKER.items():
            own = self._places(name)
            synonyms = [s for member in FAMILY.get(name, (name,)) for s in self._places(member)]
            source = own[0].source if own else ConfigSource.DEFAULT_CONFIG
            read_only = key.update is Update.READ_ONLY
            entries.append(_entry(key, self.raw(name), source, synonyms, is_read_only=read_only))
        return entries

    def group_text(self, name: str, overrides: Mapping[str, str]) -> str:
        """The effective text of a group key: override, else the broker's `group.` key."""
        text = overrides.get(name) or self.raw(f"group.{name}") or GROUP[name].default
        return text or ""

    def describe_group(self, overrides: Mapping[str, str]) -> list[ConfigEntry]:
        """Every group key with its effective value, source and synonyms."""
        entries = []
        for name, key in GROUP.items():
            synonyms = self._places(f"group.{name}")
            if name in overrides:
                synonyms.insert(0, Synonym(name, overrides[name], ConfigSource.GROUP_CONFIG))
            source = synonyms[0].source if synonyms else ConfigSource.DEFAULT_CONFIG
            value = overrides.get(name, self.raw(f"group.{name}") or key.default)
            entries.append(_entry(key, value, source, synonyms, is_read_only=False))
        return entries

    def _places(self, name: str) -> list[Synonym]:
        """Where a broker key is set, strongest first, its default last."""
        found = [
            Synonym(name, layer[name], source)
            for layer, source in (
                (self.per_broker, ConfigSource.DYNAMIC_BROKER_CONFIG),
                (self.cluster_wide, ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG),
                (self.static, ConfigSource.STATIC_BROKER_CONFIG),
            )
            if name in layer
        ]
        key = BROKER.get(name)
        if key is not None and key.default is not None:
            found.append(Synonym(name, key.default, ConfigSource.DEFAULT_CONFIG))
        return found


def alter(
    definitions: Mapping[str, ConfigKey],
    current: Mapping[str, str],
    defaults: Mapping[str, str],
    operations: Sequence[tuple[str, int, str | None]],
) -> dict[str, str]:
    """What `current` overrides become under (name, operation, value) rows (KIP-339).

    `defaults` are effective values that APPEND and SUBTRACT start from where
    nothing is overridden. Raises ConfigError; values are not yet checked.
    """
    result = dict(current)
    for name, operation, value in operations:
        if operation == OPERATION_DELETE:
            result.pop(name, None)
            continue
        if value is None:
            raise ConfigError(f"Null value not supported for {name}")
        if operation == OPERATION_SET:
            result[name] = value
            continue
        key = definitions.get(name)
        if key is None or key.type is not ConfigType.LIST:
            raise ConfigError(f"Can't append or subtract: {name} is not a list")
        words = [w for w in result.get(name, defaults.get(name, "")).split(",") if w]
        given = [w.strip() for w in value.split(",") if w.strip()]
        if operation == OPERATION_APPEND:
            words += [w for w in given if w not in words]
        elif operation == OPERATION_SUBTRACT:
            words = [w for w in words if w not in given]
        else:
            raise ConfigError(f"Unknown operation {operation} for {name}")
        result[name] = ",".join(words)
    return result


def check_group(overrides: Mapping[str, str]) -> None:
    """Accept the overrides of one group, or raise ConfigError."""
    for name, text in overrides.items():
        key = GROUP.get(name)
        if key is None:
            raise ConfigError(f"Unknown group config name: {name}")
        key.parse(text)


def _check_broker_value(key: ConfigKey, text: str) -> None:
    value = key.parse(text)
    if key.name in REPLICATION_FACTORS:
        assert isinstance(value, int)
        if value > 1:
            raise ConfigError(
                f"Invalid value {value} for configuration {key.name}: allowed is 1. "
                f"{refuse_factor(value)}"
            )


def _translate_former(given: Mapping[str, str], static: dict[str, str]) -> None:
    """Turn host.name, port and their advertised twins into listeners (Kafka before 0.10)."""
    for target, prefix in (("listeners", ""), ("advertised.listeners", "advertised.")):
        host = given.get(f"{prefix}host.name", "").strip()
        port = given.get(f"{prefix}port", "").strip()
        if (host or port) and target not in static:
            static[target] = f"PLAINTEXT://{host}:{port or '9092'}"


def _in_milliseconds(text: str, unit: int) -> str:
    number = int(text)
    return str(number * unit) if number >= 0 else "-1"


def _entry(
    key: ConfigKey,
    value: str | None,
    source: ConfigSource,
    synonyms: Sequence[Synonym],
    *,
    is_read_only: bool,
) -> ConfigEntry:
    hidden = key.is_sensitive
    return ConfigEntry(
        key.name,
        None if hidden else value,
        source,
        is_read_only,
        hidden,
        key.type,
        key.documentation,
        tuple(s._replace(value=None) for s in synonyms) if hidden else tuple(synonyms),
    )

"""What one configuration key is: its type, its default and the values it takes.

Values are text outside (files, environment, the wire) and typed inside;
`ConfigKey.parse` is the only way from one to the other.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, TypeAlias

Value: TypeAlias = bool | int | float | str | list[str] | None

INT32_MAX: Final = 2**31 - 1
INT64_MAX: Final = 2**63 - 1


class ConfigType(enum.IntEnum):
    """Types as DescribeConfigs numbers them (KIP-569)."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class ConfigSource(enum.IntEnum):
    """Where an effective value comes from, as DescribeConfigs numbers it (KIP-226)."""

    UNKNOWN = 0
    DYNAMIC_TOPIC_CONFIG = 1
    DYNAMIC_BROKER_CONFIG = 2
    DYNAMIC_DEFAULT_BROKER_CONFIG = 3
    STATIC_BROKER_CONFIG = 4
    DEFAULT_CONFIG = 5
    DYNAMIC_BROKER_LOGGER_CONFIG = 6
    CLIENT_METRICS_CONFIG = 7
    GROUP_CONFIG = 8


class Update(enum.Enum):
    """Whether a running broker takes a new value of a key (KIP-226)."""

    READ_ONLY = "read-only"
    PER_BROKER = "per-broker"
    CLUSTER_WIDE = "cluster-wide"


class ConfigError(Exception):
    """A key or value that is refused; the message names key, value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both allowed; None leaves an end open."""

    low: float | None = None
    high: float | None = None

    def allows(self, value: Value) -> bool:
        assert isinstance(value, int | float)
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def describe(self) -> str:
        low = "..." if self.low is None else f"{self.low}"
        return f"[{low},...]" if self.high is None else f"[{low},...,{self.high}]"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of the named words; for lists, every element is."""

    words: tuple[str, ...]

    def allows(self, value: Value) -> bool:
        if isinstance(value, list):
            return all(word in self.words for word in value)
        return value in self.words

    def describe(self) -> str:
        return f"[{', '.join(self.words)}]"


@dataclass(frozen=True, slots=True)
class Level:
    """A compression level: a range, or one value that stands for "the codec's default"."""

    low: int
    high: int
    default: int

    def allows(self, value: Value) -> bool:
        assert isinstance(value, int)
        return self.low <= value <= self.high or value == self.default

    def describe(self) -> str:
        return f"[{self.low},...,{self.high}] or {self.default}"


Valid: TypeAlias = Range | OneOf | Level

_WHOLE_NUMBERS: Final = {
    ConfigType.SHORT: (-(2**15), 2**15 - 1),
    ConfigType.INT: (-(2**31), INT32_MAX),
    ConfigType.LONG: (-(2**63), INT64_MAX),
}


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """One key of the broker, of topics or of groups.

    `default` is text, or None for "not set". `synonyms` are the broker keys a
    topic key falls back to, strongest first. `has_use` is False for keys that
    are accepted because existing files hold them, and change nothing here.
    """

    name: str
    type: ConfigType
    default: str | None
    importance: str
    documentation: str
    valid: Valid | None = None
    update: Update = Update.READ_ONLY
    synonyms: tuple[str, ...] = ()
    has_use: bool = True

    @property
    def is_sensitive(self) -> bool:
        return self.type is ConfigType.PASSWORD

    def parse(self, text: str | None) -> Value:
        """The typed value of `text`; raises ConfigError naming key, value and what is allowed."""
        if text is None:
            return None
        value = self._convert(text.strip())
        if self.valid is not None and not self.valid.allows(value):
            raise self._refuse(text, self.valid.describe())
        return value

    def _convert(self, text: str) -> Value:
        kind = self.type
        if kind is ConfigType.BOOLEAN:
            lowered = text.lower()
            if lowered not in ("true", "false"):
                raise self._refuse(text, "true or false")
            return lowered == "true"
        if kind is ConfigType.LIST:
            return [part.strip() for part in text.split(",") if part.strip()]
        if kind is ConfigType.DOUBLE:
            try:
                return float(text)
            except ValueError:
                raise self._refuse(text, "a number") from None
        limits = _WHOLE_NUMBERS.get(kind)
        if limits is None:
            return text
        try:
            number = int(text)
        except ValueError:
            raise self._refuse(text, "a whole number") from None
        if not limits[0] <= number <= limits[1]:
            raise self._refuse(text, f"a whole number from {limits[0]} to {limits[1]}")
        return number

    def _refuse(self, text: str, allowed: str) -> ConfigError:
        shown = "(hidden)" if self.is_sensitive else text
        return ConfigError(
            f"Invalid value {shown} for configuration {self.name}: allowed is {allowed}"
        )

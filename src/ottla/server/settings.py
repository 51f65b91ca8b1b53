"""Gathers the configuration of a broker from where people write it, weak to strong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from ottla.broker.config import BrokerConfig
from ottla.broker.config_sources import from_environment, parse_properties, parse_settings
from ottla.broker.config_types import ConfigError
from ottla.server.errors import StartError

#: For those who only carry a configuration from here to a Server.
Configuration: TypeAlias = BrokerConfig


def load_config(
    *,
    defaults: Mapping[str, str] | None = None,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    settings: Iterable[str] = (),
    strongest: Mapping[str, str] | None = None,
) -> BrokerConfig:
    """Defaults, properties file, KAFKA_ variables, `key=value` words, then flags.

    Raises StartError with one sentence for a file that cannot be read and for
    a wrong value.
    """
    layers: list[Mapping[str, str]] = [defaults or {}]
    if file is not None:
        layers.append(parse_properties(_read(file)))
    try:
        layers.append(from_environment(environment or {}))
        layers.append(parse_settings(settings))
        layers.append(strongest or {})
        return BrokerConfig.from_layers(layers)
    except ConfigError as error:
        raise StartError(str(error)) from None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise StartError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StartError(f"{file} cannot be read: it is not UTF-8 text") from None


def split_settings(words: Iterable[str]) -> dict[str, str]:
    """`key=value` words as a mapping; StartError for a word without `=`."""
    try:
        return parse_settings(words)
    except ConfigError as error:
        raise StartError(str(error)) from None

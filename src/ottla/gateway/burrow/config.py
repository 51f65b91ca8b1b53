"""Burrow's configuration file, `burrow.toml`, read for what still means something.

Sections that configured ZooKeeper are accepted and ignored. `[logging]` is
honoured: lines go to the named file, rotated by size, at the given level.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import tomllib
from typing import Any

from ottla.lag.store import StoreSettings

LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}


class BurrowConfigError(Exception):
    """The file cannot be used; the text is one sentence for a person."""


class BurrowConfig:
    """The parsed file; without one, a single cluster with Burrow's defaults."""

    def __init__(self, tables: dict[str, Any], cluster_name: str, servers: list[str]) -> None:
        self.tables = tables
        clusters = tables.setdefault("cluster", {})
        if not clusters:
            clusters[cluster_name] = {"class-name": "kafka", "servers": servers}
        self.clusters: dict[str, dict[str, Any]] = clusters
        self.storage = self._first("storage", {"class-name": "inmemory"})
        self.evaluator = self._first("evaluator", {"class-name": "caching"})

    @classmethod
    def load(cls, path: str | None, cluster_name: str, servers: list[str]) -> BurrowConfig:
        """Errors: `BurrowConfigError` when the file is missing or not TOML."""
        if path is None:
            return cls({}, cluster_name, servers)
        try:
            with open(path, "rb") as file:
                tables = tomllib.load(file)
        except OSError as error:
            raise BurrowConfigError(f"{path} cannot be read: {error.strerror}.") from None
        except tomllib.TOMLDecodeError as error:
            raise BurrowConfigError(f"{path} is not valid TOML: {error}.") from None
        return cls(tables, cluster_name, servers)

    def _first(self, kind: str, default: dict[str, Any]) -> dict[str, Any]:
        modules = self.tables.setdefault(kind, {"default": default})
        first: dict[str, Any] = next(iter(modules.values()), default)
        return first

    def modules(self, kind: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.tables.get(kind, {})
        return found

    def servers_of(self, cluster: str) -> list[str]:
        return [str(s) for s in self.clusters[cluster].get("servers", [])]

    def offset_refresh_s(self, cluster: str) -> float:
        return float(self.clusters[cluster].get("offset-refresh", 10))

    def store_settings(self, cluster: str) -> StoreSettings:
        """Storage and evaluator settings for one cluster's store.

        Beyond Burrow: a table `[evaluator.NAME.allowed-lag-by-group]` sets the
        lag up to which a group counts as keeping up.
        """
        consumer = next(
            (c for c in self.modules("consumer").values() if c.get("cluster") == cluster), {}
        )
        storage = self.storage
        by_group = self.evaluator.get("allowed-lag-by-group", {})
        return StoreSettings(
            intervals=int(storage.get("intervals", 10)),
            min_distance_ms=int(storage.get("min-distance", 0)) * 1000,
            expire_group_ms=int(storage.get("expire-group", 604_800)) * 1000,
            allowed_lag=int(self.evaluator.get("allowed-lag", 0)),
            minimum_complete=float(self.evaluator.get("minimum-complete", 0)),
            group_allowlist=str(
                consumer.get("group-allowlist", storage.get("group-allowlist", ""))
            ),
            group_denylist=str(consumer.get("group-denylist", storage.get("group-denylist", ""))),
            allowed_lag_by_group={str(g): int(v) for g, v in by_group.items()},
        )

    @property
    def expire_cache_s(self) -> float:
        return float(self.evaluator.get("expire-cache", 10))

    def configure_logging(self) -> None:
        """Send the monitor's log where `[logging]` says."""
        section = self.tables.get("logging", {})
        logger = logging.getLogger("ottla.burrow")
        logger.setLevel(LEVELS.get(str(section.get("level", "info")).lower(), logging.INFO))
        filename = section.get("filename")
        if not filename:
            return
        os.makedirs(os.path.dirname(filename) or ".", exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            filename,
            maxBytes=int(section.get("maxsize", 100)) * 1024 * 1024,
            backupCount=int(section.get("maxbackups", 10)),
        )
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)

"""Burrow's configuration file, `burrow.toml`, read for what still means something.

Sections that configured ZooKeeper are accepted and ignored. `[logging]` is
honoured: lines go to the named file, rotated by size, at the given level.
"""

from __future__ import annotations

import logging
import tomllib
from dataclasses import dataclass
from typing import Any

from ottla.gateway.burrow.log_file import log_file
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


MAX_PORT = 65_535


class BurrowConfigError(Exception):
    """The file cannot be used; the text is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """One `[httpserver.NAME]`; without a host it listens where all doors do."""

    host: str
    port: int
    certificate: str | None = None
    key: str | None = None


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

    def client_settings(self, cluster: str) -> dict[str, str]:
        """What a cluster's `client-profile` says of TLS and SASL, in librdkafka's words."""
        profile = self._named("client-profile", self.clusters[cluster].get("client-profile"))
        found: dict[str, str] = {}
        if profile.get("client-id"):
            found["client.id"] = str(profile["client-id"])
        tls, sasl = profile.get("tls"), profile.get("sasl")
        if tls:
            found.update(_tls(self._named("tls", tls)))
        if sasl:
            found.update(_sasl(self._named("sasl", sasl)))
        if tls or sasl:
            found["security.protocol"] = ("SASL_" if sasl else "") + ("SSL" if tls else "PLAINTEXT")
        return found

    def http_addresses(self) -> list[HttpAddress]:
        """Where the file wants the API to listen. Errors: `BurrowConfigError`."""
        found = []
        for name, server in self.modules("httpserver").items():
            address = str(server.get("address", ""))
            host, colon, port = address.rpartition(":")
            if not colon or not port.isdecimal() or int(port) > MAX_PORT:
                raise BurrowConfigError(
                    f'the address "{address}" of httpserver {name} is not host:port.'
                )
            tls = self._named("tls", server.get("tls"))
            certificate, key = tls.get("certfile"), tls.get("keyfile")
            if server.get("tls") and not (certificate and key):
                raise BurrowConfigError(
                    f"httpserver {name} needs certfile and keyfile in [tls.{server['tls']}]."
                )
            found.append(HttpAddress(host.strip("[]"), int(port), certificate, key))
        return found

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """Whose pages may use the API, by `access-control-allow-origin`."""
        origin = self.tables.get("general", {}).get("access-control-allow-origin")
        return (str(origin),) if origin else ()

    def _named(self, kind: str, name: object) -> dict[str, Any]:
        table: dict[str, Any] = self.modules(kind).get(str(name), {})
        return table

    def configure_logging(self) -> None:
        """Send the monitor's log where `[logging]` says. Errors: `BurrowConfigError`."""
        section = self.tables.get("logging", {})
        logger = logging.getLogger("ottla.burrow")
        logger.setLevel(LEVELS.get(str(section.get("level", "info")).lower(), logging.INFO))
        if section.get("filename"):
            try:
                logger.addHandler(log_file(section))
            except OSError as error:
                raise BurrowConfigError(
                    f"the log {section['filename']} cannot be written: {error.strerror}."
                ) from None


def _tls(table: dict[str, Any]) -> dict[str, str]:
    named = {
        "ssl.ca.location": table.get("cafile"),
        "ssl.certificate.location": table.get("certfile"),
        "ssl.key.location": table.get("keyfile"),
    }
    found = {key: str(value) for key, value in named.items() if value}
    if table.get("noverify"):
        found["enable.ssl.certificate.verification"] = "false"
    return found


def _sasl(table: dict[str, Any]) -> dict[str, str]:
    return {
        "sasl.mechanism": str(table.get("mechanism", "PLAIN")),
        "sasl.username": str(table.get("username", "")),
        "sasl.password": str(table.get("password", "")),
    }

"""Calls that librdkafka lacks, made with the raw client."""

from __future__ import annotations

from ottla.gateway.settings import GatewaySettings


def log_directory_sizes(settings: GatewaySettings) -> dict[str, int]:
    """Bytes per log directory of all brokers, by "broker id:path"."""
    raise NotImplementedError(settings)

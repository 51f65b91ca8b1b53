"""What a gateway needs to know: which Kafka, which doors, which limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Further names for metrics, see `metrics/other_names`.
METRIC_NAMES = ("kminion", "persec")
BURROW_PORT = 8000


@dataclass(slots=True)
class GatewaySettings:
    """Settings of one gateway process; times in milliseconds, sizes in bytes.

    A door whose port is None is closed; port 0 asks for any free port. The
    consumer limits carry the names and defaults of the REST Proxy's keys.
    """

    bootstrap_servers: str
    client_config: dict[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    rest_port: int | None = 8082
    burrow_port: int | None = BURROW_PORT
    #: The port above is only a default: an `[httpserver]` of burrow.toml goes before it.
    burrow_port_is_default: bool = False
    metrics_port: int | None = 9308
    admin_ports: tuple[int, ...] = (8080, 8081)
    broker_metrics_url: str | None = None
    metrics_also: tuple[str, ...] = ()
    burrow_config_file: str | None = None
    cluster_name: str = "local"
    request_timeout_ms: int = 60_000
    max_request_bytes: int = 64 * 1024 * 1024
    consumer_request_timeout_ms: int = 1000
    consumer_request_max_bytes: int = 64 * 1024 * 1024
    consumer_instance_timeout_ms: int = 300_000
    consumer_join_timeout_ms: int = 10_000
    max_consumer_instances: int = 1000
    fetch_min_bytes: int = -1
    produce_batch_max_entries: int = 10
    call_timeout_ms: int = 10_000
    basic_auth: str | None = None
    bearer_token: str | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    cors_origins: tuple[str, ...] = ()

    def client(self, overrides: Mapping[str, str | int | bool] | None = None) -> dict[str, Any]:
        """Configuration of one librdkafka client for this gateway's Kafka."""
        base: dict[str, str | int | bool] = {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": "ottla-gateway",
            "log_level": 0,
            "broker.address.family": "any",
        }
        return {**base, **self.client_config, **(overrides or {})}

"""The Burrow door as an ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette

from ottla.gateway.burrow.config import BurrowConfig
from ottla.gateway.burrow.monitor import LagMonitor
from ottla.gateway.burrow.routes import BurrowRoutes
from ottla.gateway.door import build_door
from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.metrics_app import MetricsRoutes


def load_monitor(kafka: KafkaAccess) -> LagMonitor:
    """A monitor by the settings' burrow.toml, or with Burrow's defaults."""
    settings = kafka.settings
    config = BurrowConfig.load(
        settings.burrow_config_file,
        settings.cluster_name,
        settings.bootstrap_servers.split(","),
    )
    config.configure_logging()
    return LagMonitor(settings, config)


def burrow_application(kafka: KafkaAccess, monitor: LagMonitor) -> Starlette:
    """Burrow's API, and its metrics beside it, over a running monitor."""
    routes = [*MetricsRoutes(kafka, monitor).routes(), *BurrowRoutes(monitor).routes()]
    return build_door(kafka, routes, cors_origins=monitor.config.cors_origins)

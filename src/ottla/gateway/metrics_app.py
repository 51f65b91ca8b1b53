"""The metrics door: /metrics for Prometheus."""

from __future__ import annotations

import urllib.error
import urllib.request

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ottla.gateway.burrow.monitor import LagMonitor
from ottla.gateway.door import build_door, front_page
from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.metrics.exposition import exposition, family, judge, labelled
from ottla.gateway.metrics.other_names import kminion_families, persec_families

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BROKER_TIMEOUT_S = 2


def broker_metrics(url: str) -> str:
    """What the broker's own endpoint says; a comment with the reason when it does not answer."""
    if not url.startswith(("http://", "https://")):
        return f"# broker metrics are not read: {url} is not an http address\n"
    try:
        with urllib.request.urlopen(url, timeout=BROKER_TIMEOUT_S) as answer:  # noqa: S310
            text: str = answer.read().decode()
            return text if text.endswith("\n") else text + "\n"
    except (OSError, urllib.error.URLError, UnicodeDecodeError) as error:
        return f"# broker metrics at {url} cannot be read: {error}\n"


class MetricsRoutes:
    """The handler of /metrics."""

    def __init__(self, kafka: KafkaAccess, monitor: LagMonitor) -> None:
        self.kafka = kafka
        self.monitor = monitor

    def routes(self) -> list[Route]:
        return [Route("/metrics", self.metrics)]

    async def metrics(self, _: Request) -> Response:
        text = await self.kafka.call(self._text)
        return PlainTextResponse(text, media_type=CONTENT_TYPE)

    def _text(self) -> str:
        feeds = self.monitor.feeds
        also = self.kafka.settings.metrics_also
        parts: list[str] = []
        for cluster, feed in feeds.items():
            with feed.lock:
                judged = judge(feed.store)
                parts.append(exposition(cluster, feed.store, judged))
                if "kminion" in also:
                    parts.extend(kminion_families(feed.store, judged))
        parts.append(
            family(
                "ottla_gateway_cluster_ready",
                "1 once all commits made before the start are known",
                [(labelled(cluster=c), int(f.is_ready.is_set())) for c, f in feeds.items()],
            )
        )
        url = self.kafka.settings.broker_metrics_url
        if url:
            broker = broker_metrics(url)
            parts.append(broker)
            if "persec" in also:
                parts.append(persec_families(broker))
        return "".join(parts)


def metrics_application(kafka: KafkaAccess, monitor: LagMonitor) -> Starlette:
    routes = MetricsRoutes(kafka, monitor).routes()
    return build_door(kafka, [front_page("/metrics"), *routes])

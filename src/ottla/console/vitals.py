"""A cluster's vital signs beside offsets: quorum, disks, bytes, latencies.

Quorum and disks are asked for over the protocol. Bytes and latencies are not in the protocol:
they come from a broker's metrics endpoint when its address is known, as text in Prometheus's
format.
"""

from __future__ import annotations

import re
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ottla.console import cluster_administration, formatting
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.cluster_administration import Disks
from ottla.console.group_watch import list_kinds
from ottla.console.raw import raw_cluster

SCRAPE_S = 2.0
#: Quorum and disks are looked at once in so many scrapes.
ASK_SCRAPES = 5
KEPT = 300
HTTP_TIMEOUT_S = 3.0
#: Below this share of free room a disk is a problem.
LITTLE_ROOM = 0.05
MAX_METRICS_BYTES = 16 << 20
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})? ([-+0-9.eEINFa]+)(?: |$)", re.MULTILINE)
_REQUEST = re.compile(r'(?:api|request)="(\w+)"')

BYTES_IN = "kafka_server_brokertopicmetrics_bytesin_total"
BYTES_OUT = "kafka_server_brokertopicmetrics_bytesout_total"
SECONDS_SUM, SECONDS_COUNT = "ottla_request_seconds_sum", "ottla_request_seconds_count"
APIS = ("Produce", "Fetch")


@dataclass(slots=True)
class Series:
    """Rings of one sample per scrape."""

    times_ms: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT))
    bytes_in: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    bytes_out: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    #: Mean milliseconds of the requests between two scrapes; None without any.
    latency_ms: dict[str, deque[float | None]] = field(
        default_factory=lambda: {api: deque(maxlen=KEPT) for api in APIS}
    )


def read_metrics(text: str) -> dict[str, float]:
    """Counters by name, summed over labels; request times by `name/api`."""
    found: dict[str, float] = {}
    for name, labels, number in _SAMPLE.findall(text):
        key = name
        if name in (SECONDS_SUM, SECONDS_COUNT):
            api = _REQUEST.search(labels)
            key = f"{name}/{api[1]}" if api else name
        elif name in (BYTES_IN, BYTES_OUT) and "topic=" in labels:
            continue  # of one topic: counted in the total already
        try:
            found[key] = found.get(key, 0.0) + float(number)
        except ValueError:
            continue
    return found


class Vitals:
    """Keeps looking in a thread of its own; pages read."""

    def __init__(self, cluster: ClusterView, metrics_url: str | None) -> None:
        self.cluster = cluster
        self.metrics_url = metrics_url
        self.series = Series()
        self.quorum: list[dict[str, Any]] = []
        self.disks: Disks | None = None
        #: (kind, state) of every group the brokers list, whether or not it has committed.
        self.groups: dict[str, tuple[str, str]] = {}
        self.why_no_metrics = "" if metrics_url else "no metrics address was given"
        self.why_no_quorum = ""
        self.why_no_disks = ""
        self._before: tuple[float, dict[str, float]] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="console-vitals", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        count = 0
        while not self._stop.is_set():
            began = time.monotonic()
            if self.metrics_url:
                self._scrape(self.metrics_url)
            if count % ASK_SCRAPES == 0:
                self._ask()
            count += 1
            self._stop.wait(max(SCRAPE_S, 4 * (time.monotonic() - began)))

    def _ask(self) -> None:
        try:
            self.quorum = cluster_administration.quorum(self.cluster)
            self.why_no_quorum = ""
        except ClusterError as error:
            self.quorum, self.why_no_quorum = [], str(error)
        try:
            self.disks = cluster_administration.disks(self.cluster)
            self.why_no_disks = ""
        except ClusterError as error:
            self.disks, self.why_no_disks = None, str(error)
        try:
            with raw_cluster(self.cluster) as client:
                self.groups = list_kinds(client)
        except ClusterError:
            self.groups = {}  # those that have committed are known all the same

    def topic_size(self, topic: str) -> int | None:
        """Bytes of a topic's partitions, each of its largest replica; None when not known."""
        return None if self.disks is None else self.disks.by_topic.get(topic)

    def _scrape(self, url: str) -> None:
        try:
            with urllib.request.urlopen(url, timeout=HTTP_TIMEOUT_S) as answer:  # noqa: S310
                text = answer.read(MAX_METRICS_BYTES).decode("utf-8", "replace")
        except (OSError, ValueError, urllib.error.URLError) as error:
            self.why_no_metrics = f"{url} does not answer: {getattr(error, 'reason', error)}"
            self._before = None
            return
        now, found = time.monotonic(), read_metrics(text)
        self.why_no_metrics = (
            "" if BYTES_IN in found else f"{url} has no {BYTES_IN}: is it a broker's?"
        )
        if self._before is not None and not self.why_no_metrics:
            self._add(now - self._before[0], self._before[1], found)
        self._before = (now, found)

    def _add(self, seconds: float, before: dict[str, float], now: dict[str, float]) -> None:
        def grown(name: str) -> float:
            return max(0.0, now.get(name, 0.0) - before.get(name, 0.0))

        series = self.series
        series.times_ms.append(int(time.time() * 1000))
        series.bytes_in.append(grown(BYTES_IN) / seconds)
        series.bytes_out.append(grown(BYTES_OUT) / seconds)
        for api, ring in series.latency_ms.items():
            count = grown(f"{SECONDS_COUNT}/{api}")
            ring.append(grown(f"{SECONDS_SUM}/{api}") / count * 1000 if count else None)

    def problems(self) -> list[str]:
        """What is wrong with disks and quorum, a sentence each."""
        found = []
        for row in self.disks.directories if self.disks else ():
            where = f"{row['directory']} of broker {row['broker']}"
            if row["state"] != "fine":
                found.append(f"Log directory {where} is offline ({row['state']}): look at its disk")
            elif row["total"] and row["free"] / row["total"] < LITTLE_ROOM:
                found.append(
                    f"The disk of {where} has only {formatting.size(row['free'])} left: shorten"
                    " retention, or give it a larger one"
                )
        late = [r for r in self.quorum if r["role"] == "voter" and (r["behind_ms"] or 0) > 30_000]
        found += [f"Controller {r['node']} is {r['behind_ms'] // 1000} s behind" for r in late]
        return found

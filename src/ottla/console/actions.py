"""Everything a person changes in the console goes through `perform`: roles, and the audit topic."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ottla.console import login
from ottla.console.cluster import ClusterError, ClusterView, reason_of
from ottla.lag.feed import quiet_logger

T = TypeVar("T")

AUDIT_TOPIC = "ottla-console-audit"
#: A year; the topic is made with the first action.
AUDIT_CONFIG = {"retention.ms": "31536000000", "cleanup.policy": "delete"}
WRITE_S = 10.0


class Audit:
    """Writes what was done to the audit topic of one cluster."""

    def __init__(self, client_config: Mapping[str, Any]) -> None:
        self._config = {**client_config, "acks": "all", "message.timeout.ms": int(WRITE_S * 1000)}
        self._producer: Producer | None = None
        self._lock = threading.Lock()

    def write(self, entry: Mapping[str, Any]) -> str | None:
        """Return once the entry is acknowledged; or why it is not."""
        failures: list[str] = []

        def delivered(error: Any, _: Any) -> None:
            if error is not None:
                failures.append(error.str())

        try:
            with self._lock:
                if self._producer is None:
                    self._create_topic()
                    self._producer = Producer(self._config, logger=quiet_logger)
                value = json.dumps(entry, ensure_ascii=False, default=str)
                self._producer.produce(
                    AUDIT_TOPIC, value, str(entry.get("user")), on_delivery=delivered
                )
                left = self._producer.flush(WRITE_S)
        except (KafkaException, BufferError) as error:
            return reason_of(error)
        return failures[0] if failures else ("no answer in time" if left else None)

    def _create_topic(self) -> None:
        admin = AdminClient(self._config, logger=quiet_logger)
        wanted = NewTopic(
            AUDIT_TOPIC, num_partitions=1, replication_factor=-1, config=dict(AUDIT_CONFIG)
        )
        try:
            admin.create_topics([wanted])[AUDIT_TOPIC].result(WRITE_S)
        except (KafkaException, TimeoutError):
            return  # there already, or refused: then the write says so


_audits: dict[str, Audit] = {}
#: Notes about what failed that are being written.
_notes: set[asyncio.Task[None]] = set()


def audit_of(cluster: ClusterView) -> Audit:
    return _audits.setdefault(cluster.bootstrap_servers, Audit(cluster.client_config))


async def perform(
    cluster: ClusterView, action: str, details: Mapping[str, Any], act: Callable[[], T]
) -> T:
    """Do it in a thread, note it in the audit topic, whatever came of it, and give its result.

    Errors: `ClusterError` for a viewer, and whatever `act` raises of `ClusterError` and
    `ValueError`.
    """
    person = login.actor()
    if not person.is_admin:
        raise ClusterError("A viewer may only look.")

    async def note(outcome: str) -> None:
        entry = {
            "time": int(time.time() * 1000),
            "user": person.user,
            "action": action,
            **details,
            "outcome": outcome,
        }
        problem = await asyncio.to_thread(audit_of(cluster).write, entry)
        if problem is not None:
            print(f"console: {AUDIT_TOPIC} could not be written: {problem}", file=sys.stderr)

    try:
        result = await asyncio.to_thread(act)
    except (ClusterError, ValueError) as error:
        # Whoever waits is told at once: what hindered this may hinder the note as well.
        noting = asyncio.create_task(note(f"failed: {error}"))
        _notes.add(noting)
        noting.add_done_callback(_notes.discard)
        raise
    await note("done")
    return result

"""A topic's producers: who has written with a producer id, and who has a transaction open."""

from __future__ import annotations

from typing import ClassVar

from ottla.console import cluster_administration as calls
from ottla.console import formatting
from ottla.console.cluster import ClusterView
from ottla.console.layout import zone
from ottla.console.pages.columns import column
from ottla.console.pages.listing import Listing, Row


class Producers(Listing):
    """Idempotent and transactional producers; others leave no trace in a log."""

    note = "Producers with an id: idempotent and transactional ones. Others leave no trace."
    nothing = "No producer with an id has written here lately"
    columns: ClassVar = [
        column("partition", "Partition", right=True),
        column("producer", "Producer id", right=True),
        column("epoch", "Epoch", right=True),
        column("sequence", "Last sequence", right=True),
        column("last", "Last record"),
        column("open", "Transaction open from offset", right=True),
        {**column("id", ""), "classes": "hidden", "headerClasses": "hidden"},
    ]

    def __init__(self, cluster: ClusterView, topic: str) -> None:
        super().__init__(cluster)
        self.topic = topic
        self.zone = zone()

    def load(self) -> list[Row]:
        return calls.producers(self.cluster, self.topic)

    def shown(self) -> list[Row]:
        return [
            {
                **row,
                "last": formatting.moment(row["last_ms"], self.zone),
                "open": "–" if row["open_from"] is None else row["open_from"],
            }
            for row in self.rows
        ]

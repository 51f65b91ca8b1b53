"""The clusters a console knows, and which one a person looks at."""

from __future__ import annotations

import re
from typing import Any

from ottla.console.cluster import ClusterView

ZOOKEEPER_PORTS = re.compile(r":(2181|2182|2183)\b")


class Clusters:
    """Clusters by name; the first is the one the console was started for."""

    def __init__(self, bootstrap_servers: str, client_config: dict[str, Any]) -> None:
        self._client_config = client_config
        self._by_name: dict[str, ClusterView] = {}
        problem = self.add("local", bootstrap_servers)
        assert problem is None

    def names(self) -> list[str]:
        return list(self._by_name)

    def current(self, name: str | None) -> ClusterView:
        return self._by_name.get(name or "") or next(iter(self._by_name.values()))

    def add(self, name: str, bootstrap_servers: str) -> str | None:
        """Watch one more cluster; returns what is wrong with the wish, or None."""
        name, servers = name.strip(), bootstrap_servers.strip()
        if not name:
            return "Give the cluster a name."
        if name in self._by_name:
            return f"There is a cluster {name} already."
        if not servers:
            return "Give at least one bootstrap server, as host:port."
        if ZOOKEEPER_PORTS.search(servers):
            return (
                "That is a ZooKeeper address. Kafka needs none since version 4: give the brokers'"
                " own addresses, such as localhost:9092."
            )
        view = ClusterView(name, {**self._client_config, "bootstrap.servers": servers})
        self._by_name[name] = view
        view.start()
        return None

    def close(self) -> None:
        for view in self._by_name.values():
            view.close()

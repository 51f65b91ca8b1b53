"""The clusters a console knows, and which one a person looks at."""

from __future__ import annotations

import re
from typing import Any

from confluent_kafka import KafkaException

from ottla.client.errors import SettingsError
from ottla.client.librdkafka_settings import librdkafka_settings
from ottla.client.properties_files import parse_properties
from ottla.client.settings import parse_bootstrap_servers
from ottla.console.cluster import ClusterView, reason_of
from ottla.console.vitals import Vitals

#: The cluster that the console was started for.
FIRST = "local"
ZOOKEEPER_PORTS = re.compile(r":(2181|2182|2183)\b")


class Clusters:
    """Clusters by name; the first is the one the console was started for."""

    def __init__(
        self, bootstrap_servers: str, client_config: dict[str, Any], metrics_url: str | None
    ) -> None:
        self._client_config = client_config
        self._client_id = {"client.id": client_config.get("client.id", "ottla-console")}
        self._by_name: dict[str, ClusterView] = {}
        self._vitals: dict[str, Vitals] = {}
        problem = self.add(FIRST, bootstrap_servers, metrics_url or "")
        assert problem is None

    def names(self) -> list[str]:
        return list(self._by_name)

    def current(self, name: str | None) -> ClusterView:
        return self._by_name.get(name or "") or next(iter(self._by_name.values()))

    def vitals_of(self, cluster: ClusterView) -> Vitals:
        return self._vitals[cluster.name]

    def add(
        self, name: str, bootstrap_servers: str, metrics_url: str = "", properties: str = ""
    ) -> str | None:
        """Watch one more cluster; returns what is wrong with the wish, or None.

        `properties` are lines as Kafka's tools take them, such as its TLS and SASL settings;
        without any the cluster is asked as the first one is.
        """
        name, servers, url = name.strip(), bootstrap_servers.strip(), metrics_url.strip()
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
        try:
            parse_bootstrap_servers(servers)
        except SettingsError as error:
            return f"{error}."
        if url and not url.startswith(("http://", "https://")):
            return "Give the metrics endpoint as http://host:port/metrics, or leave it out."
        try:
            own = librdkafka_settings(parse_properties(properties))
            config = {**self._client_id, **own} if own else self._client_config
            view = ClusterView(name, {**config, "bootstrap.servers": servers})
            assert view.admin is not None  # made now, which reads the settings
        except SettingsError as error:
            return str(error)
        except KafkaException as error:
            return f"{reason_of(error)}."
        self._by_name[name] = view
        view.start()
        vitals = self._vitals[name] = Vitals(view, url or None)
        vitals.start()
        return None

    def close(self) -> None:
        for vitals in self._vitals.values():
            vitals.close()
        for view in self._by_name.values():
            view.close()

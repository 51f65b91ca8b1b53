"""Which APIs brokers serve, as Kafka's tools print them."""

from __future__ import annotations

from typing import Final

from ottla.client.cluster import Cluster
from ottla.wire.messages import API_NAMES, API_VERSIONS
from ottla.wire.messages.metadata import MetadataResponseBroker

#: APIs that are no client's affair, which Kafka's tools name all the same:
#: key → name, newest version.
NOT_FOR_CLIENTS: Final = {
    83: ("InitializeShareGroupState", 0),
    84: ("ReadShareGroupState", 0),
    85: ("WriteShareGroupState", 1),
    86: ("DeleteShareGroupState", 0),
    87: ("ReadShareGroupStateSummary", 1),
}


def api_name(key: int) -> str:
    """`list_offsets` → `ListOffsets`."""
    if key in NOT_FOR_CLIENTS:
        return NOT_FOR_CLIENTS[key][0]
    return "".join(word.capitalize() for word in API_NAMES[key].split("_"))


def _known_versions(key: int) -> tuple[int, int] | None:
    if key in NOT_FOR_CLIENTS:
        return 0, NOT_FOR_CLIENTS[key][1]
    return API_VERSIONS[key][:2] if key in API_NAMES else None


def node_text(broker: MetadataResponseBroker) -> str:
    """A broker as Java prints a `Node`."""
    return (
        f"{broker.host}:{broker.port} (id: {broker.node_id} rack: "
        f"{'null' if broker.rack is None else broker.rack} isFenced: false)"
    )


def api_versions_text(cluster: Cluster, broker: MetadataResponseBroker) -> str:
    """One broker's APIs with the versions it serves, and the one we would use."""
    served = cluster.connect(broker.host, broker.port).api_versions()
    lines = []
    for key in sorted({*served, *API_NAMES}):
        known = _known_versions(key)
        if key not in served:
            lines.append(f"\t{api_name(key)}({key}): UNSUPPORTED")
            continue
        low, high = served[key]
        versions = str(low) if low == high else f"{low} to {high}"
        if known is None:
            lines.append(f"\tUNKNOWN({key}): {versions}")
            continue
        usable = min(high, known[1])
        use = f"usable: {usable}" if usable >= max(low, known[0]) else "unusable: node too new"
        lines.append(f"\t{api_name(key)}({key}): {versions} [{use}]")
    listed = ",\n".join(lines)
    return f"{node_text(broker)} -> (\n{listed}\n)"

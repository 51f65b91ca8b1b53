"""Which APIs brokers serve, as Kafka's tools print them."""

from __future__ import annotations

from typing import Final

from ottla.client.cluster import Cluster
from ottla.wire.messages import API_NAMES, API_VERSIONS
from ottla.wire.messages.metadata import MetadataResponseBroker

#: APIs whose names in Kafka are not the words of ours.
SPELLINGS: Final = {71: "GetTelemetrySubscriptions"}


def api_name(key: int) -> str:
    """`list_offsets` → `ListOffsets`."""
    if key in SPELLINGS:
        return SPELLINGS[key]
    return "".join(word.capitalize() for word in API_NAMES[key].split("_"))


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
        if key not in served:
            if key in (80, 81, 64):
                lines.append(f"\t{api_name(key)}({key}): UNSUPPORTED")
            continue
        low, high = served[key]
        versions = str(low) if low == high else f"{low} to {high}"
        if key not in API_NAMES:
            lines.append(f"\tUNKNOWN({key}): {versions}")
            continue
        ours_low, ours_high, _ = API_VERSIONS[key]
        usable = min(high, ours_high)
        use = f"usable: {usable}" if usable >= max(low, ours_low) else "unusable: node too new"
        lines.append(f"\t{api_name(key)}({key}): {versions} [{use}]")
    listed = ",\n".join(lines)
    return f"{node_text(broker)} -> (\n{listed}\n)"

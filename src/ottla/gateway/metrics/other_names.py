"""The same figures under the names of other exporters, for dashboards made for those.

Off unless asked for (`--metrics-also`): every family more is more to scrape.
`kminion` are the names of its topics and groups; `persec` the names the JMX
exporter gives the broker's counters when it keeps Kafka's own "PerSec".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ottla.gateway.metrics.exposition import Sample, family, labelled
from ottla.lag.store import GroupStatus, LagStore

_COUNTER: Final = re.compile(r"^(kafka_server_brokertopicmetrics_\w+)_total( .*)$", re.MULTILINE)


def persec_families(broker_text: str) -> str:
    """The broker's `_total` counters once more, called `persec`."""
    return "".join(
        f"# TYPE {name}persec counter\n{name}persec{value}\n"
        for name, value in _COUNTER.findall(broker_text)
    )


def kminion_families(store: LagStore, judged: list[GroupStatus]) -> Iterable[str]:
    """Brokers, topics and groups as kminion names them."""
    prefix = "kminion_kafka_"
    brokers = [(i, *address.rpartition(":")[::2]) for i, address in sorted(store.brokers.items())]
    yield family(
        f"{prefix}broker_info",
        "A broker and its address",
        [(labelled(broker_id=i, address=host, port=port), 1) for i, host, port in brokers],
    )
    yield from _topics(prefix, store)
    yield from _groups(prefix, store, judged)


def _topics(prefix: str, store: LagStore) -> Iterable[str]:
    low: list[Sample] = []
    high: list[Sample] = []
    sums: dict[str, list[int]] = {}
    for (topic, partition), view in sorted(store.views.items()):
        labels = labelled(topic_name=topic, partition_id=partition)
        end = store.end_of(topic, partition) or 0
        low.append((labels, view.start))
        high.append((labels, end))
        known = sums.setdefault(topic, [0, 0, 0, len(view.replicas)])
        known[0] += 1
        known[1] += view.start
        known[2] += end
    yield family(
        f"{prefix}topic_info",
        "A topic and its size",
        [
            (labelled(topic_name=t, partition_count=n, replication_factor=replicas), 1)
            for t, (n, _, _, replicas) in sums.items()
        ],
    )
    yield family(f"{prefix}topic_partition_low_water_mark", "Start of a partition's log", low)
    yield family(f"{prefix}topic_partition_high_water_mark", "End of a partition's log", high)
    yield family(
        f"{prefix}topic_low_water_mark_sum",
        "Starts of a topic's logs",
        [(labelled(topic_name=t), start) for t, (_, start, _, _) in sums.items()],
    )
    yield family(
        f"{prefix}topic_high_water_mark_sum",
        "Ends of a topic's logs",
        [(labelled(topic_name=t), end) for t, (_, _, end, _) in sums.items()],
    )


def _groups(prefix: str, store: LagStore, judged: list[GroupStatus]) -> Iterable[str]:
    lags: list[Sample] = []
    sums: dict[tuple[str, str], list[int]] = {}
    for status in judged:
        for p in status.partitions:
            labels = labelled(group_id=status.group, topic_name=p.topic, partition_id=p.partition)
            lags.append((labels, p.current_lag))
            known = sums.setdefault((status.group, p.topic), [0, 0])
            known[0] += p.current_lag
            known[1] += p.end.offset if p.end else 0
    yield family(
        f"{prefix}consumer_group_members",
        "Members of a group",
        [(labelled(group_id=g), n) for g, n in sorted(store.members.items())],
    )
    yield family(f"{prefix}consumer_group_topic_partition_lag", "Records not yet consumed", lags)
    yield family(
        f"{prefix}consumer_group_topic_lag",
        "Records of a topic not yet consumed",
        [(labelled(group_id=g, topic_name=t), lag) for (g, t), (lag, _) in sums.items()],
    )
    yield family(
        f"{prefix}consumer_group_topic_offset_sum",
        "Committed offsets of a topic",
        [(labelled(group_id=g, topic_name=t), offset) for (g, t), (_, offset) in sums.items()],
    )

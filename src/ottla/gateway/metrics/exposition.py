"""The text of /metrics: kafka_exporter's names, lag in seconds, Burrow's names.

Built from what the lag monitor already knows, so that a scrape asks Kafka for
nothing. The families of the JMX exporter come from the broker itself and are
passed through from its own endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable

from ottla.lag.feed import now_ms
from ottla.lag.store import GroupStatus, LagStore, PartitionStatus

#: Labels as they are written, "" for none, and a value. Labels are written once a row and not
#: once a family: they are most of a scrape's text.
Sample = tuple[str, float]


def escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def labelled(**labels: object) -> str:
    """Labels with their braces."""
    inner = ",".join([f'{k}="{escape(str(v))}"' for k, v in labels.items()])
    return f"{{{inner}}}"


def family(name: str, help_: str, samples: Iterable[Sample], kind: str = "gauge") -> str:
    """One metric family in the text format, or nothing when it has no sample."""
    lines = [
        f"{name}{labels} {value if type(value) is int else number(value)}\n"
        for labels, value in samples
    ]
    if not lines:
        return ""
    return f"# HELP {name} {help_}\n# TYPE {name} {kind}\n" + "".join(lines)


def number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)


def partition_families(store: LagStore) -> Iterable[str]:
    """Brokers, topics and partitions, as kafka_exporter names them."""
    yield family("kafka_brokers", "Number of brokers", [("", len(store.brokers))])
    yield family(
        "kafka_broker_info",
        "A broker and its address",
        [(labelled(id=i, address=a), 1) for i, a in sorted(store.brokers.items())],
    )
    counts: dict[str, int] = {}
    for topic, _ in store.views:
        counts[topic] = counts.get(topic, 0) + 1
    yield family(
        "kafka_topic_partitions",
        "Number of partitions of a topic",
        [(labelled(topic=t), n) for t, n in sorted(counts.items())],
    )
    rows = [
        (labelled(topic=t, partition=p), store.end_of(t, p) or 0, v)
        for (t, p), v in sorted(store.views.items())
    ]
    ends = [(x, end) for x, end, _ in rows]
    prefix = "kafka_topic_partition_"
    yield family(f"{prefix}current_offset", "End of a partition's log", ends)
    yield family(
        f"{prefix}oldest_offset", "Start of a partition's log", [(x, v.start) for x, _, v in rows]
    )
    yield family(
        f"{prefix}leader", "Broker that leads a partition", [(x, v.leader) for x, _, v in rows]
    )
    yield family(
        f"{prefix}replicas", "Number of replicas", [(x, len(v.replicas)) for x, _, v in rows]
    )
    yield family(
        f"{prefix}in_sync_replica",
        "Number of replicas in sync",
        [(x, len(v.in_sync)) for x, _, v in rows],
    )
    yield family(
        f"{prefix}leader_is_preferred",
        "1 when the preferred replica leads",
        [(x, int(v.replicas[:1] == (v.leader,))) for x, _, v in rows],
    )
    yield family(
        f"{prefix}under_replicated_partition",
        "1 when a replica is not in sync",
        [(x, int(len(v.in_sync) < len(v.replicas))) for x, _, v in rows],
    )
    yield family("kafka_partition_latest_offset", "End of a partition's log", ends)


def group_families(cluster: str, store: LagStore, judged: list[GroupStatus]) -> Iterable[str]:
    """Groups' offsets and lag, as kafka_exporter, kafka-lag-exporter and Burrow name them."""
    rows = [(s, p) for s in judged for p in s.partitions]
    named = [labelled(consumergroup=s.group, topic=p.topic, partition=p.partition) for s, p in rows]
    committed = [p.end.offset if p.end else 0 for _, p in rows]
    lags = [p.current_lag for _, p in rows]
    topics = [(s.group, p.topic) for s, p in rows]
    exporter = "kafka_consumergroup_"
    yield family(
        f"{exporter}current_offset", "Committed offset", zip(named, committed, strict=True)
    )
    yield family(
        f"{exporter}current_offset_sum",
        "Committed offsets of a topic",
        by_topic(topics, committed),
    )
    yield family(f"{exporter}lag", "Records not yet consumed", zip(named, lags, strict=True))
    yield family(
        f"{exporter}lag_sum", "Records of a topic not yet consumed", by_topic(topics, lags)
    )
    yield family(
        f"{exporter}members",
        "Members of a group",
        [(labelled(consumergroup=g), n) for g, n in sorted(store.members.items())],
    )
    yield from seconds_families(cluster, judged, rows)
    yield from burrow_families(cluster, store, judged, rows)


def by_topic(where: list[tuple[str, str]], values: list[int]) -> list[Sample]:
    sums: dict[tuple[str, str], int] = {}
    for group_and_topic, value in zip(where, values, strict=True):
        sums[group_and_topic] = sums.get(group_and_topic, 0) + value
    return [(labelled(consumergroup=g, topic=t), n) for (g, t), n in sums.items()]


def seconds_families(
    cluster: str, judged: list[GroupStatus], rows: list[tuple[GroupStatus, PartitionStatus]]
) -> Iterable[str]:
    named = [
        (
            labelled(
                cluster_name=cluster,
                group=s.group,
                topic=p.topic,
                partition=p.partition,
                client_id=p.client_id,
                consumer_id=p.owner,
                member_host=p.owner,
            ),
            p,
        )
        for s, p in rows
    ]
    groups = [(labelled(cluster_name=cluster, group=s.group), s.partitions) for s in judged]
    prefix = "kafka_consumergroup_group_"
    yield family(
        f"{prefix}offset", "Committed offset", [(x, p.end.offset if p.end else 0) for x, p in named]
    )
    yield family(f"{prefix}lag", "Records not yet consumed", [(x, p.current_lag) for x, p in named])
    yield family(
        f"{prefix}lag_seconds",
        "Age of the oldest record not yet consumed",
        [(x, p.lag_seconds) for x, p in named if p.lag_seconds is not None],
    )
    yield family(
        f"{prefix}max_lag",
        "Largest lag of a group's partitions",
        [(x, max((p.current_lag for p in partitions), default=0)) for x, partitions in groups],
    )
    yield family(
        f"{prefix}max_lag_seconds",
        "Largest lag in seconds of a group's partitions",
        [(x, max((p.lag_seconds or 0 for p in partitions), default=0)) for x, partitions in groups],
    )


def burrow_families(
    cluster: str,
    store: LagStore,
    judged: list[GroupStatus],
    rows: list[tuple[GroupStatus, PartitionStatus]],
) -> Iterable[str]:
    groups = [(labelled(cluster=cluster, consumer_group=s.group), s) for s in judged]
    named = [
        (
            labelled(cluster=cluster, consumer_group=s.group, topic=p.topic, partition=p.partition),
            p,
        )
        for s, p in rows
    ]
    prefix = "burrow_kafka_"
    yield family(
        f"{prefix}consumer_lag_total", "Lag of a group", [(x, s.total_lag) for x, s in groups]
    )
    yield family(
        f"{prefix}consumer_status",
        "Burrow's verdict on a group: 1 OK, 2 WARN, 3 ERR",
        [(x, int(s.status)) for x, s in groups],
    )
    yield family(
        f"{prefix}topic_partition_status",
        "Burrow's verdict on a partition: 1 OK to 6 REWIND",
        [(x, int(p.status)) for x, p in named],
    )
    yield family(
        f"{prefix}consumer_current_offset",
        "Committed offset",
        [(x, p.end.offset if p.end else 0) for x, p in named],
    )
    yield family(
        f"{prefix}consumer_partition_lag",
        "Lag of a partition",
        [(x, p.current_lag) for x, p in named],
    )
    yield family(
        f"{prefix}topic_partition_offset",
        "End of a partition's log",
        [
            (labelled(cluster=cluster, topic=t, partition=p), ends.latest or 0)
            for t, partitions in sorted(store.topics.items())
            for p, ends in sorted(partitions.items())
        ],
    )


def judge(store: LagStore) -> list[GroupStatus]:
    """All groups as they stand now."""
    moment = now_ms()
    found = (store.evaluate(group, moment) for group in sorted(store.groups))
    return [status for status in found if status is not None]


def exposition(cluster: str, store: LagStore, judged: list[GroupStatus]) -> str:
    """All families of one cluster; the caller holds the store's lock."""
    return "".join([*partition_families(store), *group_families(cluster, store, judged)])

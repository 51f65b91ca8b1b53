"""What Burrow shows a template of an incident, under Go's names of its fields."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ottla.gateway.burrow.monitor import commit_view, group_view, partition_view
from ottla.gateway.burrow.templates.values import Struct
from ottla.lag.evaluation import Commit, Status
from ottla.lag.store import GroupStatus, PartitionStatus


def incident_data(
    cluster: str, status: GroupStatus, incident_id: str, start: datetime, extras: dict[str, Any]
) -> Struct:
    """The dot of a notifier's template; only partitions in trouble, as the original has it.

    Times are local ones, as Go's are. Beyond the original, each partition has a `LagSeconds`.
    """
    troubled = [partition_data(p) for p in status.partitions if p.status is not Status.OK]
    worst = status.max_lag
    result = {
        "Cluster": cluster,
        "Group": status.group,
        "Status": status.status,
        "Complete": float(status.complete),
        "Partitions": troubled,
        "TotalPartitions": len(status.partitions),
        "Maxlag": None if worst is None else partition_data(worst),
        "TotalLag": status.total_lag,
    }
    group_json = {
        **group_view(cluster, status, show_all=False),
        "partitions": troubled,
        "maxlag": result["Maxlag"],
    }
    whole = {
        "Cluster": cluster,
        "Group": status.group,
        "ID": incident_id,
        "Start": start.astimezone(),
        "Extras": {str(key): str(value) for key, value in extras.items()},
        "Result": Struct(result, group_json),
    }
    return Struct(whole, whole)


def partition_data(status: PartitionStatus) -> Struct:
    as_json = partition_view(status)
    del as_json["lag_seconds"]  # who reads what a template writes knows the original's keys
    return Struct(
        {
            "Topic": status.topic,
            "Partition": status.partition,
            "Owner": status.owner,
            "ClientID": status.client_id,
            "Status": status.status,
            "Start": commit_data(status.start),
            "End": commit_data(status.end),
            "CurrentLag": status.current_lag,
            "Complete": float(status.complete),
            "LagSeconds": status.lag_seconds,
        },
        as_json,
    )


def commit_data(commit: Commit | None) -> Struct | None:
    if commit is None:
        return None
    lag = None if commit.lag is None else Struct({"Value": commit.lag}, commit.lag)
    return Struct(
        {
            "Offset": commit.offset,
            "Timestamp": commit.timestamp_ms,
            "ObservedTimestamp": commit.observed_at_ms,
            "Lag": lag,
        },
        commit_view(commit),
    )

"""The metadata quorum: who votes, who leads, who lags."""

from __future__ import annotations

from typing import NamedTuple

from ottla.cli.workers.failures import raise_for
from ottla.client.cluster import Cluster
from ottla.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    PartitionData,
    ReplicaState,
    ResponsePartitionData,
    TopicData,
)


class Quorum(NamedTuple):
    """The quorum's one partition, and the listeners of its voters by node id."""

    partition: ResponsePartitionData
    listeners: dict[int, list[str]]

    @property
    def leader(self) -> ReplicaState:
        """The leader's own entry among the voters."""
        return next(
            voter
            for voter in self.partition.current_voters
            if voter.replica_id == self.partition.leader_id
        )


def describe_quorum(cluster: Cluster) -> Quorum:
    """The state of the quorum. Errors: `RefusedError`."""
    request = DescribeQuorumRequest([TopicData("__cluster_metadata", [PartitionData(0)])])
    response: DescribeQuorumResponse = cluster.request(request)
    raise_for(response.error_code, response.error_message)
    partition = response.topics[0].partitions[0]
    raise_for(partition.error_code, partition.error_message)
    listeners = {
        node.node_id: [f"{one.name}://{one.host}:{one.port}" for one in node.listeners]
        for node in response.nodes
    }
    return Quorum(partition, listeners)

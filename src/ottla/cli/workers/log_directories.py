"""Log directories of brokers, and what is in them."""

from __future__ import annotations

from ottla.cli.workers.failures import raise_for
from ottla.client.cluster import Cluster
from ottla.wire.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResult


def describe_log_directories(cluster: Cluster, node_id: int) -> list[DescribeLogDirsResult]:
    """Every log directory of one broker with all its partitions."""
    response = cluster.broker(node_id).request(DescribeLogDirsRequest(topics=None))
    raise_for(response.error_code)
    return response.results

"""Log directories of brokers, and what is in them."""

from __future__ import annotations

from ottla.cli.workers.failures import raise_for
from ottla.client.cluster import Cluster
from ottla.client.offsets import TopicPartition
from ottla.wire.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResult


def describe_log_directories(cluster: Cluster, node_id: int) -> list[DescribeLogDirsResult]:
    """Every log directory of one broker with all its partitions."""
    response = cluster.broker(node_id).request(DescribeLogDirsRequest(topics=None))
    raise_for(response.error_code)
    return response.results


def partition_sizes(cluster: Cluster) -> dict[TopicPartition, int]:
    """Bytes of each partition on its largest replica, as far as brokers tell."""
    sizes: dict[TopicPartition, int] = {}
    for broker in cluster.brokers():
        for directory in describe_log_directories(cluster, broker.node_id):
            for topic in directory.topics:
                for partition in topic.partitions:
                    key = topic.name, partition.partition_index
                    sizes[key] = max(sizes.get(key, 0), partition.partition_size)
    return sizes

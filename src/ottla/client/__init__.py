"""A small raw Kafka client over `wire/`.

For what confluent-kafka's AdminClient lacks, for command line tools whose
start-up time people feel, and for tests that compare answers field by field:

    with Cluster("localhost:9092") as cluster:
        response = cluster.request(DescribeClusterRequest())
"""

from ottla.client.cluster import Cluster
from ottla.client.connection import Connection
from ottla.client.errors import ClientError
from ottla.client.settings import Settings

__all__ = ["ClientError", "Cluster", "Connection", "Settings"]

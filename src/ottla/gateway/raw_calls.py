"""Calls that librdkafka lacks, made with the raw client."""

from __future__ import annotations

from ottla.client.cluster import Cluster
from ottla.client.errors import ClientError
from ottla.client.security import secured
from ottla.client.settings import Settings
from ottla.gateway.errors import RestError
from ottla.gateway.settings import GatewaySettings
from ottla.wire.messages.describe_log_dirs import DescribeLogDirsRequest


def log_directory_sizes(settings: GatewaySettings) -> dict[str, int]:
    """Bytes per log directory, by "broker id:path".

    Errors: `RestError` 50302 when no broker answers.
    """
    sizes: dict[str, int] = {}
    try:
        security = secured(Settings(client_id="ottla-gateway"), settings.client_config)
        with Cluster(settings.bootstrap_servers, security) as cluster:
            for broker in cluster.brokers():
                answer = cluster.broker(broker.node_id).request(DescribeLogDirsRequest())
                for directory in answer.results:
                    sizes[f"{broker.node_id}:{directory.log_dir}"] = sum(
                        partition.partition_size
                        for topic in directory.topics
                        for partition in topic.partitions
                    )
    except ClientError as error:
        raise RestError(503, 50302, f"Broker not available: {error}") from None
    return sizes

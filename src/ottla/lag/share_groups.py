"""Where share groups stand: they commit nothing that `__consumer_offsets` would tell.

Their start offset, below which every record is settled, is asked for and taken
as a commit whenever it has moved (KIP-932, KIP-1226).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ottla.client.cluster import Cluster
from ottla.client.errors import CannotConnectError, ConnectionLostError, check
from ottla.client.security import secured
from ottla.client.settings import Settings
from ottla.wire.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
)
from ottla.wire.messages.list_groups import ListGroupsRequest

#: The version of ListGroups that can be asked for a type of group (KIP-848).
BY_TYPE = 5


class ShareStart(NamedTuple):
    """The first record of a partition that a share group has not settled."""

    group: str
    topic: str
    partition: int
    offset: int


class ShareGroups:
    """Asks a cluster for its share groups. Errors: `ClientError`."""

    def __init__(self, client_config: Mapping[str, str]) -> None:
        settings = secured(Settings(client_id="ottla-lag"), client_config)
        self._cluster = Cluster(client_config["bootstrap.servers"], settings)

    def close(self) -> None:
        self._cluster.close()

    def names(self) -> list[str]:
        """Share groups of all brokers; `UnsupportedError` when brokers know no types."""
        found: set[str] = set()
        for broker in self._cluster.brokers():
            try:
                answer = self._cluster.broker(broker.node_id).request(
                    ListGroupsRequest(types_filter=["share"]), at_least=BY_TYPE
                )
            except (CannotConnectError, ConnectionLostError):
                continue  # its groups move to another coordinator
            check(answer.error_code)
            found.update(group.group_id for group in answer.groups)
        return sorted(found)

    def starts(self, group: str) -> Iterator[ShareStart]:
        """The start of each of a group's partitions that has one."""
        request = DescribeShareGroupOffsetsRequest([DescribeShareGroupOffsetsRequestGroup(group)])
        answer = self._cluster.request_coordinator(group, request)
        for found in answer.groups:
            check(found.error_code, found.error_message)
            for topic in found.topics:
                for partition in topic.partitions:
                    if not partition.error_code and partition.start_offset >= 0:
                        yield ShareStart(
                            group,
                            topic.topic_name,
                            partition.partition_index,
                            partition.start_offset,
                        )

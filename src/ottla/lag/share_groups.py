"""Where share groups stand: they commit nothing that `__consumer_offsets` would tell.

Their start offset, below which every record is settled, and the number of
records that are not (KIP-932, KIP-1226) are asked for, and a commit is made of
them whenever a group has moved.
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


class ShareState(NamedTuple):
    """How far a share group is on a partition; `lag` is -1 where the broker does not tell."""

    group: str
    topic: str
    partition: int
    start: int
    lag: int


class Positions:
    """Makes one offset of a start and a lag, as if the group committed in order.

    Apache Kafka's start stays behind what is settled until something else is,
    so the lag is subtracted from an end of the log. That end is older than the
    lag, so the offset may be too small, and never goes back for it.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int], tuple[int, int]] = {}

    def offset(self, state: ShareState, earlier_end: int | None) -> int:
        offset = state.start
        if state.lag >= 0 and earlier_end is not None:
            offset = max(offset, earlier_end - state.lag)
        start, before = self._known.get(state[:3], (0, 0))
        if state.start >= start:
            offset = max(offset, before)
        self._known[state[:3]] = (state.start, offset)
        return offset


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

    def states(self, group: str) -> Iterator[ShareState]:
        """Each of a group's partitions that has been begun."""
        request = DescribeShareGroupOffsetsRequest([DescribeShareGroupOffsetsRequestGroup(group)])
        answer = self._cluster.request_coordinator(group, request)
        for found in answer.groups:
            check(found.error_code, found.error_message)
            for topic in found.topics:
                for partition in topic.partitions:
                    if not partition.error_code and partition.start_offset >= 0:
                        yield ShareState(
                            group,
                            topic.topic_name,
                            partition.partition_index,
                            partition.start_offset,
                            partition.lag,
                        )

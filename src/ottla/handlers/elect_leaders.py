"""ElectLeaders (API key 43), versions 0 to 2.

v1 election type (KIP-460). The only broker leads everything already:
ELECTION_NOT_NEEDED, which is left out when no partition was named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import require_cluster
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

PREFERRED: Final = 0
UNCLEAN: Final = 1
UNKNOWN_TYPE: Final = "There is no such type of election."


def handle(
    broker: Broker, request: RequestContext, message: ElectLeadersRequest
) -> ElectLeadersResponse:
    """Nothing changes; each partition named is told why."""
    require_cluster(request, Operation.ALTER)
    if message.election_type not in (PREFERRED, UNCLEAN):
        return ElectLeadersResponse(
            error_code=ErrorCode.INVALID_REQUEST,
            replica_election_results=[
                ReplicaElectionResult(
                    topic.topic,
                    [
                        PartitionResult(index, ErrorCode.INVALID_REQUEST, UNKNOWN_TYPE)
                        for index in topic.partitions
                    ],
                )
                for topic in message.topic_partitions or ()
            ],
        )
    response = ElectLeadersResponse()
    for topic in message.topic_partitions or ():
        rows = []
        for index in topic.partitions:
            partition = broker.find_partition(topic.topic, index)
            if partition is None:
                code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                row = PartitionResult(index, code, _missing(broker, topic.topic, index))
            elif partition.offline_error:
                code = ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
                if message.election_type == UNCLEAN:
                    code = ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE
                row = PartitionResult(index, code, "The log directory is offline.")
            else:
                row = PartitionResult(
                    index,
                    ErrorCode.ELECTION_NOT_NEEDED,
                    "Leader election not needed for topic partition.",
                )
            rows.append(row)
        response.replica_election_results.append(ReplicaElectionResult(topic.topic, rows))
    return response


def _missing(broker: Broker, topic_name: str, index: int) -> str:
    if topic_name not in broker.metadata.topics:
        return f"No such topic as {topic_name}"
    return f"No such partition as {topic_name}-{index}"

"""WriteTxnMarkers (API key 27), versions 1 to 2.

v2 transaction version (KIP-1228). Between brokers in Apache Kafka; here it
serves `Admin.abortTransaction`, which ends a hanging transaction by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.coordinator_log import when_all_visible
from ottla.broker.request import Parked
from ottla.handlers.authorization import require_cluster
from ottla.storage.errors import AppendError
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.partitions import Partition
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: WriteTxnMarkersRequest) -> Parked:
    """Each partition has its marker, durably, or its own error."""
    require_cluster(request, Operation.CLUSTER_ACTION)
    response = WriteTxnMarkersResponse()
    written: list[Partition] = []
    for marker in message.markers:
        topics = []
        for topic in marker.topics:
            rows = []
            for index in topic.partition_indexes:
                partition = broker.find_partition(topic.name, index)
                if partition is None:
                    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                else:
                    code = _write(broker, partition, marker)
                    written.append(partition)
                rows.append(WritableTxnMarkerPartitionResult(index, code))
            topics.append(WritableTxnMarkerTopicResult(topic.name, rows))
        response.markers.append(WritableTxnMarkerResult(marker.producer_id, topics))

    def proceed(error: ErrorCode) -> None:
        if error:
            for marker in response.markers:
                for topic in marker.topics:
                    for row in topic.partitions:
                        row.error_code = row.error_code or error
        request.complete(response)

    when_all_visible(written, proceed)
    return Parked.LATER


def _write(broker: Broker, partition: Partition, marker: WritableTxnMarker) -> ErrorCode:
    try:
        broker.coordinators.write_marker(
            partition,
            marker.producer_id,
            marker.producer_epoch,
            committed=marker.transaction_result,
            coordinator_epoch=marker.coordinator_epoch,
        )
    except AppendError as error:
        return error.code
    return ErrorCode.NONE

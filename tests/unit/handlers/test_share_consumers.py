"""Share groups through dispatch."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.core import Client, Core, batch, values
from tests.support.requests import create_topic, produce

from ottla.wire.errors import ErrorCode
from ottla.wire.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsRequestPartition,
    AlterShareGroupOffsetsRequestTopic,
)
from ottla.wire.messages.delete_groups import DeleteGroupsRequest
from ottla.wire.messages.delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsRequestTopic,
)
from ottla.wire.messages.delete_topics import DeleteTopicsRequest
from ottla.wire.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
    DescribeShareGroupOffsetsResponsePartition,
)
from ottla.wire.messages.end_txn import EndTxnRequest
from ottla.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from ottla.wire.messages.init_producer_id import InitProducerIdRequest
from ottla.wire.messages.share_acknowledge import (
    AcknowledgementBatch,
    AcknowledgePartition,
    AcknowledgeTopic,
    ShareAcknowledgeRequest,
    ShareAcknowledgeResponse,
)
from ottla.wire.messages.share_fetch import (
    AcknowledgementBatch as FetchedBatch,
)
from ottla.wire.messages.share_fetch import (
    FetchPartition,
    FetchTopic,
    PartitionData,
    ShareFetchRequest,
    ShareFetchResponse,
)
from ottla.wire.messages.share_group_describe import ShareGroupDescribeRequest
from ottla.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest

ACCEPT, RELEASE, RENEW = 1, 2, 4


class Sharer:
    """A share consumer of topic "t", partition 0."""

    def __init__(self, core: Core, topic_id: bytes, name: str = "m") -> None:
        self.client = core.client()
        self.topic_id = topic_id
        self.name = name
        self.epoch = 0

    def request(
        self, *, max_wait_ms: int = 0, acknowledge: FetchedBatch | None = None, most: int = 500
    ) -> ShareFetchRequest:
        batches = [] if acknowledge is None else [acknowledge]
        request = ShareFetchRequest(
            "g",
            self.name,
            self.epoch,
            max_wait_ms,
            1,
            1_000_000,
            most,
            500,
            topics=[FetchTopic(self.topic_id, [FetchPartition(0, batches)])],
        )
        self.epoch += 1
        return request

    def fetch(self, **options: object) -> PartitionData | None:
        response = self.client.call(self.request(**options), 2)  # type: ignore[arg-type]
        assert response.error_code == 0
        return partition_of(response)

    def acknowledge(self, first: int, last: int, *types: int, epoch: int | None = None) -> int:
        response = self.send_acknowledgement(first, last, *types, epoch=epoch)
        assert response.error_code == 0
        return response.responses[0].partitions[0].error_code

    def send_acknowledgement(
        self, first: int, last: int, *types: int, epoch: int | None = None
    ) -> ShareAcknowledgeResponse:
        request = ShareAcknowledgeRequest(
            "g",
            self.name,
            self.epoch if epoch is None else epoch,
            RENEW in types,
            [
                AcknowledgeTopic(
                    self.topic_id,
                    [AcknowledgePartition(0, [AcknowledgementBatch(first, last, list(types))])],
                )
            ],
        )
        self.epoch += 1
        return self.client.call(request, 2)


def partition_of(response: ShareFetchResponse) -> PartitionData | None:
    """The one partition, if there is anything to say of it."""
    if not response.responses:
        return None
    data = response.responses[0].partitions[0]
    said = data.error_code or data.acknowledge_error_code or data.acquired_records
    return data if said else None


def acquired(data: PartitionData | None) -> list[tuple[int, int, int]]:
    if data is None:
        return []
    return [(a.first_offset, a.last_offset, a.delivery_count) for a in data.acquired_records]


def configure(client: Client, **settings: str) -> None:
    rows = [AlterableConfig(k.replace("_", "."), 0, v) for k, v in settings.items()]
    response = client.call(IncrementalAlterConfigsRequest([AlterConfigsResource(32, "g", rows)]), 1)
    assert response.responses[0].error_code == 0


def prepare(core: Core, *written: str) -> bytes:
    """Topic "t" with records, and a group that begins with the earliest."""
    client = core.client()
    created = client.call(create_topic("t"), 7)
    configure(client, share_auto_offset_reset="earliest")
    if written:
        client.call(produce("t", batch(*written)), 9)
    heartbeat(core)
    return created.topics[0].topic_id


def heartbeat(core: Core, name: str = "m", epoch: int = 0) -> int:
    reply = core.client().call(ShareGroupHeartbeatRequest("g", name, epoch, None, ["t"]), 1)
    return reply.error_code


def offsets(core: Core) -> DescribeShareGroupOffsetsResponsePartition:
    request = DescribeShareGroupOffsetsRequest([DescribeShareGroupOffsetsRequestGroup("g")])
    response = core.client().call(request, 1)
    assert response.groups[0].error_code == 0
    return response.groups[0].topics[0].partitions[0]


def test_records_are_acquired_and_accepted(core: Core) -> None:
    sharer = Sharer(core, prepare(core, "a", "b", "c"))
    data = sharer.fetch()
    assert acquired(data) == [(0, 2, 1)]
    assert data is not None
    assert values(data.records) == ["a", "b", "c"]
    assert sharer.acknowledge(0, 1, ACCEPT) == 0
    assert (offsets(core).start_offset, offsets(core).lag) == (2, 1)
    assert sharer.acknowledge(2, 2, ACCEPT) == 0
    assert offsets(core).start_offset == 3
    described = core.client().call(ShareGroupDescribeRequest(["g", "no"]), 1).groups
    assert described[0].members[0].assignment.topic_partitions[0].topic_name == "t"
    assert described[1].error_code == ErrorCode.GROUP_ID_NOT_FOUND


def test_acknowledgements_ride_on_fetches(core: Core) -> None:
    sharer = Sharer(core, prepare(core, "a", "b"))
    sharer.fetch()
    data = sharer.fetch(acknowledge=FetchedBatch(0, 1, [ACCEPT, RELEASE]))
    assert data is not None
    assert data.acknowledge_error_code == 0
    assert acquired(data) == [(1, 1, 2)]
    data = sharer.fetch(acknowledge=FetchedBatch(0, 0, [9]))
    assert data is not None
    assert data.acknowledge_error_code == ErrorCode.INVALID_REQUEST


def test_progress_survives_a_restart(core: Core) -> None:
    topic_id = prepare(core, "a", "b", "c")
    sharer = Sharer(core, topic_id)
    sharer.fetch()
    sharer.acknowledge(0, 0, ACCEPT)
    core.restart()
    again = Sharer(core, topic_id)
    data = again.fetch()
    assert acquired(data) == [(1, 2, 1)]


def test_a_fetch_waits_for_records(core: Core) -> None:
    topic_id = prepare(core)
    sharer = Sharer(core, topic_id)
    waits = sharer.client
    waits.send(sharer.request(max_wait_ms=5_000), 2)
    assert waits.read() is None
    core.client().call(produce("t", batch("new")), 9)
    response = waits.read()
    assert response is not None
    assert acquired(partition_of(response)) == [(0, 0, 1)]


def test_a_fetch_waits_no_longer_than_it_wants(core: Core) -> None:
    sharer = Sharer(core, prepare(core))
    waits = sharer.client
    waits.send(sharer.request(max_wait_ms=500), 2)
    core.advance(499)
    assert waits.read() is None
    core.advance(1)
    response = waits.read()
    assert response is not None
    assert partition_of(response) is None


def test_what_is_given_back_wakes_who_waits(core: Core) -> None:
    topic_id = prepare(core, "a")
    first, second = Sharer(core, topic_id, "m"), Sharer(core, topic_id, "n")
    assert acquired(first.fetch()) == [(0, 0, 1)]
    waits = second.client
    waits.send(second.request(max_wait_ms=60_000), 2)
    first.acknowledge(0, 0, RELEASE)
    response = waits.read()
    assert response is not None
    assert acquired(partition_of(response)) == [(0, 0, 2)]
    waits = first.client
    waits.send(first.request(max_wait_ms=60_000), 2)
    core.advance(30_000)  # the lock expires
    response = waits.read()
    assert response is not None
    assert acquired(partition_of(response)) == [(0, 0, 3)]


def test_a_renewed_lock_lasts(core: Core) -> None:
    topic_id = prepare(core, "a")
    first, second = Sharer(core, topic_id, "m"), Sharer(core, topic_id, "n")
    first.fetch()
    core.advance(20_000)
    assert first.acknowledge(0, 0, RENEW) == 0
    core.advance(20_000)
    assert second.fetch() is None
    assert first.acknowledge(0, 0, ACCEPT) == 0


def test_a_client_that_leaves_gives_its_records_back(core: Core) -> None:
    topic_id = prepare(core, "a")
    first, second = Sharer(core, topic_id, "m"), Sharer(core, topic_id, "n")
    first.fetch()
    assert second.fetch() is None
    core.broker.connection_lost(first.client.connection)
    core.settle()
    assert acquired(second.fetch()) == [(0, 0, 2)]


def test_closing_a_session_gives_its_records_back(core: Core) -> None:
    topic_id = prepare(core, "a", "b")
    first, second = Sharer(core, topic_id, "m"), Sharer(core, topic_id, "n")
    first.fetch()
    assert first.acknowledge(0, 0, ACCEPT, epoch=-1) == 0
    assert acquired(second.fetch()) == [(1, 1, 2)]
    second.epoch = -1
    response = second.client.call(second.request(), 2)
    assert response.error_code == 0
    assert response.acquisition_lock_timeout_ms == 30_000


def test_session_epochs_are_checked(core: Core) -> None:
    sharer = Sharer(core, prepare(core, "a"))
    assert sharer.send_acknowledgement(0, 0, ACCEPT).error_code == (
        ErrorCode.INVALID_SHARE_SESSION_EPOCH
    )
    sharer.epoch = 3
    response = sharer.client.call(sharer.request(), 2)
    assert response.error_code == ErrorCode.SHARE_SESSION_NOT_FOUND
    sharer.epoch = 0
    sharer.fetch()
    sharer.epoch = 7
    response = sharer.client.call(sharer.request(), 2)
    assert response.error_code == ErrorCode.INVALID_SHARE_SESSION_EPOCH
    nobody = sharer.client.call(ShareFetchRequest(None, None), 2)
    assert nobody.error_code == ErrorCode.INVALID_REQUEST
    sharer.epoch = 0
    early = sharer.client.call(sharer.request(acknowledge=FetchedBatch(0, 0, [ACCEPT])), 2)
    assert early.error_code == ErrorCode.INVALID_REQUEST


def test_partitions_that_are_not_there(core: Core) -> None:
    sharer = Sharer(core, b"?" * 16)
    prepare(core)
    data = sharer.fetch()
    assert data is not None
    assert data.error_code == ErrorCode.UNKNOWN_TOPIC_ID
    assert sharer.acknowledge(0, 0, ACCEPT) == ErrorCode.UNKNOWN_TOPIC_ID


def test_offsets_are_set_and_deleted_while_the_group_is_empty(core: Core) -> None:
    topic_id = prepare(core, "a", "b", "c")
    sharer = Sharer(core, topic_id)
    sharer.fetch()
    sharer.acknowledge(0, 2, ACCEPT)
    client = core.client()
    alter = AlterShareGroupOffsetsRequest(
        "g",
        [
            AlterShareGroupOffsetsRequestTopic(
                "t",
                [
                    AlterShareGroupOffsetsRequestPartition(0, 1),
                    AlterShareGroupOffsetsRequestPartition(9, 1),
                ],
            )
        ],
    )
    delete = DeleteShareGroupOffsetsRequest(
        "g", [DeleteShareGroupOffsetsRequestTopic("t"), DeleteShareGroupOffsetsRequestTopic("?")]
    )
    for request in (alter, delete):
        assert client.call(request, 0).error_code == ErrorCode.NON_EMPTY_GROUP
    heartbeat(core, epoch=-1)
    altered = client.call(alter, 0).responses[0]
    assert [p.error_code for p in altered.partitions] == [
        0,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    assert offsets(core).start_offset == 1
    again = Sharer(core, topic_id, "n")
    assert acquired(again.fetch()) == [(1, 2, 1)]
    deleted = client.call(delete, 0).responses
    assert [t.error_code for t in deleted] == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    all_offsets = client.call(
        DescribeShareGroupOffsetsRequest([DescribeShareGroupOffsetsRequestGroup("g")]), 1
    )
    assert all_offsets.groups[0].topics == []
    assert client.call(DeleteGroupsRequest(["g"]), 2).results[0].error_code == 0
    gone = client.call(
        DescribeShareGroupOffsetsRequest([DescribeShareGroupOffsetsRequestGroup("g")]), 1
    )
    assert gone.groups[0].error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert client.call(delete, 0).error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert client.call(alter, 0).error_code == 0  # makes the group
    core.restart()
    assert offsets(core).start_offset == 1


def test_a_deleted_topic_takes_its_progress_along(core: Core) -> None:
    topic_id = prepare(core, "a")
    Sharer(core, topic_id).fetch()
    coordinator = core.broker.share_groups.coordinator
    assert coordinator.keys_of("g")
    core.client().call(DeleteTopicsRequest(topic_names=["t"]), 5)
    assert coordinator.keys_of("g") == []


def test_a_new_group_begins_where_it_is_told(core: Core) -> None:
    topic_id = prepare(core, "a", "b")
    configure(core.client(), share_auto_offset_reset="latest")
    assert Sharer(core, topic_id).fetch() is None
    assert offsets(core).start_offset == 2


def test_a_new_group_begins_some_time_ago(core: Core) -> None:
    topic_id = prepare(core, "a", "b")
    configure(core.client(), share_auto_offset_reset="by_duration:P1DT2H3M4.5S")
    assert acquired(Sharer(core, topic_id).fetch()) == [(0, 1, 1)]


def test_groups_may_leave_out_aborted_records(core: Core) -> None:
    topic_id = prepare(core, "a")
    client = core.client()
    configure(client, share_isolation_level="read_committed")
    producer = client.call(InitProducerIdRequest("tx", 60_000), 5)

    def write(value: str, sequence: int, epoch: int) -> None:
        data = batch(
            value,
            producer_id=producer.producer_id,
            producer_epoch=epoch,
            base_sequence=sequence,
            transactional=True,
        )
        response = client.call(produce("t", data, transactional_id="tx"), 12)
        assert response.responses[0].partition_responses[0].error_code == 0

    write("never", 0, 0)
    sharer = Sharer(core, topic_id)
    assert acquired(sharer.fetch()) == [(0, 0, 1)]
    assert sharer.fetch() is None
    ended = client.call(EndTxnRequest("tx", producer.producer_id, 0, False), 5)
    write("yes", 0, ended.producer_epoch)
    client.call(EndTxnRequest("tx", producer.producer_id, ended.producer_epoch, True), 5)
    data = sharer.fetch()
    assert data is not None
    assert acquired(data) == [(3, 3, 1)]


def test_aborted_records_larger_than_a_fetch_hold_nobody_up(core: Core) -> None:
    topic_id = prepare(core)
    client = core.client()
    configure(client, share_isolation_level="read_committed")
    producer = client.call(InitProducerIdRequest("tx", 60_000), 5)
    for sequence in range(5):
        data = batch(
            "x" * 1_000,
            producer_id=producer.producer_id,
            producer_epoch=0,
            base_sequence=sequence,
            transactional=True,
        )
        client.call(produce("t", data, transactional_id="tx"), 12)
    client.call(EndTxnRequest("tx", producer.producer_id, 0, False), 5)
    client.call(produce("t", batch("yes")), 9)
    sharer = Sharer(core, topic_id)
    request = sharer.request()
    request.max_bytes = 100
    assert acquired(partition_of(sharer.client.call(request, 2))) == [(6, 6, 1)]


def test_answers_wait_until_progress_is_durable(make_core: Callable[..., Core]) -> None:
    core = make_core()
    topic_id = prepare(core, "a")
    sharer = Sharer(core, topic_id)
    sharer.fetch()
    core.flushes_by_hand = True
    request = ShareAcknowledgeRequest(
        "g",
        "m",
        1,
        False,
        [
            AcknowledgeTopic(
                topic_id, [AcknowledgePartition(0, [AcknowledgementBatch(0, 0, [ACCEPT])])]
            )
        ],
    )
    waits = sharer.client
    waits.send(request, 2)
    assert waits.read() is None
    core.flush()
    assert waits.read() is not None


def test_a_request_that_renews_acquires_nothing(core: Core) -> None:
    sharer = Sharer(core, prepare(core, "a"))
    sharer.fetch()
    core.client().call(produce("t", batch("b")), 9)
    request = sharer.request(acknowledge=FetchedBatch(0, 0, [RENEW]))
    request.is_renew_ack = True
    response = sharer.client.call(request, 2)
    (data,) = response.responses[0].partitions
    assert (data.acknowledge_error_code, data.acquired_records) == (0, [])

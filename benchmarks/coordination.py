"""What the coordinators do: transactions, a group's rebalance, a share group's acknowledgements."""

from __future__ import annotations

import time
import uuid
from typing import Final

from confluent_kafka import Producer

from benchmarks.processes import usage
from benchmarks.systems import Apache, Ottla
from ottla.batch.record_batch import Record, build_batch
from ottla.client import Connection
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from ottla.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ottla.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ottla.wire.messages.share_fetch import (
    AcknowledgementBatch,
    FetchPartition,
    FetchTopic,
    ShareFetchRequest,
    ShareFetchResponse,
)
from ottla.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from ottla.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment

Figures = dict[str, float]
RECORDS: Final = 100
REBALANCES: Final = 10
GROUP_RESOURCE: Final = 32
ACCEPT: Final = 1
SHARE_BATCH: Final = 500
PATIENCE_S: Final = 30.0
#: A subscription to no topic and an assignment of nothing (version 0).
NOTHING: Final = b"\0\0\0\0\0\0\xff\xff\xff\xff"


def transactions(system: Ottla | Apache, *, seconds: float) -> Figures:
    """One producer, 100 records in each transaction, one after the other."""
    topic = system.create_topic(4)
    producer = Producer(
        {
            "bootstrap.servers": system.bootstrap_servers,
            "log_level": 0,
            "transactional.id": f"bench-{uuid.uuid4().hex}",
            "linger.ms": 0,
        }
    )

    def one() -> None:
        producer.begin_transaction()
        for i in range(RECORDS):
            producer.produce(topic, b"x" * 100, partition=i % 4)
        producer.commit_transaction()

    try:
        producer.init_transactions(PATIENCE_S)
        for _ in range(5):
            one()
        before, count = usage(system.pid), 0
        end = before.wall_s + seconds
        while time.perf_counter() < end:
            one()
            count += 1
        spent = usage(system.pid).since(before)
    finally:
        system.delete_topic(topic)
    return {"per_s": count / spent.wall_s, "cpu_ms": spent.cpu_s * 1e3 / count}


class _Members:
    """Members of a classic group, each on a connection of its own, all in this thread."""

    def __init__(self, system: Ottla | Apache, count: int) -> None:
        self.group = f"bench-{uuid.uuid4().hex}"
        self._round = 0
        with system.cluster as cluster:
            coordinator = cluster.retry(lambda: cluster.coordinator(self.group))
            place = coordinator.host, coordinator.port
        self.connections = [Connection(*place) for _ in range(count)]
        self.ids = [self._new_id(connection) for connection in self.connections]

    def _join_request(self, member: str) -> JoinGroupRequest:
        # What a member says of itself has changed: that begins a rebalance, whoever says it.
        metadata = NOTHING[:-4] + b"\0\0\0\x04" + self._round.to_bytes(4, "big")
        protocols = [JoinGroupRequestProtocol("range", metadata)]
        return JoinGroupRequest(self.group, 60_000, 60_000, member, None, "consumer", protocols)

    def _new_id(self, connection: Connection) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = connection.request(self._join_request(""))
            if answer.error_code == ErrorCode.MEMBER_ID_REQUIRED:
                return answer.member_id
            if time.monotonic() > deadline:
                raise TimeoutError(f"no member id: error {answer.error_code}")
            time.sleep(0.05)  # the coordinator is still being made

    def rebalance(self, count: int) -> None:
        """The first `count` join again, the leader assigns, all have what is assigned."""
        self._round += 1
        pairs = list(zip(self.connections, self.ids, strict=True))[:count]
        joins = [(each, each.send(self._join_request(member))) for each, member in pairs]
        joined = [(each, each.receive(ticket)) for each, ticket in joins]
        syncs = []
        for each, answer in joined:
            assert not answer.error_code, answer
            given = [SyncGroupRequestAssignment(m.member_id, NOTHING) for m in answer.members]
            request = SyncGroupRequest(
                self.group, answer.generation_id, answer.member_id, None, "consumer", "range", given
            )
            syncs.append((each, each.send(request)))
        for each, sync in syncs:
            assert not each.receive(sync).error_code

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


def rebalance(system: Ottla | Apache, *, members: int) -> Figures:
    """Milliseconds from the first JoinGroup to the last assignment, for `members` at once."""
    group = _Members(system, members)
    try:
        group.rebalance(1)
        group.rebalance(members)
        before = usage(system.pid)
        for _ in range(REBALANCES):
            group.rebalance(members)
        spent = usage(system.pid).since(before)
    finally:
        group.close()
    return {"ms": spent.wall_s * 1e3 / REBALANCES, "cpu_ms": spent.cpu_s * 1e3 / REBALANCES}


def share_acknowledgements(system: Ottla | Apache, *, records: int) -> Figures:
    """One member takes records by the few hundred and accepts them with its next fetch."""
    topic = system.create_topic(1)
    try:
        with system.cluster as cluster:
            connection = cluster.leader(topic, 0)
            _fill(connection, topic, records)
            member = _ShareMember(connection, cluster.topic(topic).topic_id)
            member.join(topic)
            before = usage(system.pid)
            done = member.take(records)
            spent = usage(system.pid).since(before)
    finally:
        system.delete_topic(topic)
    return {"per_s": done / spent.wall_s, "cpu_us": spent.cpu_s * 1e6 / done}


def _fill(connection: Connection, topic: str, records: int) -> None:
    now = int(time.time() * 1000)
    batch = bytes(build_batch([Record(i, now, None, b"x" * 100, ()) for i in range(SHARE_BATCH)]))
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(0, batch)])
    for _ in range(records // SHARE_BATCH):
        answer = connection.request(ProduceRequest(None, -1, 30_000, [data]), 9)
        assert not answer.responses[0].partition_responses[0].error_code, answer


class _ShareMember:
    """The only member of a new share group."""

    def __init__(self, connection: Connection, topic_id: bytes) -> None:
        self.connection = connection
        self.topic_id = topic_id
        self.group = f"bench-{uuid.uuid4().hex}"
        self.id = str(uuid.uuid4())
        self.epoch = 0

    def join(self, topic: str) -> None:
        """Join, from the earliest record on, and wait for the partition."""
        change = AlterableConfig("share.auto.offset.reset", 0, "earliest")
        resource = AlterConfigsResource(GROUP_RESOURCE, self.group, [change])
        self.connection.request(IncrementalAlterConfigsRequest([resource]))
        member_epoch, names = 0, [topic]
        deadline = time.monotonic() + PATIENCE_S
        while True:
            beat = self.connection.request(
                ShareGroupHeartbeatRequest(
                    self.group, self.id, member_epoch, subscribed_topic_names=names or None
                )
            )
            if not beat.error_code:
                member_epoch, names = beat.member_epoch, []
                if beat.assignment is not None and beat.assignment.topic_partitions:
                    return
            if time.monotonic() > deadline:
                raise TimeoutError("the share group's member was assigned nothing")
            time.sleep(0.05)

    def take(self, records: int) -> int:
        """Acquire and accept until so many are accepted; returns how many."""
        done = 0
        held: list[AcknowledgementBatch] = []
        deadline = time.monotonic() + PATIENCE_S
        while done < records:
            answer = self._fetch(held)
            done += sum(b.last_offset - b.first_offset + 1 for b in held)
            held = [
                AcknowledgementBatch(a.first_offset, a.last_offset, [ACCEPT])
                for topic in answer.responses
                for partition in topic.partitions
                for a in partition.acquired_records
            ]
            if time.monotonic() > deadline:
                raise TimeoutError(f"{done} of {records} records were acknowledged")
        return done

    def _fetch(self, held: list[AcknowledgementBatch]) -> ShareFetchResponse:
        topics = [FetchTopic(self.topic_id, [FetchPartition(0, held)])]
        answer = self.connection.request(
            ShareFetchRequest(
                self.group, self.id, self.epoch, 100, 1, 4_000_000, SHARE_BATCH, SHARE_BATCH,
                topics=topics,
            )
        )  # fmt: skip
        if answer.error_code:
            if self.epoch == 0:  # the group's state of this partition is being made
                time.sleep(0.05)
                return ShareFetchResponse()
            raise RuntimeError(f"ShareFetch: error {answer.error_code} {answer.error_message}")
        for topic in answer.responses:
            for partition in topic.partitions:
                code = partition.error_code or partition.acknowledge_error_code
                assert not code, (code, partition.error_message)
        self.epoch += 1
        return answer

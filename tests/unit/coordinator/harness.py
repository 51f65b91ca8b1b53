"""Drives a group coordinator as the broker does, without a disk or a clock."""

from __future__ import annotations

import itertools
from typing import TypeVar

from ottla.coordinator.consumer_protocol import Subscription, encode_subscription
from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.group_coordinator import GroupCoordinator
from ottla.coordinator.outcome import Client, CoordinatorRecord, Outcome
from ottla.wire.message import Message
from ottla.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from ottla.wire.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from ottla.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from ottla.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponsePartitions,
)
from ottla.wire.messages.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)

M = TypeVar("M", bound=Message)
START_WALL_MS = 1_700_000_000_000


class Harness:
    """One group "g" of a coordinator whose log is a list."""

    def __init__(self, config: GroupConfig | None = None) -> None:
        self.config = config or GroupConfig()
        self.log: list[tuple[CoordinatorRecord, int] | tuple[str, int, bool]] = []
        self.replies: dict[object, Message] = {}
        self.now_ms = 0
        self._ids = itertools.count(1)
        self.waiters = itertools.count(1)
        self.coordinator = self._fresh()
        self.coordinator.loaded(self.now_ms)

    def _fresh(self) -> GroupCoordinator:
        return GroupCoordinator(
            self.config, lambda size: next(self._ids).to_bytes(size, "big"), partition_count=1
        )

    @property
    def wall_ms(self) -> int:
        return START_WALL_MS + self.now_ms

    def apply(self, outcome: Outcome) -> None:
        producer_id = outcome.producer.producer_id if outcome.producer else -1
        for record in outcome.records:
            self.log.append((record, producer_id))
            self.coordinator.replay(record, len(self.log) - 1, producer_id)
        for waiter, message in outcome.replies:
            assert waiter not in self.replies, "answered twice"
            self.replies[waiter] = message

    def marker(self, producer_id: int, committed: bool) -> None:
        self.log.append(("marker", producer_id, committed))
        self.coordinator.replay_marker(0, producer_id, committed=committed)

    def reloaded(self) -> GroupCoordinator:
        """A coordinator that knows nothing but the log."""
        fresh = self._fresh()
        for offset, entry in enumerate(self.log):
            if len(entry) == 3:
                fresh.replay_marker(0, entry[1], committed=entry[2])
            else:
                fresh.replay(entry[0], offset, entry[1])
        return fresh

    def restart(self) -> None:
        self.coordinator = self.reloaded()
        self.coordinator.loaded(self.now_ms)

    def advance(self, milliseconds: int) -> None:
        """Let time pass, stopping at every deadline on the way."""
        target = self.now_ms + milliseconds
        while (due := self.coordinator.next_deadline_ms()) is not None and due <= target:
            self.now_ms = max(self.now_ms, due)
            for _, outcome in self.coordinator.on_time(self.wall_ms, self.now_ms):
                self.apply(outcome)
        self.now_ms = target

    def answer(self, waiter: object, cls: type[M]) -> M:
        message = self.replies[waiter]
        assert isinstance(message, cls)
        return message

    # --- requests

    def join(
        self,
        member_id: str = "",
        *,
        version: int = 9,
        instance: str | None = None,
        protocols: dict[str, bytes] | None = None,
        session_timeout_ms: int = 10_000,
        rebalance_timeout_ms: int = 60_000,
        protocol_type: str = "consumer",
        client_id: str = "c",
        group: str = "g",
    ) -> int:
        """Send a JoinGroup; returns the waiter to look the reply up with."""
        waiter = next(self.waiters)
        if protocols is None:
            protocols = {"range": subscription("t")}
        request = JoinGroupRequest(
            group_id=group,
            session_timeout_ms=session_timeout_ms,
            rebalance_timeout_ms=rebalance_timeout_ms,
            member_id=member_id,
            group_instance_id=instance,
            protocol_type=protocol_type,
            protocols=[JoinGroupRequestProtocol(n, memoryview(m)) for n, m in protocols.items()],
        )
        client = Client(client_id, "/127.0.0.1", version)
        self.apply(self.coordinator.join_group(request, client, waiter, self.wall_ms, self.now_ms))
        return waiter

    def joined(self, waiter: int) -> JoinGroupResponse:
        return self.answer(waiter, JoinGroupResponse)

    def new_member(self, **options: object) -> int:
        """Join as a modern dynamic member does: get an id, come back with it."""
        first = self.joined(self.join(**options))  # type: ignore[arg-type]
        return self.join(first.member_id, **options)  # type: ignore[arg-type]

    def sync(
        self,
        member_id: str,
        generation: int,
        assignments: dict[str, bytes] | None = None,
        *,
        instance: str | None = None,
        protocol_name: str | None = None,
    ) -> int:
        waiter = next(self.waiters)
        request = SyncGroupRequest(
            group_id="g",
            generation_id=generation,
            member_id=member_id,
            group_instance_id=instance,
            protocol_type=None if protocol_name is None else "consumer",
            protocol_name=protocol_name,
            assignments=[
                SyncGroupRequestAssignment(m, memoryview(a)) for m, a in (assignments or {}).items()
            ],
        )
        client = Client("c", "/127.0.0.1", 4 if protocol_name is None else 5)
        self.apply(self.coordinator.sync_group(request, client, waiter, self.wall_ms, self.now_ms))
        return waiter

    def synced(self, waiter: object) -> SyncGroupResponse:
        return self.answer(waiter, SyncGroupResponse)

    def heartbeat(self, member_id: str, generation: int, instance: str | None = None) -> int:
        """The error code of a heartbeat."""
        waiter = next(self.waiters)
        request = HeartbeatRequest("g", generation, member_id, instance)
        client = Client("c", "/127.0.0.1", 4)
        self.apply(self.coordinator.heartbeat(request, client, waiter, self.wall_ms, self.now_ms))
        return self.answer(waiter, HeartbeatResponse).error_code

    def leave(self, *members: str | tuple[str, str | None], version: int = 5) -> LeaveGroupResponse:
        waiter = next(self.waiters)
        identities = [
            MemberIdentity(m) if isinstance(m, str) else MemberIdentity(m[0], m[1]) for m in members
        ]
        request = LeaveGroupRequest("g", identities, identities[0].member_id)
        client = Client("c", "/127.0.0.1", version)
        self.apply(self.coordinator.leave_group(request, client, waiter, self.wall_ms, self.now_ms))
        return self.answer(waiter, LeaveGroupResponse)

    def commit(
        self,
        offset: int,
        *,
        member_id: str = "",
        generation: int = -1,
        instance: str | None = None,
        topic: str = "t",
        partition: int = 0,
        metadata: str | None = "",
        group: str = "g",
        version: int = 9,
        retention_ms: int = -1,
    ) -> int:
        """The error code of a commit."""
        waiter = next(self.waiters)
        request = OffsetCommitRequest(
            group_id=group,
            generation_id_or_member_epoch=generation,
            member_id=member_id,
            group_instance_id=instance,
            retention_time_ms=retention_ms,
            topics=[
                OffsetCommitRequestTopic(
                    name=topic,
                    partitions=[
                        OffsetCommitRequestPartition(
                            partition_index=partition,
                            committed_offset=offset,
                            committed_metadata=metadata,
                        )
                    ],
                )
            ],
        )
        client = Client("c", "/127.0.0.1", version)
        self.apply(
            self.coordinator.offset_commit(request, client, waiter, self.wall_ms, self.now_ms)
        )
        response = self.answer(waiter, OffsetCommitResponse)
        return response.topics[0].partitions[0].error_code

    def fetch(
        self, topic: str = "t", partition: int = 0, *, group: str = "g", stable: bool = False
    ) -> OffsetFetchResponsePartitions:
        request = OffsetFetchRequest(
            groups=[
                OffsetFetchRequestGroup(
                    group_id=group,
                    topics=[OffsetFetchRequestTopics(name=topic, partition_indexes=[partition])],
                )
            ],
            require_stable=stable,
        )
        response = self.coordinator.offset_fetch(request, Client("c", "/127.0.0.1", 9))
        return response.groups[0].topics[0].partitions[0]

    def stable_group(self, *members: dict[str, object]) -> list[str]:
        """A stable group of these members (join options each); returns their ids."""
        waiters = [self._join_one(options) for options in (members or ({},))]
        # Those who were in are asked to join again with each newcomer.
        ids: list[str] = []
        for _ in range(len(waiters) + 1):
            ids = self.member_ids()
            for member_id in ids:
                self._rejoin(member_id)
        generation = self.group_generation()
        leader = self.leader()
        for member_id in [m for m in ids if m != leader] + [leader]:
            assignments = {m: f"for {m}".encode() for m in ids} if member_id == leader else {}
            self.sync(member_id, generation, assignments)
        return ids

    def _join_one(self, options: dict[str, object]) -> int:
        if "instance" in options:
            return self.join(**options)  # type: ignore[arg-type]
        return self.new_member(**options)

    def _rejoin(self, member_id: str) -> None:
        group = self.coordinator._groups["g"]
        member = group.members[member_id]
        if group.state.value == "PreparingRebalance" and member.join_waiter is None:
            self.join(
                member_id,
                instance=member.group_instance_id,
                protocols=dict(member.protocols),
                session_timeout_ms=member.session_timeout_ms,
                rebalance_timeout_ms=member.rebalance_timeout_ms,
                protocol_type=member.protocol_type,
            )

    def member_ids(self) -> list[str]:
        return list(self.coordinator._groups["g"].members)

    def group_generation(self) -> int:
        return self.coordinator._groups["g"].generation_id

    def leader(self) -> str:
        leader = self.coordinator._groups["g"].leader_id
        assert leader is not None
        return leader

    def state(self, group: str = "g") -> str:
        return self.coordinator.describe_group(group, Client("c", "", 5)).group_state


def subscription(*topics: str) -> bytes:
    return encode_subscription(Subscription(list(topics)))

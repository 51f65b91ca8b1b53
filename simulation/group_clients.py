"""Members of groups, of the classic protocol and of KIP-848, for the simulated broker.

Each commits only to partitions it was given, in its generation or member epoch,
and the numbers it commits grow with the group: so an offset that goes back
shows that somebody committed who had no right to any more.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from ottla.wire.errors import ErrorCode
from ottla.wire.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    TopicPartitions,
)
from ottla.wire.messages.heartbeat import HeartbeatRequest
from ottla.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ottla.wire.messages.leave_group import LeaveGroupRequest
from ottla.wire.messages.metadata import MetadataRequest
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from ottla.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestTopic
from ottla.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from simulation.clients import PARTITIONS, PATIENCE, PLACES, STABLE_TOPICS, Call, Program
from simulation.history import History, Place
from simulation.log_model import Violation

#: Answers after which a member begins again.
REJOIN: Final = {
    ErrorCode.ILLEGAL_GENERATION,
    ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.REBALANCE_IN_PROGRESS,
    ErrorCode.FENCED_MEMBER_EPOCH,
    ErrorCode.STALE_MEMBER_EPOCH,
    ErrorCode.GROUP_ID_NOT_FOUND,
}
SESSION_MS: Final = 6_000
_NAME: Final = "simulated"


@dataclass(slots=True)
class Group:
    """What the members of one group were told, together."""

    name: str
    #: The next number to commit; grows with every commit of any member.
    number: int = 0
    #: (generation or epoch, place) to the member it was given to.
    owners: dict[tuple[int, Place], str] = field(default_factory=dict)

    def given(self, member: str, epoch: int, places: Iterable[Place]) -> None:
        """A member was told that these are its own."""
        for place in places:
            owner = self.owners.setdefault((epoch, place), member)
            if owner != member:
                raise Violation(
                    f"{self.name}: {place[0]}-{place[1]} was given to {owner} and to {member}, "
                    f"both at {epoch}"
                )


def _expect(group: Group, code: int) -> None:
    if code not in PATIENCE and code not in REJOIN:
        raise Violation(f"a member of {group.name} was answered {ErrorCode(code).name}")


def _commit(
    group: Group, member: str, epoch: int, place: Place, version: int, history: History
) -> Generator[Call, Any, bool]:
    """Commit the next number; returns whether the member may go on."""
    group.number += 1
    number = group.number
    history.attempt_commit(group.name, place, number)
    partition = OffsetCommitRequestPartition(partition_index=place[1], committed_offset=number)
    request = OffsetCommitRequest(
        group_id=group.name,
        generation_id_or_member_epoch=epoch,
        member_id=member,
        topics=[OffsetCommitRequestTopic(name=place[0], partitions=[partition])],
    )
    response = yield Call(request, version)
    if response is None:
        return True
    code = response.topics[0].partitions[0].error_code
    if code:
        _expect(group, code)
        return code not in REJOIN
    history.acknowledge_commit(group.name, place, number)
    return True


def reader_of_commits(
    name: str, rng: random.Random, history: History, *, rounds: int | None = None
) -> Program:
    """Looks up what a group has committed."""
    done = 0
    while rounds is None or done < rounds:
        done += 1
        place = rng.choice(PLACES) if rounds is None else PLACES[done % len(PLACES)]
        promised = history.committed_offsets.get((name, place), -1)
        topic = OffsetFetchRequestTopic(name=place[0], partition_indexes=[place[1]])
        response = yield Call(OffsetFetchRequest(group_id=name, topics=[topic]), 7)
        if response is None or response.error_code:
            continue
        found = response.topics[0].partitions[0]
        if not found.error_code:
            history.committed(name, place, found.committed_offset, promised)


# The classic protocol


def _encode(places: Iterable[Place]) -> bytes:
    return ",".join(f"{topic}/{index}" for topic, index in places).encode()


def _decode(assignment: bytes) -> list[Place]:
    pairs = (one.split("/") for one in bytes(assignment).decode().split(",") if one)
    return [(topic, int(index)) for topic, index in pairs]


def classic_member(group: Group, rng: random.Random, history: History) -> Program:
    """Joins, is given partitions by whoever leads, commits, leaves, and joins again."""
    member = ""
    while True:
        protocol = JoinGroupRequestProtocol(name=_NAME, metadata=b"any")
        request = JoinGroupRequest(
            group_id=group.name,
            session_timeout_ms=SESSION_MS,
            rebalance_timeout_ms=SESSION_MS,
            member_id=member,
            protocol_type="consumer",
            protocols=[protocol],
        )
        joined = yield Call(request, 5)
        if joined is None:
            continue
        if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            member = joined.member_id
            continue
        if joined.error_code:
            _expect(group, joined.error_code)
            member = "" if joined.error_code == ErrorCode.UNKNOWN_MEMBER_ID else member
            continue
        member = joined.member_id
        synced = yield _sync(group, member, joined)
        if synced is None:
            continue
        if synced.error_code:
            _expect(group, synced.error_code)
            member = "" if synced.error_code == ErrorCode.UNKNOWN_MEMBER_ID else member
            continue
        places = _decode(synced.assignment)
        group.given(member, joined.generation_id, places)
        if not (yield from _work(group, member, joined.generation_id, places, rng, history)):
            member = ""


def _sync(group: Group, member: str, joined: Any) -> Call:
    """The leader shares the partitions out, each generation in another way."""
    assignments = []
    if joined.leader == member:
        members = sorted(one.member_id for one in joined.members)
        for at, one in enumerate(members):
            turn = (at + joined.generation_id) % len(members)
            places = PLACES[turn :: len(members)]
            assignments.append(SyncGroupRequestAssignment(one, _encode(places)))
    request = SyncGroupRequest(
        group_id=group.name,
        generation_id=joined.generation_id,
        member_id=member,
        assignments=assignments,
    )
    return Call(request, 3)


def _work(
    group: Group,
    member: str,
    generation: int,
    places: list[Place],
    rng: random.Random,
    history: History,
) -> Generator[Call, Any, bool]:
    """Until the group has to be joined again; False when the member is a new one then."""
    while True:
        choice = rng.random()
        if choice < 0.05:
            yield Call(LeaveGroupRequest(group_id=group.name, member_id=member), 2)
            return False
        if choice < 0.6 and places:
            place = rng.choice(places)
            if not (yield from _commit(group, member, generation, place, 7, history)):
                return True
            continue
        beat = HeartbeatRequest(group_id=group.name, generation_id=generation, member_id=member)
        response = yield Call(beat, 3)
        if response is not None and response.error_code:
            _expect(group, response.error_code)
            if response.error_code in REJOIN:
                return bool(response.error_code != ErrorCode.UNKNOWN_MEMBER_ID)


# KIP-848


def consumer_member(group: Group, rng: random.Random, history: History) -> Program:
    """Heartbeats, takes and gives partitions as it is told, commits in its epoch, leaves."""
    names = yield from _topic_names()
    while True:
        # As real clients do, with an id of its own.
        yield from _consume(group, f"{group.name}-{rng.getrandbits(64):016x}", names, rng, history)


def _topic_names() -> Generator[Call, Any, dict[bytes, str]]:
    while True:
        response = yield Call(MetadataRequest(topics=None), 12)
        if response is not None:
            names = {t.topic_id: t.name for t in response.topics if t.name in STABLE_TOPICS}
            if len(names) == len(STABLE_TOPICS):
                return names


def _consume(
    group: Group, member: str, names: dict[bytes, str], rng: random.Random, history: History
) -> Program:
    """One life of a member."""
    epoch = 0
    owned: dict[bytes, list[int]] = {}
    while True:
        is_first = epoch == 0
        owning = [TopicPartitions(topic_id, parts) for topic_id, parts in owned.items() if parts]
        request = ConsumerGroupHeartbeatRequest(
            group_id=group.name,
            member_id=member,
            member_epoch=epoch,
            rebalance_timeout_ms=SESSION_MS if is_first else -1,
            subscribed_topic_names=list(STABLE_TOPICS) if is_first else None,
            topic_partitions=[] if is_first else owning,
        )
        response = yield Call(request, 1)
        if response is None:
            continue
        if response.error_code:
            _expect(group, response.error_code)
            if response.error_code in REJOIN:
                return
            continue
        if response.member_epoch < epoch:
            raise Violation(f"{member}: its epoch went from {epoch} to {response.member_epoch}")
        epoch = response.member_epoch
        if response.assignment is not None:
            owned = {
                one.topic_id: list(one.partitions) for one in response.assignment.topic_partitions
            }
        places = [(names[topic_id], index) for topic_id, parts in owned.items() for index in parts]
        assert all(index < PARTITIONS for _, index in places)
        group.given(member, epoch, places)
        for _ in range(rng.randint(0, 3)):
            if places:
                place = rng.choice(places)
                if not (yield from _commit(group, member, epoch, place, 9, history)):
                    break
        if rng.random() < 0.04:
            leaving = ConsumerGroupHeartbeatRequest(
                group_id=group.name, member_id=member, member_epoch=-1
            )
            yield Call(leaving, 1)
            return

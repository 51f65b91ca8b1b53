"""Offsets are committed, groups form, are looked at, and go."""

from __future__ import annotations

from typing import Any

from tests.conformance.scenarios import scenario
from tests.conformance.talk import Talk

from ottla.client import Connection
from ottla.wire.messages.delete_groups import DeleteGroupsRequest
from ottla.wire.messages.describe_groups import DescribeGroupsRequest
from ottla.wire.messages.heartbeat import HeartbeatRequest
from ottla.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ottla.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from ottla.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from ottla.wire.messages.metadata import MetadataResponseTopic
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from ottla.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from ottla.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from ottla.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment

UNKNOWN_ID = bytes(15) + b"\x07"
#: A consumer's subscription to no topic, and an assignment of nothing, in version 0.
SUBSCRIPTION = b"\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"
ASSIGNMENT = b"\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"


def commit_request(
    group: str,
    topic: MetadataResponseTopic,
    *offsets: int,
    metadata: str | None = "",
    generation: int = -1,
    member: str = "",
    partition: int = 0,
) -> OffsetCommitRequest:
    partitions = [
        OffsetCommitRequestPartition(partition + i, offset, committed_metadata=metadata)
        for i, offset in enumerate(offsets)
    ]
    topics = [OffsetCommitRequestTopic(topic.topic_id, topic.name or "", partitions)]
    return OffsetCommitRequest(group, generation, member, topics=topics)


def fetch_request(
    group: str, topic: MetadataResponseTopic | None, *partitions: int, stable: bool = False
) -> OffsetFetchRequest:
    old = new = None
    if topic is not None:
        old = [OffsetFetchRequestTopic(topic.name or "", list(partitions))]
        new = [OffsetFetchRequestTopics(topic.topic_id, topic.name or "", list(partitions))]
    return OffsetFetchRequest(
        [OffsetFetchRequestGroup(group, topics=new)], group, old, require_stable=stable
    )


class Member:
    """A member of a classic group, on a connection of its own."""

    def __init__(self, talk: Talk, group: str, instance: str | None = None) -> None:
        self.talk = talk
        self.group = group
        self.instance = instance
        self.connection: Connection = talk.connect()
        self.id = ""
        self.generation = -1

    def join_request(self, *protocols: str, kind: str = "consumer", **how: Any) -> JoinGroupRequest:
        given = {"session_timeout_ms": 10_000, "rebalance_timeout_ms": 10_000, **how}
        request = JoinGroupRequest(
            self.group,
            member_id=self.id,
            group_instance_id=self.instance,
            protocol_type=kind,
            protocols=[JoinGroupRequestProtocol(p, SUBSCRIPTION) for p in protocols or ("range",)],
        )
        request.session_timeout_ms = given["session_timeout_ms"]
        request.rebalance_timeout_ms = given["rebalance_timeout_ms"]
        return request

    def joined(self, answer: Any) -> None:
        self.id = answer.member_id
        self.generation = answer.generation_id

    def join(self, version: int = 5) -> None:
        """Join and be the leader of a group of one, unwritten."""
        for _ in range(2):
            self.joined(self.connection.request(self.join_request(), version))
        self.connection.request(self.sync_request(self.id), 3)

    def sync_request(self, *members: str) -> SyncGroupRequest:
        assignments = [SyncGroupRequestAssignment(m, ASSIGNMENT) for m in members]
        return SyncGroupRequest(
            self.group, self.generation, self.id, self.instance, "consumer", "range", assignments
        )

    def heartbeat_request(self) -> HeartbeatRequest:
        return HeartbeatRequest(self.group, self.generation, self.id, self.instance)

    def leave_request(self) -> LeaveGroupRequest:
        member = MemberIdentity(self.id, self.instance)
        return LeaveGroupRequest(self.group, [member], self.id)


@scenario(8, 2, 10)
def offset_commit(talk: Talk) -> None:
    topic = talk.topic("read", 2)
    group = talk.name("group")

    def ask(label: str, *offsets: int, name: str = group, **how: Any) -> None:
        talk.ask(label, commit_request(name, topic, *offsets, **how))

    ask("without a member", 3, 4)
    ask("with metadata", 5, metadata="m")
    ask("without metadata", 5, metadata=None)
    ask("with long metadata", 5, metadata="m" * 4_097)
    ask("with metadata just short enough", 5, metadata="m" * 4_096)
    ask("a partition too many", 1, partition=2)
    missing = MetadataResponseTopic(0, talk.name("missing"), UNKNOWN_ID)
    talk.ask("a missing topic", commit_request(group, missing, 1))
    ask("by a member of an empty group", 1, member="nobody", generation=1)
    ask("by a member of no group", 1, member="nobody", generation=1, name=talk.name("none"))
    ask("with a generation of no group", 1, generation=1, name=talk.name("none"))
    ask("without a group's name", 1, name="")
    ask("of a negative offset", -1)
    member = Member(talk, talk.name("living"))
    member.join()
    ask("by a member", 7, name=member.group, member=member.id, generation=member.generation)
    ask("of an earlier generation", 7, name=member.group, member=member.id, generation=0)
    ask("by an unknown member", 7, name=member.group, member="other", generation=1)
    ask("past the members", 7, name=member.group)
    fetched = talk.do(fetch_request(group, topic, 0, 1), 7)
    talk.note("fetched in the end", talk.plain(fetched, 7))


@scenario(9, 1, 10)
def offset_fetch(talk: Talk) -> None:
    topic = talk.topic("read", 3)
    group = talk.name("group")
    talk.do(commit_request(group, topic, 3, 4, metadata="m"), 8)

    def ask(label: str, name: str, topic: MetadataResponseTopic | None, *partitions: int) -> None:
        talk.ask(label, fetch_request(name, topic, *partitions))

    ask("two partitions", group, topic, 0, 1)
    ask("one without", group, topic, 2)
    ask("a partition too many", group, topic, 3)
    missing = MetadataResponseTopic(0, talk.name("missing"), UNKNOWN_ID)
    ask("a missing topic", group, missing, 0)
    ask("of an unknown group", talk.name("unknown"), topic, 0)
    ask("without a group's name", "", topic, 0)
    if talk.version >= 2:
        ask("everything", group, None)
        ask("everything of an unknown group", talk.name("unknown"), None)
    if talk.version >= 7:
        talk.ask("what is stable", fetch_request(group, topic, 0, stable=True))
    if talk.version >= 8:
        two = fetch_request(group, topic, 0)
        two.groups.append(OffsetFetchRequestGroup(talk.name("unknown"), topics=None))
        talk.ask("two groups", two)
        two.groups = []
        talk.ask("no groups", two)
    if talk.version >= 9:
        of_member = fetch_request(group, topic, 0)
        of_member.groups[0].member_id = "nobody"
        of_member.groups[0].member_epoch = 3
        talk.ask("as a member of an empty group", of_member)


@scenario(47, 0, 0)
def offset_delete(talk: Talk) -> None:
    topic = talk.topic("read", 2)
    group = talk.name("group")
    talk.do(commit_request(group, topic, 3, 4), 8)

    def ask(label: str, name: str, topic_name: str, *partitions: int) -> None:
        parts = [OffsetDeleteRequestPartition(p) for p in partitions]
        topics = [OffsetDeleteRequestTopic(topic_name, parts)]
        talk.ask(label, OffsetDeleteRequest(name, topics))

    ask("one", group, topic.name or "", 0)
    ask("again", group, topic.name or "", 0)
    ask("a partition too many", group, topic.name or "", 2)
    ask("of a missing topic", group, talk.name("missing"), 0)
    ask("of an unknown group", talk.name("unknown"), topic.name or "", 0)
    left = talk.do(fetch_request(group, topic, 0, 1), 7)
    talk.note("what is left", talk.plain(left, 7))


@scenario(11, 0, 9)
def join_group(talk: Talk) -> None:
    first = Member(talk, talk.name("group"))

    def ask(label: str, member: Member, request: JoinGroupRequest) -> Any:
        answer = talk.ask(label, request, on=member.connection)
        if answer is not None and not answer.error_code:
            member.joined(answer)
        return answer

    answer = ask("the first", first, first.join_request("range", "roundrobin"))
    if answer.error_code:
        first.id = answer.member_id
        ask("with the id it was given", first, first.join_request("range", "roundrobin"))
    synced = first.connection.request(first.sync_request(first.id), 3)
    talk.note("synced", talk.plain(synced, 3))
    ask("once more", first, first.join_request("range", "roundrobin"))
    first.connection.request(first.sync_request(first.id), 3)
    stranger = Member(talk, first.group)
    stranger.id = "stranger"
    ask("an unknown member", stranger, stranger.join_request())
    other_kind = Member(talk, first.group)
    ask("of another protocol type", other_kind, other_kind.join_request(kind="connect"))
    other_protocol = Member(talk, first.group)
    ask("of another protocol", other_protocol, other_protocol.join_request("sticky"))
    loner = Member(talk, talk.name("loner"))
    ask("with too short a session", loner, loner.join_request(session_timeout_ms=10))
    ask("with too long a session", loner, loner.join_request(session_timeout_ms=9_999_999))
    nameless = Member(talk, "")
    ask("without a group's name", nameless, nameless.join_request())
    ask("without a protocol type", loner, loner.join_request(kind=""))
    second = Member(talk, first.group)
    second.connection.send(second.join_request(), talk.version)
    if talk.version >= 4:
        second.connection.close()
        return

    def is_rebalancing() -> bool:
        beat = first.connection.request(first.heartbeat_request(), 3)
        return bool(beat.error_code)

    talk.wait_for(is_rebalancing)
    waiting = second.connection._pending[0]
    ask("the first, for the second", first, first.join_request("range", "roundrobin"))
    second.joined(talk.hear("the second", waiting, on=second.connection))
    talk.note("one leads", [m.id for m in (first, second)].count(first.id))


@scenario(14, 0, 5)
def sync_group(talk: Talk) -> None:
    member = Member(talk, talk.name("group"))
    for _ in range(2):
        member.joined(member.connection.request(member.join_request(), 5))

    def ask(label: str, request: SyncGroupRequest) -> None:
        talk.ask(label, request, on=member.connection)

    wrong = member.sync_request(member.id)
    wrong.generation_id = 9
    ask("of a later generation", wrong)
    wrong.generation_id, wrong.member_id = member.generation, "stranger"
    ask("by an unknown member", wrong)
    if talk.version >= 5:
        wrong = member.sync_request(member.id)
        wrong.protocol_name = "other"
        ask("of another protocol", wrong)
        wrong.protocol_name, wrong.protocol_type = "range", "other"
        ask("of another protocol type", wrong)
        wrong.protocol_name = wrong.protocol_type = None
        ask("of no protocol", wrong)
    ask("by the leader", member.sync_request(member.id))
    ask("again", member.sync_request())
    elsewhere = member.sync_request(member.id)
    elsewhere.group_id = talk.name("unknown")
    ask("of an unknown group", elsewhere)


@scenario(12, 0, 4)
def heartbeat(talk: Talk) -> None:
    member = Member(talk, talk.name("group"))
    member.join()
    group, generation, id_ = member.group, member.generation, member.id
    talk.ask("of a member", HeartbeatRequest(group, generation, id_))
    talk.ask("of an earlier generation", HeartbeatRequest(group, generation - 1, id_))
    talk.ask("of a later generation", HeartbeatRequest(group, generation + 1, id_))
    talk.ask("of an unknown member", HeartbeatRequest(group, generation, "stranger"))
    talk.ask("of an unknown group", HeartbeatRequest(talk.name("unknown"), 1, id_))
    talk.ask("without a group's name", HeartbeatRequest("", 1, id_))
    if talk.version >= 3:
        talk.ask("of an unknown instance", HeartbeatRequest(group, generation, id_, "other"))


@scenario(13, 0, 5)
def leave_group(talk: Talk) -> None:
    member = Member(talk, talk.name("group"))
    member.join()
    stranger = Member(talk, member.group)
    stranger.id = "stranger"
    talk.ask("an unknown member", stranger.leave_request())
    if talk.version >= 3:
        talk.ask("nobody", LeaveGroupRequest(member.group, []))
        both = member.leave_request()
        both.members.append(MemberIdentity("stranger"))
        talk.ask("a member and a stranger", both)
    else:
        talk.ask("a member", member.leave_request())
    talk.ask("again", member.leave_request())
    unknown = Member(talk, talk.name("unknown"))
    unknown.id = "x"
    talk.ask("an unknown group", unknown.leave_request())
    if talk.version >= 3:
        static = Member(talk, talk.name("static"), "instance-1")
        static.join()
        by_instance = LeaveGroupRequest(static.group, [MemberIdentity("", "instance-1")])
        wrong = LeaveGroupRequest(static.group, [MemberIdentity("x", "instance-1")])
        talk.ask("a static member under a wrong id", wrong)
        talk.ask("a static member by its instance", by_instance)


@scenario(15, 0, 6)
def describe_groups(talk: Talk) -> None:
    member = Member(talk, talk.name("living"))
    member.join()
    topic = talk.topic("read")
    empty = talk.name("empty")
    talk.do(commit_request(empty, topic, 3), 8)
    talk.ask("a living one", DescribeGroupsRequest([member.group], True))
    talk.ask("an empty one", DescribeGroupsRequest([empty]))
    talk.ask("an unknown one", DescribeGroupsRequest([talk.name("unknown")]))
    talk.ask("two", DescribeGroupsRequest([empty, talk.name("unknown")]))
    talk.ask("none", DescribeGroupsRequest([]))
    joining = Member(talk, talk.name("joining"))
    for _ in range(2):
        joining.joined(joining.connection.request(joining.join_request(), 5))
    talk.ask("one that waits for its leader", DescribeGroupsRequest([joining.group]))


@scenario(16, 0, 5)
def list_groups(talk: Talk) -> None:
    member = Member(talk, talk.name("living"))
    member.join()
    talk.do(commit_request(talk.name("empty"), talk.topic("read"), 3), 8)

    def ask(label: str, states: list[str], types: list[str]) -> None:
        answer = talk.do(ListGroupsRequest(states, types), talk.version)
        ours = [g for g in answer.groups if g.group_id.endswith(talk.suffix)]
        mine = ListGroupsResponse(answer.throttle_time_ms, answer.error_code, ours)
        talk.note(label, talk.plain(mine, talk.version))

    ask("all", [], [])
    if talk.version >= 4:
        ask("stable ones", ["Stable"], [])
        ask("empty ones in any spelling", ["eMPTY"], [])
        ask("of no known state", ["Sleepy"], [])
    if talk.version >= 5:
        ask("classic ones", [], ["classic"])
        ask("consumer ones", [], ["Consumer"])
        ask("of no known type", [], ["fancy"])


@scenario(42, 0, 2)
def delete_groups(talk: Talk) -> None:
    member = Member(talk, talk.name("living"))
    member.join()
    topic = talk.topic("read")
    empty = talk.name("empty")
    talk.do(commit_request(empty, topic, 3), 8)
    talk.ask("a living one", DeleteGroupsRequest([member.group]))
    talk.ask("an empty one", DeleteGroupsRequest([empty]))
    talk.ask("again", DeleteGroupsRequest([empty]))
    talk.do(commit_request("", topic, 3), 8)
    talk.ask("one without a name", DeleteGroupsRequest([""]))
    left = talk.do(fetch_request(empty, topic, 0), 7)
    talk.note("its offsets", talk.plain(left, 7))

"""Groups whose assignments the broker makes (KIP-848)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.conformance.scenarios import scenario
from tests.conformance.scenarios.groups import Member as ClassicMember
from tests.conformance.scenarios.groups import commit_request, fetch_request
from tests.conformance.talk import Talk

from ottla.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from ottla.wire.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    TopicPartitions,
)
from ottla.wire.messages.delete_groups import DeleteGroupsRequest
from ottla.wire.messages.describe_groups import DescribeGroupsRequest
from ottla.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from ottla.wire.messages.metadata import MetadataResponseTopic

LEAVE, LEAVE_STATIC = -1, -2


class Member:
    """A member that the broker assigns partitions to."""

    def __init__(self, talk: Talk, group: str, instance: str | None = None) -> None:
        self.talk = talk
        self.group = group
        self.instance = instance
        self.id = str(uuid4())
        self.epoch = 0
        self.owned: list[TopicPartitions] = []

    def join_request(self, *topics: str, **how: Any) -> ConsumerGroupHeartbeatRequest:
        given = {
            "rebalance_timeout_ms": 60_000,
            "subscribed_topic_names": list(topics),
            "topic_partitions": [],
            **how,
        }
        return ConsumerGroupHeartbeatRequest(self.group, self.id, 0, self.instance, **given)

    def beat_request(self, **how: Any) -> ConsumerGroupHeartbeatRequest:
        given = {"member_epoch": self.epoch, **how}
        return ConsumerGroupHeartbeatRequest(self.group, self.id, **given)

    def take(self, answer: Any) -> None:
        """Follow an answer: the epoch, and the assignment if there is one."""
        self.epoch = answer.member_epoch
        if answer.member_id:
            self.id = answer.member_id
        if answer.assignment is not None:
            self.owned = [
                TopicPartitions(t.topic_id, t.partitions)
                for t in answer.assignment.topic_partitions
            ]

    def join(self, *topics: str) -> None:
        """Join and settle, unwritten."""
        self.take(self.talk.do(self.join_request(*topics), 1))
        self.settle()

    def settle(self) -> None:
        settle(self)

    def beat(self) -> None:
        answer = self.talk.do(self.beat_request(topic_partitions=self.owned), 1)
        assert not answer.error_code, answer
        self.take(answer)

    @property
    def partitions(self) -> list[int]:
        return sorted(p for topic in self.owned for p in topic.partitions)


def settle(*members: Member) -> None:
    """Let these members of one group beat until it is stable."""
    talk, group = members[0].talk, members[0].group

    def is_stable() -> bool:
        for member in members:
            member.beat()
        described = talk.do(ConsumerGroupDescribeRequest([group])).groups[0]
        return bool(described.group_state == "Stable")

    talk.wait_for(is_stable)
    for member in members:
        member.beat()


@scenario(68, 0, 1)
def consumer_group_heartbeat(talk: Talk) -> None:
    topic = talk.topic("read", 4)
    name = topic.name or ""
    group = talk.name("group")
    first = Member(talk, group)
    if talk.version == 0:
        first.id = ""

    def ask(label: str, member: Member, request: ConsumerGroupHeartbeatRequest) -> Any:
        answer = talk.ask(label, request)
        if not answer.error_code:
            member.take(answer)
        return answer

    ask("the first joins", first, first.join_request(name))
    ask("it beats", first, first.beat_request(topic_partitions=first.owned))
    ask("it beats shortly", first, first.beat_request())
    ask("it beats of a later epoch", first, first.beat_request(member_epoch=first.epoch + 5))
    stranger = Member(talk, group)
    stranger.epoch = 3
    ask("a stranger beats", stranger, stranger.beat_request())
    elsewhere = Member(talk, talk.name("unknown"))
    elsewhere.epoch = 3
    ask("in an unknown group", elsewhere, elsewhere.beat_request())
    _refused_joins(talk, group, name)
    second = Member(talk, group)
    ask("the second joins", second, second.join_request(name))
    settle(first, second)
    talk.note("shared in the end", sorted([len(first.partitions), len(second.partitions)]))
    ask("the second leaves", second, second.beat_request(member_epoch=LEAVE))
    ask("it leaves again", second, second.beat_request(member_epoch=LEAVE))
    first.settle()
    talk.note("the first has all again", first.partitions)
    ask("it beats of an earlier epoch", first, first.beat_request(member_epoch=first.epoch - 1))
    ask("it subscribes to nothing", first, first.beat_request(subscribed_topic_names=[]))
    ask("to what is missing", first, first.beat_request(subscribed_topic_names=["missing"]))
    ask("it leaves", first, first.beat_request(member_epoch=LEAVE))


def _refused_joins(talk: Talk, group: str, topic: str) -> None:
    def refused(label: str, name: str = group, **how: Any) -> None:
        member = Member(talk, name)
        request = member.join_request(topic)
        for key, value in how.items():
            setattr(request, key, value)
        talk.ask(f"joining {label}", request)

    refused("without a group's name", "")
    refused("owning partitions", topic_partitions=[TopicPartitions(bytes(16), [0])])
    refused("saying nothing of partitions", topic_partitions=None)
    refused("without a rebalance time-out", rebalance_timeout_ms=-1)
    refused("without a subscription", subscribed_topic_names=None)
    refused("with an unknown assignor", server_assignor="magic")
    refused("with an epoch below all", member_epoch=-7)
    refused("with an empty instance", instance_id="")
    if talk.version >= 1:
        refused("without an id", member_id="")
        refused("with half an expression", subscribed_topic_regex="(", subscribed_topic_names=None)


@scenario(68, 1, 1)
def consumer_group_by_expression(talk: Talk) -> None:
    one, two = talk.topic("abc"), talk.topic("abd")
    for topic in (one, two):
        talk.named("id", bytes(topic.topic_id))  # answers have them in any order
    talk.topic("xyz")
    member = Member(talk, talk.name("group"))
    request = member.join_request()
    request.subscribed_topic_names = None
    request.subscribed_topic_regex = f"ab[cd]-{talk.suffix}"
    member.take(talk.ask("joins", request))

    def has_all() -> bool:
        answer = talk.do(member.beat_request(topic_partitions=member.owned), 1)
        assert not answer.error_code, answer
        member.take(answer)
        return {t.topic_id for t in member.owned} == {one.topic_id, two.topic_id}

    talk.wait_for(has_all)
    member.settle()
    talk.ask("described", ConsumerGroupDescribeRequest([member.group]))


@scenario(68, 0, 1)
def static_consumer_group_members(talk: Talk) -> None:
    topic = talk.topic("read", 2)
    group = talk.name("group")
    first = Member(talk, group, "one")
    first.take(talk.ask("the first joins", first.join_request(topic.name or "")))
    first.settle()
    rival = Member(talk, group, "one")
    talk.ask("a rival joins", rival.join_request(topic.name or ""))
    talk.ask(
        "it leaves for a while", first.beat_request(member_epoch=LEAVE_STATIC, instance_id="one")
    )
    answer = talk.ask("its successor joins", rival.join_request(topic.name or ""))
    if not answer.error_code:
        rival.take(answer)
    talk.ask("the first beats", first.beat_request(instance_id="one"))
    talk.ask(
        "its successor leaves for good", rival.beat_request(member_epoch=LEAVE, instance_id="one")
    )


@scenario(69, 0, 1)
def consumer_group_describe(talk: Talk) -> None:
    topic = talk.topic("read", 2)
    member = Member(talk, talk.name("living"))
    member.join(topic.name or "")
    classic = ClassicMember(talk, talk.name("classic"))
    classic.join()

    def ask(label: str, *groups: str, operations: bool = False) -> None:
        talk.ask(label, ConsumerGroupDescribeRequest(list(groups), operations))

    ask("a living one", member.group)
    ask("with operations", member.group, operations=True)
    ask("an unknown one", talk.name("unknown"))
    ask("a classic one", classic.group)
    ask("one without a name", "")
    listed = talk.do(ListGroupsRequest(), 5)
    ours = [g for g in listed.groups if g.group_id.endswith(talk.suffix)]
    talk.note("listed", talk.plain(ListGroupsResponse(0, 0, ours), 5))
    described = talk.do(DescribeGroupsRequest([member.group]), 6)
    talk.note("described as a classic one", talk.plain(described, 6))
    deleted = talk.do(DeleteGroupsRequest([member.group]), 2)
    talk.note("deleted while it lives", talk.plain(deleted, 2))
    talk.do(member.beat_request(member_epoch=LEAVE), 1)
    ask("an empty one", member.group)
    deleted = talk.do(DeleteGroupsRequest([member.group]), 2)
    talk.note("deleted", talk.plain(deleted, 2))


@scenario(8, 2, 10)
def offset_commit_of_consumer_group(talk: Talk) -> None:
    topic = talk.topic("read", 2)
    member = Member(talk, talk.name("living"))
    member.join(topic.name or "")

    def ask(label: str, epoch: int, member_id: str = member.id) -> None:
        how = {"generation": epoch, "member": member_id}
        talk.ask(label, commit_request(member.group, topic, 3, **how))

    ask("by a member", member.epoch)
    ask("of an earlier epoch", 0)
    ask("of a later epoch", member.epoch + 1)
    ask("by a stranger", member.epoch, "stranger")
    ask("past the members", -1, "")


@scenario(9, 9, 10)
def offset_fetch_of_consumer_group(talk: Talk) -> None:
    topic: MetadataResponseTopic = talk.topic("read", 2)
    member = Member(talk, talk.name("living"))
    member.join(topic.name or "")

    def ask(label: str, epoch: int, member_id: str | None = member.id) -> None:
        request = fetch_request(member.group, topic, 0)
        request.groups[0].member_id = member_id
        request.groups[0].member_epoch = epoch
        talk.ask(label, request)

    ask("by a member", member.epoch)
    ask("of an earlier epoch", 0)
    ask("of a later epoch", member.epoch + 1)
    ask("by a stranger", member.epoch, "stranger")
    ask("by nobody", -1, None)

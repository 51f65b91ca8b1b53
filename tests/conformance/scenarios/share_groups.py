"""Groups that share partitions record by record (KIP-932)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.conformance.scenarios import scenario
from tests.conformance.scenarios.groups import Member as ClassicMember
from tests.conformance.scenarios.records import batch_of, write
from tests.conformance.talk import Talk

from ottla.wire.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsRequestPartition,
    AlterShareGroupOffsetsRequestTopic,
)
from ottla.wire.messages.delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsRequestTopic,
)
from ottla.wire.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
    DescribeShareGroupOffsetsRequestTopic,
)
from ottla.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from ottla.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from ottla.wire.messages.metadata import MetadataResponseTopic
from ottla.wire.messages.share_acknowledge import (
    AcknowledgementBatch,
    AcknowledgePartition,
    AcknowledgeTopic,
    ShareAcknowledgeRequest,
)
from ottla.wire.messages.share_fetch import AcknowledgementBatch as FetchAcknowledgement
from ottla.wire.messages.share_fetch import FetchPartition, FetchTopic, ShareFetchRequest
from ottla.wire.messages.share_group_describe import ShareGroupDescribeRequest
from ottla.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest

GROUP_RESOURCE = 32
GAP, ACCEPT, RELEASE, REJECT = range(4)
LEAVE = -1


class Member:
    """A member of a share group on the talk's main connection."""

    def __init__(self, talk: Talk, group: str) -> None:
        self.talk = talk
        self.group = group
        self.id = str(uuid4())
        self.epoch = 0

    def beat_request(self, *topics: str, epoch: int | None = None) -> ShareGroupHeartbeatRequest:
        at = self.epoch if epoch is None else epoch
        return ShareGroupHeartbeatRequest(
            self.group, self.id, at, subscribed_topic_names=list(topics) or None
        )

    def join(self, topic: MetadataResponseTopic) -> None:
        """Join from the earliest records on, and wait for all of the topic's partitions."""
        talk = self.talk
        change = [AlterableConfig("share.auto.offset.reset", 0, "earliest")]
        resource = AlterConfigsResource(GROUP_RESOURCE, self.group, change)
        answer = talk.do(IncrementalAlterConfigsRequest([resource]))
        assert not answer.responses[0].error_code, answer
        undo = AlterConfigsResource(
            GROUP_RESOURCE, self.group, [AlterableConfig("share.auto.offset.reset", 1, None)]
        )
        talk.undoing.append(IncrementalAlterConfigsRequest([undo]))

        def is_assigned() -> bool:
            names = (topic.name or "",) if self.epoch == 0 else ()
            beat = talk.do(self.beat_request(*names), 1)
            assert not beat.error_code, beat
            self.epoch = beat.member_epoch
            group = talk.do(ShareGroupDescribeRequest([self.group]), 1).groups[0]
            return any(
                len(t.partitions) == len(topic.partitions)
                for m in group.members
                if m.member_id == self.id
                for t in m.assignment.topic_partitions
            )

        talk.wait_for(is_assigned)

    def fetch_request(
        self,
        epoch: int,
        topic: MetadataResponseTopic | None = None,
        *acknowledged: tuple[int, int, int],
        **how: Any,
    ) -> ShareFetchRequest:
        topics = []
        if topic is not None:
            batches = [FetchAcknowledgement(a, b, [kind]) for a, b, kind in acknowledged]
            topics = [FetchTopic(topic.topic_id, [FetchPartition(0, batches)])]
        given = {
            "max_wait_ms": 200,
            "min_bytes": 1,
            "max_bytes": 1_000_000,
            "max_records": 100,
            "batch_size": 100,
            **how,
        }
        return ShareFetchRequest(self.group, self.id, epoch, topics=topics, **given)

    def acknowledge_request(
        self, epoch: int, topic: MetadataResponseTopic, *batches: tuple[int, int, int]
    ) -> ShareAcknowledgeRequest:
        given = [AcknowledgementBatch(a, b, [kind]) for a, b, kind in batches]
        topics = [AcknowledgeTopic(topic.topic_id, [AcknowledgePartition(0, given)])]
        return ShareAcknowledgeRequest(self.group, self.id, epoch, topics=topics)

    def open_session(self, topic: MetadataResponseTopic) -> None:
        """Open a share session and acquire all records, unwritten."""

        def is_acquired() -> bool:
            answer = self.talk.do(self.fetch_request(0, topic), 1)
            assert not answer.error_code, answer
            return any(p.acquired_records for t in answer.responses for p in t.partitions)

        self.talk.wait_for(is_acquired)


@scenario(76, 1, 1)
def share_group_heartbeat(talk: Talk) -> None:
    topic = talk.topic("shared", 2)
    name = topic.name or ""
    member = Member(talk, talk.name("group"))
    joined = talk.ask("the first joins", member.beat_request(name))
    member.epoch = joined.member_epoch
    talk.ask("it beats of a later epoch", member.beat_request(epoch=member.epoch + 7))
    stranger = Member(talk, member.group)
    talk.ask("a stranger beats", stranger.beat_request(epoch=3))
    elsewhere = Member(talk, talk.name("unknown"))
    talk.ask("in an unknown group", elsewhere.beat_request(epoch=3))
    nameless = Member(talk, "")
    talk.ask("without a group's name", nameless.beat_request(name))
    stranger.id = ""
    talk.ask("without an id", stranger.beat_request(name))
    stranger.id = str(uuid4())
    talk.ask("without a subscription", stranger.beat_request())
    talk.ask("with an epoch below all", stranger.beat_request(name, epoch=-7))
    classic = ClassicMember(talk, talk.name("classic"))
    classic.join()
    talk.ask("into a classic group", Member(talk, classic.group).beat_request(name))
    talk.ask("it leaves", member.beat_request(epoch=LEAVE))
    talk.ask("it leaves again", member.beat_request(epoch=LEAVE))


@scenario(77, 1, 1)
def share_group_describe(talk: Talk) -> None:
    topic = talk.topic("shared", 2)
    member = Member(talk, talk.name("living"))
    member.join(topic)
    talk.ask("a living one", ShareGroupDescribeRequest([member.group]))
    talk.ask("with operations", ShareGroupDescribeRequest([member.group], True))
    talk.ask("an unknown one", ShareGroupDescribeRequest([talk.name("unknown")]))
    talk.ask("one without a name", ShareGroupDescribeRequest([""]))
    listed = talk.do(ListGroupsRequest(), 5)
    ours = [g for g in listed.groups if g.group_id.endswith(talk.suffix)]
    talk.note("listed", talk.plain(ListGroupsResponse(0, 0, ours), 5))
    talk.do(member.beat_request(epoch=LEAVE), 1)
    talk.ask("an empty one", ShareGroupDescribeRequest([member.group]))


@scenario(78, 1, 2)
def share_fetch(talk: Talk) -> None:
    topic = talk.topic("shared")
    write(talk, topic, batch_of("a", "b", "c"), batch_of("d"))
    member = Member(talk, talk.name("group"))
    member.join(topic)

    def ask(label: str, request: ShareFetchRequest) -> Any:
        return talk.ask(label, request)

    ask("out of step", member.fetch_request(5, topic))
    member.open_session(topic)
    ask("accepted and released", member.fetch_request(1, topic, (0, 0, ACCEPT), (1, 1, RELEASE)))
    ask("rejected", member.fetch_request(2, topic, (2, 2, REJECT)))
    ask("accepted again", member.fetch_request(3, topic, (0, 0, ACCEPT)))
    ask("beyond the end", member.fetch_request(4, topic, (50, 60, ACCEPT)))
    ask("of no known kind", member.fetch_request(5, topic, (3, 3, 9)))
    ask("from the last to the first", member.fetch_request(6, topic, (3, 1, ACCEPT)))
    ask("nothing", member.fetch_request(7))
    ask("out of step later", member.fetch_request(50))
    ask("closed", member.fetch_request(-1, topic, (1, 1, ACCEPT)))
    ask("after the end", member.fetch_request(8))
    stranger = Member(talk, member.group)
    ask("a stranger", stranger.fetch_request(0, topic))
    nobody = Member(talk, talk.name("unknown"))
    ask("in an unknown group", nobody.fetch_request(0, topic))
    no_id = Member(talk, member.group)
    no_id.id = "no uuid"
    ask("an id that is no uuid", no_id.fetch_request(0, topic))


@scenario(79, 1, 2)
def share_acknowledge(talk: Talk) -> None:
    topic = talk.topic("shared")
    write(talk, topic, batch_of("a", "b", "c", "d", "e"))
    member = Member(talk, talk.name("group"))
    member.join(topic)
    talk.ask("before a session", member.acknowledge_request(1, topic, (0, 0, ACCEPT)))
    talk.ask("opening a session", member.acknowledge_request(0, topic, (0, 0, ACCEPT)))
    member.open_session(topic)
    ask = member.acknowledge_request
    talk.ask("accepted", ask(1, topic, (0, 1, ACCEPT)))
    talk.ask("accepted again", ask(2, topic, (0, 0, ACCEPT)))
    talk.ask("released", ask(3, topic, (2, 2, RELEASE)))
    talk.ask("rejected", ask(4, topic, (3, 3, REJECT)))
    talk.ask("overlapping", ask(5, topic, (4, 4, ACCEPT), (4, 4, ACCEPT)))
    missing = MetadataResponseTopic(0, "", bytes(15) + b"\x07")
    talk.ask("of a missing topic", ask(6, missing, (0, 0, ACCEPT)))
    talk.ask("out of step", ask(50, topic, (4, 4, ACCEPT)))
    talk.ask("closed", ask(-1, topic, (4, 4, ACCEPT)))
    request = DescribeShareGroupOffsetsRequestGroup(
        member.group, [DescribeShareGroupOffsetsRequestTopic(topic.name or "", [0])]
    )
    talk.note(
        "where the group is",
        talk.plain(talk.do(DescribeShareGroupOffsetsRequest([request]), 1), 1),
    )


@scenario(90, 0, 1)
def describe_share_group_offsets(talk: Talk) -> None:
    topic = talk.topic("shared", 2)
    write(talk, topic, batch_of("a", "b", "c"))
    member = Member(talk, talk.name("group"))
    member.join(topic)
    member.open_session(topic)
    talk.do(member.fetch_request(1, topic, (0, 0, ACCEPT)), 1)
    talk.do(member.fetch_request(-1), 1)

    def ask(label: str, group: str, topic: str | None, *partitions: int) -> None:
        topics = None
        if topic is not None:
            topics = [DescribeShareGroupOffsetsRequestTopic(topic, list(partitions))]
        wanted = DescribeShareGroupOffsetsRequestGroup(group, topics)
        talk.ask(label, DescribeShareGroupOffsetsRequest([wanted]))

    name = topic.name or ""
    ask("one partition", member.group, name, 0)
    ask("one that was never read", member.group, name, 1)
    ask("a missing topic", member.group, talk.name("missing"), 0)
    ask("everything", member.group, None)
    ask("of an unknown group", talk.name("unknown"), name, 0)


@scenario(91, 0, 0)
def alter_share_group_offsets(talk: Talk) -> None:
    topic = talk.topic("shared")
    write(talk, topic, batch_of("a", "b", "c"))
    member = Member(talk, talk.name("group"))
    member.join(topic)
    name = topic.name or ""

    def ask(label: str, group: str, topic: str, offset: int, partition: int = 0) -> None:
        part = AlterShareGroupOffsetsRequestPartition(partition, offset)
        topics = [AlterShareGroupOffsetsRequestTopic(topic, [part])]
        talk.ask(label, AlterShareGroupOffsetsRequest(group, topics))

    ask("while it lives", member.group, name, 1)
    talk.do(member.beat_request(epoch=LEAVE), 1)
    ask("when it is empty", member.group, name, 1)
    ask("beyond the end", member.group, name, 50)
    ask("of a partition too many", member.group, name, 0, 7)
    ask("of a missing topic", member.group, talk.name("missing"), 0)
    ask("of an unknown group", talk.name("unknown"), name, 1)
    wanted = DescribeShareGroupOffsetsRequestGroup(
        member.group, [DescribeShareGroupOffsetsRequestTopic(name, [0])]
    )
    talk.note("in the end", talk.plain(talk.do(DescribeShareGroupOffsetsRequest([wanted]), 1), 1))


@scenario(92, 0, 0)
def delete_share_group_offsets(talk: Talk) -> None:
    topic = talk.topic("shared")
    write(talk, topic, batch_of("a", "b", "c"))
    member = Member(talk, talk.name("group"))
    member.join(topic)
    member.open_session(topic)
    talk.do(member.fetch_request(-1), 1)

    def ask(label: str, group: str, topic: str) -> None:
        topics = [DeleteShareGroupOffsetsRequestTopic(topic)]
        talk.ask(label, DeleteShareGroupOffsetsRequest(group, topics))

    ask("while it lives", member.group, topic.name or "")
    talk.do(member.beat_request(epoch=LEAVE), 1)
    ask("when it is empty", member.group, topic.name or "")
    ask("of a missing topic", member.group, talk.name("missing"))
    ask("of an unknown group", talk.name("unknown"), topic.name or "")

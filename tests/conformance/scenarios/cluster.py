"""Who is there, and what it speaks."""

from __future__ import annotations

from tests.conformance.scenarios import scenario
from tests.conformance.talk import Talk, raw_request

from ottla.wire import frames
from ottla.wire.messages.api_versions import ApiVersionsRequest
from ottla.wire.messages.describe_cluster import DescribeClusterRequest
from ottla.wire.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    TopicRequest,
)
from ottla.wire.messages.find_coordinator import FindCoordinatorRequest
from ottla.wire.messages.metadata import MetadataRequest, MetadataRequestTopic

UNKNOWN_ID = bytes(15) + b"\x07"


@scenario(18, 0, 4)
def api_versions(talk: Talk) -> None:
    good = ApiVersionsRequest("talk", "1.0")
    talk.ask("plain", good)
    if talk.version >= 3:
        for label, name, version in (
            ("empty name", "", "1.0"),
            ("illegal name", "a b", "1.0"),
            ("illegal version", "talk", "-1"),
        ):
            talk.ask(label, ApiVersionsRequest(name, version))
    newer = talk.say_raw("a version from the future", raw_request(18, 99, b"", flexible=True))
    assert newer is not None
    response = frames.decode_response(18, 0, newer)
    talk.note("the future's answer, in version 0", talk.plain(response, 0))


@scenario(60, 0, 2)
def describe_cluster(talk: Talk) -> None:
    talk.ask("plain", DescribeClusterRequest())
    talk.ask("with operations", DescribeClusterRequest(True))
    if talk.version >= 1:
        talk.ask("controllers", DescribeClusterRequest(endpoint_type=2))
        talk.ask("no such endpoint type", DescribeClusterRequest(endpoint_type=9))


@scenario(3, 0, 13)
def metadata(talk: Talk) -> None:
    topic = talk.topic("two", 2)
    assert topic.name is not None
    ids = talk.version >= 10

    def ask(label: str, *names: str, create: bool = False) -> None:
        topics = [MetadataRequestTopic(name=name) for name in names]
        talk.ask(label, MetadataRequest(topics, create))

    ask("one topic", topic.name)
    ask("the same twice", topic.name, topic.name)
    if talk.version >= 4:
        ask("a missing one", talk.name("missing"))
        ask("one and a missing one", topic.name, talk.name("missing"))
    ask("illegal names", "", ".", "a/b", "x" * 250)
    if talk.version >= 1:
        ask("none")
    created = talk.name("created")
    talk.topics.append(created)
    ask("one to be created", created, create=True)
    talk.wait_for_topic(created)
    ask("the created one", created)
    if talk.version >= 8:
        request = MetadataRequest([MetadataRequestTopic(name=topic.name)], False, True, True)
        talk.ask("with operations", request)
    if ids:
        talk.ask(
            "by id, or by id and name",
            MetadataRequest([MetadataRequestTopic(topic.topic_id, None)], False),
        )
        talk.ask(
            "by an unknown id", MetadataRequest([MetadataRequestTopic(UNKNOWN_ID, None)], False)
        )


@scenario(10, 0, 6)
def find_coordinator(talk: Talk) -> None:
    keys = [talk.name("group")]

    def ask(label: str, keys: list[str], key_type: int) -> None:
        talk.ask(label, FindCoordinatorRequest(keys[0] if keys else "", key_type, keys))

    def is_found() -> bool:
        answer = talk.do(FindCoordinatorRequest(keys[0], 1, keys), 4)
        return not answer.coordinators[0].error_code

    talk.wait_for(is_found)
    ask("of a group", keys, 0)
    ask("of a group without a name", [""], 0)
    if talk.version >= 1:
        ask("of a transaction", keys, 1)
        ask("of nothing known", keys, 9)
    if talk.version >= 4:
        ask("of two groups", [talk.name("a"), talk.name("b")], 0)
        ask("of no group", [], 0)


@scenario(75, 0, 0)
def describe_topic_partitions(talk: Talk) -> None:
    topic = talk.topic("three", 3)
    assert topic.name is not None
    name = topic.name
    talk.ask("one topic", DescribeTopicPartitionsRequest([TopicRequest(name)]))
    missing = DescribeTopicPartitionsRequest([TopicRequest(talk.name("missing"))])
    talk.ask("a missing one", missing)
    talk.ask("an illegal name", DescribeTopicPartitionsRequest([TopicRequest("a/b")]))
    talk.ask("two partitions", DescribeTopicPartitionsRequest([TopicRequest(name)], 2))
    rest = DescribeTopicPartitionsRequest([TopicRequest(name)], 2, Cursor(name, 2))
    talk.ask("the rest", rest)
    beyond = DescribeTopicPartitionsRequest([TopicRequest(name)], 2, Cursor(name, 9))
    talk.ask("beyond the last", beyond)
    talk.ask("a negative cursor", DescribeTopicPartitionsRequest([], 2, Cursor(name, -1)))

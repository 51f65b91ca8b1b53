"""Topics are made, grown, cut and removed."""

from __future__ import annotations

from collections.abc import Sequence

from tests.conformance.scenarios import scenario
from tests.conformance.talk import Talk

from ottla.wire.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from ottla.wire.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from ottla.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState

UNKNOWN_ID = bytes(15) + b"\x07"


@scenario(19, 2, 7)
def create_topics(talk: Talk) -> None:
    def ask(label: str, *topics: CreatableTopic, validate_only: bool = False) -> None:
        talk.topics += [t.name for t in topics if not validate_only and t.name]
        answer = talk.ask(label, CreateTopicsRequest(list(topics), 10_000, validate_only))
        for topic in answer.topics if answer else ():
            if not topic.error_code and not validate_only:
                talk.wait_for_topic(topic.name)

    def named(text: str, partitions: int = 1, factor: int = 1) -> CreatableTopic:
        return CreatableTopic(talk.name(text), partitions, factor)

    def configured(text: str, key: str, value: str | None) -> CreatableTopic:
        return CreatableTopic(talk.name(text), 1, 1, [], [CreatableTopicConfig(key, value)])

    def assigned(text: str, *replicas: Sequence[int], numbers: tuple[int, int] = (-1, -1)) -> None:
        assignments = [CreatableReplicaAssignment(i, list(r)) for i, r in enumerate(replicas)]
        name = talk.name(text.replace(" ", "-"))
        ask(text, CreatableTopic(name, *numbers, assignments))

    ask("plain", named("plain", 2))
    talk.hidden.add("configs")
    ask("again", named("plain", 2))
    ask("only validated", named("validated", 3), validate_only=True)
    ask("again, only validated", named("plain"), validate_only=True)
    ask("illegal names", *(CreatableTopic(n, 1, 1) for n in ("", ".", "..", "a/b", "x" * 250)))
    ask("twice in a request", named("double"), named("double"))
    ask("no partitions", named("none", 0))
    ask("minus two partitions", named("minus", -2))
    ask("default counts", named("defaults", -1, -1))
    ask("factor zero", named("zero", 1, 0))
    ask("factor two on one broker", named("two", 1, 2))
    ask("names that collide", CreatableTopic(talk.name("co.lide"), 1, 1))
    ask("names that collided", CreatableTopic(talk.name("co_lide"), 1, 1))
    ask("configured", configured("configured", "retention.ms", "1000"))
    ask("unknown configuration", configured("unknown", "no.such.key", "1"))
    ask("wrong value", configured("wrong", "retention.ms", "soon"))
    ask("value out of range", configured("range", "segment.bytes", "1"))
    ask("null value", configured("null", "retention.ms", None))
    ask("contradiction", configured("contradiction", "min.insync.replicas", "0"))
    assigned("assigned", [1], [1])
    assigned("assigned to nobody known", [77])
    assigned("assigned twice to one", [1, 1])
    assigned("assigned and counted", [1], numbers=(1, 1))
    gap = [CreatableReplicaAssignment(0, [1]), CreatableReplicaAssignment(2, [1])]
    ask("assigned with a gap", CreatableTopic(talk.name("gap"), -1, -1, gap))


@scenario(20, 1, 6)
def delete_topics(talk: Talk) -> None:
    def ask(label: str, *names: str) -> None:
        states = [DeleteTopicState(name=name) for name in names]
        talk.ask(label, DeleteTopicsRequest(states, list(names), 10_000))

    topic = talk.topic("doomed")
    assert topic.name is not None
    ask("one", topic.name)
    ask("again", topic.name)
    ask("an illegal name", "a/b")
    ask("none")
    double = talk.topic("double").name
    assert double is not None
    ask("twice in a request", double, double)
    ask("one and a missing one", str(talk.topic("another").name), talk.name("missing"))
    if talk.version >= 6:
        by_id = talk.topic("by-id")

        def ask_by(label: str, topic_id: bytes, name: str | None) -> None:
            talk.ask(label, DeleteTopicsRequest([DeleteTopicState(name, topic_id)], [], 10_000))

        ask_by("by an unknown id", UNKNOWN_ID, None)
        ask_by("by id and name", by_id.topic_id, by_id.name)
        ask_by("by id", by_id.topic_id, None)
        ask_by("by neither", bytes(16), None)


@scenario(37, 0, 3)
def create_partitions(talk: Talk) -> None:
    name = talk.topic("growing", 2).name
    assert name is not None

    def ask(
        label: str,
        topic: str,
        count: int,
        assignments: list[list[int]] | None = None,
        *,
        validate_only: bool = False,
    ) -> None:
        given = None
        if assignments is not None:
            given = [CreatePartitionsAssignment(brokers) for brokers in assignments]
        request = CreatePartitionsTopic(topic, count, given)
        talk.ask(label, CreatePartitionsRequest([request], 10_000, validate_only))

    ask("only validated", name, 3, validate_only=True)
    ask("to three", name, 3)
    ask("to three again", name, 3)
    ask("to fewer", name, 1)
    ask("to none", name, 0)
    ask("of a missing topic", talk.name("missing"), 2)
    ask("assigned", name, 4, [[1]])
    ask("assigned to nobody known", name, 5, [[77]])
    ask("assigned too many", name, 5, [[1], [1]])
    ask("assigned none", name, 5, [[]])
    talk.wait_for(lambda: len(talk.wait_for_topic(name).partitions) == 4)
    talk.note("partitions in the end", len(talk.wait_for_topic(name).partitions))
    double = [CreatePartitionsTopic(name, 6, None), CreatePartitionsTopic(name, 7, None)]
    talk.ask("twice in a request", CreatePartitionsRequest(double, 10_000, False))

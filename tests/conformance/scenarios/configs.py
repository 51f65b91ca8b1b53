"""Configurations are described and altered."""

from __future__ import annotations

from typing import Any

from tests.conformance.scenarios import scenario
from tests.conformance.scenarios.records import batch_of, write
from tests.conformance.talk import Talk

from ottla.wire.messages.alter_configs import (
    AlterableConfig as OldConfig,
)
from ottla.wire.messages.alter_configs import (
    AlterConfigsRequest,
)
from ottla.wire.messages.alter_configs import (
    AlterConfigsResource as OldResource,
)
from ottla.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
)
from ottla.wire.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from ottla.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)

TOPIC, BROKER = 2, 4
SET, DELETE, APPEND, SUBTRACT = range(4)


@scenario(32, 1, 4)
def describe_configs(talk: Talk) -> None:
    topic = talk.topic("configured", 1, {"retention.ms": "1000", "cleanup.policy": "compact"})

    def ask(label: str, kind: int, name: str, keys: list[str] | None, *, more: bool = False) -> Any:
        resource = DescribeConfigsResource(kind, name, keys)
        return talk.ask(label, DescribeConfigsRequest([resource], more, more))

    ask("everything of a topic", TOPIC, topic.name or "", None)
    ask("two keys", TOPIC, topic.name or "", ["retention.ms", "segment.bytes"])
    ask("with synonyms", TOPIC, topic.name or "", ["retention.ms", "segment.bytes"], more=True)
    ask("an unknown key", TOPIC, topic.name or "", ["no.such.key"])
    ask("no keys", TOPIC, topic.name or "", [])
    ask("a missing topic", TOPIC, talk.name("missing"), None)
    ask("an illegal topic", TOPIC, "a/b", None)
    wanted = ["log.retention.ms", "log.segment.bytes", "num.partitions", "message.max.bytes"]
    ask("a broker", BROKER, "1", wanted, more=True)
    ask("all brokers", BROKER, "", ["log.retention.ms"])
    ask("an unknown broker", BROKER, "77", None)
    ask("no broker's name", BROKER, "one", None)
    ask("an unknown kind", 99, "x", None)


@scenario(44, 0, 1)
def incremental_alter_configs(talk: Talk) -> None:
    topic = talk.topic("configured")

    def ask(
        label: str,
        *changes: tuple[str, int, str | None],
        name: str = topic.name or "",
        kind: int = TOPIC,
        validate_only: bool = False,
    ) -> None:
        configs = [AlterableConfig(key, how, value) for key, how, value in changes]
        resource = AlterConfigsResource(kind, name, configs)
        talk.ask(label, IncrementalAlterConfigsRequest([resource], validate_only))

    ask("set", ("retention.ms", SET, "1000"))
    ask("only validated", ("segment.bytes", SET, "2000000"), validate_only=True)
    ask("append", ("cleanup.policy", APPEND, "compact"))
    ask("append again", ("cleanup.policy", APPEND, "compact"))
    ask("subtract", ("cleanup.policy", SUBTRACT, "delete"))
    ask("append to what is no list", ("retention.ms", APPEND, "1"))
    ask("two changes", ("flush.ms", SET, "1"), ("retention.ms", DELETE, None))
    ask("delete what is not set", ("flush.messages", DELETE, None))
    ask("an unknown key", ("no.such.key", SET, "1"))
    ask("a wrong value", ("retention.ms", SET, "soon"))
    ask("a null value", ("retention.ms", SET, None))
    ask("a key twice", ("retention.ms", SET, "1"), ("retention.ms", SET, "2"))
    ask("one right and one wrong", ("flush.ms", SET, "7"), ("retention.ms", SET, "soon"))
    ask("an unknown operation", ("retention.ms", 9, "1"))
    ask("a missing topic", ("retention.ms", SET, "1"), name=talk.name("missing"))
    ask("an unknown broker", ("log.retention.ms", SET, "1"), name="77", kind=BROKER)
    ask("a broker's fixed key", ("log.dirs", SET, "/x"), name="1", kind=BROKER)
    ask("a broker's wrong value", ("log.retention.ms", SET, "soon"), name="1", kind=BROKER)
    ask("a broker's unknown key", ("no.such.key", DELETE, None), name="1", kind=BROKER)
    ask("an unknown kind", ("a", SET, "1"), name="x", kind=99)
    ask("small segments", ("segment.bytes", SET, "1000"), validate_only=True)
    _note_result(talk, topic.name or "")


def _note_result(talk: Talk, name: str) -> None:
    request = DescribeConfigsRequest([DescribeConfigsResource(TOPIC, name, None)])
    result = talk.do(request, 4).results[0]
    seen = {c.name: c.value for c in result.configs if c.config_source == 1}
    talk.note("set in the end", {key: seen[key] for key in sorted(seen)})


@scenario(33, 0, 2)
def alter_configs(talk: Talk) -> None:
    topic = talk.topic("configured", 1, {"flush.ms": "5", "segment.bytes": "2000000"})

    def ask(label: str, *configs: tuple[str, str | None], name: str, only: bool = False) -> None:
        given = [OldConfig(key, value) for key, value in configs]
        talk.ask(label, AlterConfigsRequest([OldResource(TOPIC, name, given)], only))

    name = topic.name or ""
    ask("only validated", ("retention.ms", "9"), name=name, only=True)
    ask("replaced", ("retention.ms", "1000"), ("segment.bytes", "2000000"), name=name)
    ask("a wrong value", ("retention.ms", "soon"), name=name)
    ask("a null value", ("retention.ms", None), name=name)
    ask("an unknown key", ("no.such.key", "1"), name=name)
    ask("a missing topic", ("retention.ms", "1"), name=talk.name("missing"))
    _note_result(talk, name)


@scenario(35, 1, 5)
def describe_log_dirs(talk: Talk) -> None:
    topic = talk.topic("sized", 2)
    write(talk, topic, batch_of("a", "b"))

    def ask(label: str, topics: list[DescribableLogDirTopic]) -> None:
        answer = talk.do(DescribeLogDirsRequest(topics), talk.version)
        for result in answer.results:
            result.log_dir = "<directory>"
            result.total_bytes = min(result.total_bytes, 1)
            result.usable_bytes = min(result.usable_bytes, 1)
        talk.note(label, talk.plain(answer, talk.version))

    ask("one topic", [DescribableLogDirTopic(topic.name or "", [0, 1])])
    ask("a partition too many", [DescribableLogDirTopic(topic.name or "", [0, 7])])
    ask("a missing topic", [DescribableLogDirTopic(talk.name("missing"), [0])])
    ask("no topics", [])

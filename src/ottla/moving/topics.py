"""Topics with their configuration: what there is, and making the same elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from ottla.client.cluster import Cluster
from ottla.moving.errors import MoveError
from ottla.moving.partitions import Where
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from ottla.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from ottla.wire.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from ottla.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)

TOPIC: Final = 2
SET: Final = 0
DELETE: Final = 1
DYNAMIC_TOPIC_CONFIG: Final = 1
CREATE_TIMEOUT_MS: Final = 30_000

#: Settings under which a target would change or refuse what it is sent; they
#: are set when everything has arrived.
HELD_BACK: Final = (
    "message.timestamp.type",
    "message.timestamp.before.max.ms",
    "message.timestamp.after.max.ms",
    "message.timestamp.difference.max.ms",
)


@dataclass(slots=True)
class TopicPlan:
    """A topic as the source has it; `configs` are those set on the topic itself."""

    name: str
    partitions: int
    replication_factor: int
    configs: dict[str, str] = field(default_factory=dict)

    @property
    def places(self) -> list[Where]:
        return [Where(self.name, n) for n in range(self.partitions)]


def plan(source: Cluster, pattern: str | None) -> list[TopicPlan]:
    """The topics to move: all but internal ones, or those that match."""
    try:
        matches = re.compile(pattern) if pattern else None
    except re.error as error:
        raise MoveError(f"--topics {pattern} is not a regular expression: {error}") from None
    plans = [
        TopicPlan(t.name or "", len(t.partitions), len(t.partitions[0].replica_nodes))
        for t in source.metadata().topics
        if not t.is_internal
        and not (t.name or "").startswith("__")
        and t.partitions
        and (matches is None or matches.fullmatch(t.name or ""))
    ]
    plans.sort(key=lambda p: p.name)
    _add_configs(source, plans)
    return plans


def _add_configs(source: Cluster, plans: list[TopicPlan]) -> None:
    by_name = {p.name: p for p in plans}
    if not plans:
        return
    request = DescribeConfigsRequest([DescribeConfigsResource(TOPIC, p.name) for p in plans])
    for result in source.request(request).results:
        if result.error_code:
            raise MoveError(
                f"the configuration of {result.resource_name} cannot be read:"
                f" {ErrorCode(result.error_code).name}"
            )
        by_name[result.resource_name].configs = {
            c.name: c.value
            for c in result.configs
            if c.config_source == DYNAMIC_TOPIC_CONFIG and c.value is not None
        }


def create(target: Cluster, plans: list[TopicPlan]) -> tuple[list[str], list[str]]:
    """(created, there already) names; every topic exists in the target afterwards.

    Partitions that a topic lacks there are added. Errors: `MoveError` for a
    topic that the target refuses, or that has more partitions there.
    """
    metadata = target.metadata()
    there = {t.name: len(t.partitions) for t in metadata.topics}
    brokers = len(metadata.brokers)
    missing = [p for p in plans if p.name not in there]
    for known in plans:
        count = there.get(known.name, known.partitions)
        if count > known.partitions:
            raise MoveError(
                f"{known.name} has {count} partitions in the target and {known.partitions} in the"
                " source; delete it there first"
            )
        if count < known.partitions:
            _add_partitions(target, known)
    if missing:
        request = CreateTopicsRequest(
            [
                CreatableTopic(
                    p.name,
                    p.partitions,
                    min(max(3 if brokers >= 3 else 1, p.replication_factor), brokers),
                    configs=[
                        CreatableTopicConfig(k, v)
                        for k, v in p.configs.items()
                        if k not in HELD_BACK
                    ],
                )
                for p in missing
            ],
            timeout_ms=CREATE_TIMEOUT_MS,
        )
        for result in target.request_controller(request).topics:
            if result.error_code not in (0, ErrorCode.TOPIC_ALREADY_EXISTS):
                raise MoveError(
                    f"the target refuses topic {result.name}:"
                    f" {result.error_message or ErrorCode(result.error_code).name}"
                )
    names = {p.name for p in missing}
    return [p.name for p in missing], [p.name for p in plans if p.name not in names]


def _add_partitions(target: Cluster, known: TopicPlan) -> None:
    """Errors: `MoveError` when the target refuses."""
    wanted = [CreatePartitionsTopic(known.name, known.partitions)]
    request = CreatePartitionsRequest(wanted, timeout_ms=CREATE_TIMEOUT_MS)
    for result in target.request_controller(request).results:
        if result.error_code:
            raise MoveError(
                f"the target refuses {known.partitions} partitions of {known.name}:"
                f" {result.error_message or ErrorCode(result.error_code).name}"
            )


def set_configs(target: Cluster, plans: list[TopicPlan]) -> None:
    """The topics are configured in the target as they are in the source now.

    That includes what was kept back. Errors: `MoveError`.
    """
    there = [TopicPlan(p.name, p.partitions, p.replication_factor) for p in plans]
    _add_configs(target, there)
    resources = [
        AlterConfigsResource(TOPIC, p.name, changes)
        for p, known in zip(plans, there, strict=True)
        if (
            changes := [AlterableConfig(k, SET, v) for k, v in p.configs.items()]
            + [AlterableConfig(k, DELETE, None) for k in known.configs.keys() - p.configs.keys()]
        )
    ]
    if not resources:
        return
    for answer in target.request_controller(IncrementalAlterConfigsRequest(resources)).responses:
        if answer.error_code:
            raise MoveError(
                f"the target refuses the configuration of {answer.resource_name}:"
                f" {answer.error_message or ErrorCode(answer.error_code).name}"
            )

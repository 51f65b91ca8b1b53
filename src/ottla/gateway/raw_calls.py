"""Calls that librdkafka lacks, made with the raw client. All of them block."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from confluent_kafka import KafkaError

from ottla.client.cluster import Cluster
from ottla.client.errors import ClientError, LoginRefusedError, ResponseError
from ottla.client.security import secured
from ottla.client.settings import Settings
from ottla.gateway.errors import RestError, from_kafka, login_refused
from ottla.gateway.settings import GatewaySettings
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.describe_acls import DescribeAclsRequest
from ottla.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
)
from ottla.wire.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from ottla.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from ottla.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)

TOPIC, BROKER = 2, 4
DEFAULT_CONFIG = 5
#: The name that stands for all brokers.
EVERY_BROKER = ""
SET, DELETE = 0, 1
_NO_SUCH_TOPIC = (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.INVALID_TOPIC_EXCEPTION)


class Synonym(NamedTuple):
    """A place where a configuration can be given, and what was given there."""

    name: str
    value: str | None
    source: int


class Entry(NamedTuple):
    """One configuration and every place where it is given, the deciding one first."""

    name: str
    value: str | None
    is_default: bool
    is_read_only: bool
    is_sensitive: bool
    source: int
    synonyms: list[Synonym]


class Acl(NamedTuple):
    """One entry, its enumerations as the numbers of the protocol."""

    resource_type: int
    resource_name: str
    pattern_type: int
    principal: str
    host: str
    operation: int
    permission: int


class Reassignment(NamedTuple):
    """A partition whose replicas are moving."""

    topic: str
    partition: int
    replicas: list[int]
    adding: list[int]
    removing: list[int]


class RawCalls:
    """One raw client for all requests, which wait for each other. Errors: `RestError`."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._cluster: Cluster | None = None

    @contextmanager
    def _client(self) -> Iterator[Cluster]:
        """Errors: `RestError`, for what Kafka refused, or 40101 or 50302 when none answers."""
        with self._lock:
            try:
                if self._cluster is None:
                    known = Settings(client_id="ottla-gateway")
                    security = secured(known, self._settings.client_config)
                    self._cluster = Cluster(self._settings.bootstrap_servers, security)
                yield self._cluster
            except ResponseError as error:
                raise _refusal(error.code, error.message) from None
            except LoginRefusedError as error:
                raise login_refused(str(error)) from None
            except ClientError as error:
                raise RestError(503, 50302, f"Broker not available: {error}") from None

    def close(self) -> None:
        with self._lock:
            if self._cluster is not None:
                self._cluster.close()
                self._cluster = None

    def log_directory_sizes(self) -> dict[str, int]:
        """Bytes per log directory, by "broker id:path"."""
        sizes: dict[str, int] = {}
        with self._client() as cluster:
            for broker in cluster.brokers():
                answer = _directories_of(cluster, broker.node_id)
                for directory in answer.results:
                    sizes[f"{broker.node_id}:{directory.log_dir}"] = sum(
                        partition.partition_size
                        for topic in directory.topics
                        for partition in topic.partitions
                    )
        return sizes

    def configs(self, kind: int, names: Sequence[str]) -> dict[str, dict[str, Entry]]:
        """Entries by key of each of the topics, or of one broker (`EVERY_BROKER`: of all).

        librdkafka forgets all but one of an entry's synonyms, and has no name
        for all brokers together. Topics that are not there are left out.
        """
        resources = [DescribeConfigsResource(kind, name) for name in names]
        request = DescribeConfigsRequest(resources, include_synonyms=True)
        with self._client() as cluster:
            if kind == BROKER and names[0] != EVERY_BROKER:
                number = int(names[0])
                answer = cluster.retry(lambda: cluster.broker(number).request(request))
            else:
                answer = cluster.request(request)
        found: dict[str, dict[str, Entry]] = {}
        for result in answer.results:
            if result.error_code in _NO_SUCH_TOPIC:
                continue
            if result.error_code:
                raise _refusal(result.error_code, result.error_message)
            entries = [_entry(config) for config in result.configs]
            found[result.resource_name] = {entry.name: entry for entry in entries}
        return found

    def alter_configs_of_all_brokers(
        self, changes: Sequence[tuple[str, str | None]], validate_only: bool
    ) -> None:
        """Set keys for all brokers together; None takes a key back."""
        configs = [
            AlterableConfig(name, DELETE if value is None else SET, value)
            for name, value in changes
        ]
        request = IncrementalAlterConfigsRequest(
            [AlterConfigsResource(BROKER, EVERY_BROKER, configs)], validate_only
        )
        with self._client() as cluster:
            answer = cluster.request_controller(request)
        (result,) = answer.responses
        if result.error_code:
            raise _refusal(result.error_code, result.error_message)

    def reassignments(
        self, partitions: Mapping[str, Sequence[int]] | None = None
    ) -> list[Reassignment]:
        """Reassignments in progress: of these partitions, or of all."""
        topics = None
        if partitions is not None:
            topics = [ListPartitionReassignmentsTopics(t, list(p)) for t, p in partitions.items()]
        request = ListPartitionReassignmentsRequest(self._settings.call_timeout_ms, topics)
        with self._client() as cluster:
            answer = cluster.request_controller(request)
        if answer.error_code:
            raise _refusal(answer.error_code, answer.error_message)
        return [
            Reassignment(
                topic.name, p.partition_index, p.replicas, p.adding_replicas, p.removing_replicas
            )
            for topic in sorted(answer.topics, key=lambda topic: topic.name)
            for p in sorted(topic.partitions, key=lambda p: p.partition_index)
        ]

    def acls(self, wanted: DescribeAclsRequest) -> list[Acl]:
        """Entries that match. librdkafka takes a refusal for an empty answer."""
        with self._client() as cluster:
            answer = cluster.request(wanted)
        if answer.error_code:
            raise _refusal(answer.error_code, answer.error_message)
        return [
            Acl(
                resource.resource_type,
                resource.resource_name,
                resource.pattern_type,
                acl.principal,
                acl.host,
                acl.operation,
                acl.permission_type,
            )
            for resource in answer.resources
            for acl in resource.acls
        ]


def _directories_of(cluster: Cluster, node_id: int) -> DescribeLogDirsResponse:
    return cluster.retry(lambda: cluster.broker(node_id).request(DescribeLogDirsRequest()))


def _refusal(code: int, message: str | None) -> RestError:
    known = KafkaError(int(code))
    return from_kafka(KafkaError(int(code), message or known.str()))


def _entry(config: DescribeConfigsResourceResult) -> Entry:
    return Entry(
        config.name,
        config.value,
        is_default=config.config_source == DEFAULT_CONFIG,
        is_read_only=config.read_only,
        is_sensitive=config.is_sensitive,
        source=config.config_source,
        synonyms=[Synonym(s.name, s.value, s.source) for s in config.synonyms],
    )

"""Configurations of topics, brokers, groups and the like: describe and change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ottla.cli.workers.failures import raise_for
from ottla.cli.workers.resource_types import BROKER, BROKER_LOGGER, CLIENT_METRICS
from ottla.client.cluster import Cluster
from ottla.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
)

LIST_CONFIG_RESOURCES: Final = 74

#: Source of a value → Kafka's name of it.
SOURCES: Final = {
    1: "DYNAMIC_TOPIC_CONFIG",
    2: "DYNAMIC_BROKER_CONFIG",
    3: "DYNAMIC_DEFAULT_BROKER_CONFIG",
    4: "STATIC_BROKER_CONFIG",
    5: "DEFAULT_CONFIG",
    6: "DYNAMIC_BROKER_LOGGER_CONFIG",
    7: "DYNAMIC_CLIENT_METRICS_CONFIG",
    8: "DYNAMIC_GROUP_CONFIG",
}
DEFAULT_SOURCE: Final = 5

#: The entries of one resource.
Entries = Sequence[DescribeConfigsResourceResult]


def is_default(entry: DescribeConfigsResourceResult) -> bool:
    """Whether nobody set the value."""
    return entry.is_default or entry.config_source == DEFAULT_SOURCE


def describe_configs(
    cluster: Cluster, type_: int, names: Iterable[str], *, synonyms: bool = False
) -> dict[str, Entries]:
    """Name of the resource → its entries.

    Errors: `RefusedError` for a resource that does not exist.
    """
    names = list(names)
    if not names:
        return {}
    if type_ in (BROKER, BROKER_LOGGER) and names != [""]:
        # Each broker knows its own configuration only.
        return {
            name: _ask(cluster, int(name), type_, [name], synonyms=synonyms)[name] for name in names
        }
    return _ask(cluster, None, type_, names, synonyms=synonyms)


def _ask(
    cluster: Cluster, node_id: int | None, type_: int, names: list[str], *, synonyms: bool
) -> dict[str, Entries]:
    request = DescribeConfigsRequest(
        [DescribeConfigsResource(type_, name) for name in names], include_synonyms=synonyms
    )
    if node_id is None:
        response = cluster.request(request)
    else:
        response = cluster.broker(node_id).request(request)
    for result in response.results:
        raise_for(result.error_code, result.error_message)
    return {result.resource_name: result.configs for result in response.results}


def alter_configs(
    cluster: Cluster, type_: int, name: str, *, set_: Mapping[str, str], delete: Iterable[str]
) -> None:
    """Set and unset keys of one resource, leaving its others alone.

    Errors: `RefusedError` with the broker's reason.
    """
    from ottla.wire.messages.incremental_alter_configs import (
        AlterableConfig,
        AlterConfigsResource,
        IncrementalAlterConfigsRequest,
    )

    operations = [AlterableConfig(key, 1, None) for key in delete]
    operations += [AlterableConfig(key, 0, value) for key, value in set_.items()]
    request = IncrementalAlterConfigsRequest([AlterConfigsResource(type_, name, operations)])
    if type_ in (BROKER, BROKER_LOGGER) and name:
        response = cluster.broker(int(name)).request(request)
    else:
        response = cluster.request(request)
    for result in response.responses:
        raise_for(result.error_code, result.error_message)


def config_resources(cluster: Cluster, type_: int) -> list[str]:
    """Names of the resources of a type that have a configuration of their own.

    Before KIP-1142 brokers know this of client metrics only.
    """
    from ottla.cli.workers.opening import supports
    from ottla.wire.messages.list_config_resources import ListConfigResourcesRequest

    if not supports(cluster, LIST_CONFIG_RESOURCES, 0 if type_ == CLIENT_METRICS else 1):
        return []
    response = cluster.request(ListConfigResourcesRequest([type_]))
    raise_for(response.error_code)
    return [resource.resource_name for resource in response.config_resources]

"""`kafka-configs`: show and change the configuration of everything that has one."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ottla.cli.connection_options import bootstrap_servers, client_properties
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.kafka_tools.config_options import (
    build_parser,
    check_actions,
    configs_to_add,
    configs_to_delete,
    entities,
)

if TYPE_CHECKING:
    from ottla.cli.workers.quotas import Entity
    from ottla.client.cluster import Cluster
    from ottla.wire.messages.describe_configs import DescribeConfigsResourceResult

#: Entity type → (resource type of the protocol, source of its dynamic values).
RESOURCES: Final = {
    "topics": (2, 1),
    "brokers": (4, 2),
    "broker-loggers": (8, 6),
    "client-metrics": (16, 7),
    "groups": (32, 8),
}
DEFAULT_BROKER_SOURCE: Final = 3
#: Entity type → the quota protocol's word for it.
QUOTA_TYPES: Final = {"users": "user", "clients": "client-id", "ips": "ip"}
QUOTA_WORDS: Final = {"user": "user-principal", "client-id": "client-id", "ip": "ip"}


def run(arguments: Sequence[str]) -> int:
    """Describe or alter one entity, or describe all of a type."""
    options, _ = build_parser().parse(arguments)
    check_actions(options)
    types, names = entities(options)
    _check_names(options, types, names)
    servers = bootstrap_servers(options.bootstrap_server, [options.bootstrap_controller])

    from ottla.cli.workers.opening import open_cluster

    with open_cluster(servers, client_properties(options.command_config)) as cluster:
        if options.alter:
            _alter(cluster, options, types, names)
        elif types[0] in RESOURCES:
            _describe_resources(cluster, types[0], names[0] if names else None, all_=options.all)
        else:
            _describe_quotas(cluster, types, names)
            if "clients" not in types and types[0] == "users" and "" not in names:
                _describe_scram(cluster, names)
    return 0


def _check_names(options: argparse.Namespace, types: list[str], names: list[str]) -> None:
    if {"brokers", "broker-loggers"} & set(types):
        for name in names:
            if name and not name.isdigit():
                raise CommandError(
                    f"The entity name for {types[0]} must be a valid integer broker id, but it "
                    f"is: {name}"
                )
    if options.describe:
        if "" in options.entity_names and not {"users", "clients", "brokers", "ips"} & set(types):
            raise CommandError(
                f"--entity-default must not be specified with --describe of {','.join(types)}"
            )
        if "broker-loggers" in types and not any(names):
            raise CommandError(
                f"An entity name must be specified with --describe of {','.join(types)}"
            )
        return
    if {"users", "clients", "brokers", "ips"} & set(types):
        if not names:
            raise CommandError(
                "An entity-name or default entity must be specified with --alter of users, "
                "clients, brokers or ips"
            )
    elif not any(names):
        raise CommandError(f"An entity name must be specified with --alter of {','.join(types)}")
    if options.add_config and options.add_config_file:
        raise CommandError("Only one of --add-config or --add-config-file must be specified")
    if len(types) != len(names):
        raise CommandError("An entity name must be specified for every entity type")


def _alter(
    cluster: Cluster, options: argparse.Namespace, types: list[str], names: list[str]
) -> None:
    added, deleted = configs_to_add(options), configs_to_delete(options)
    type_, name = types[0], names[0]
    if type_ in RESOURCES:
        from ottla.cli.workers.configs import alter_configs, describe_configs

        resource = RESOURCES[type_][0]
        if type_ == "broker-loggers":
            known = {e.name for e in describe_configs(cluster, resource, [name])[name]}
            unknown = [key for key in [*deleted, *added] if key not in known]
            if unknown:
                raise CommandError(f"Invalid broker logger(s): {','.join(unknown)}")
        alter_configs(cluster, resource, name, set_=added, delete=deleted)
    elif any(key.startswith("SCRAM-") for key in [*added, *deleted]):
        _alter_scram(cluster, types, names, added, deleted)
    else:
        _alter_quotas(cluster, types, names, added, deleted)
    if name:
        print(f"Completed updating config for {type_.removesuffix('s')} {name}.")
    else:
        print(f"Completed updating default config for {type_} in the cluster.")


def _alter_quotas(
    cluster: Cluster,
    types: list[str],
    names: list[str],
    added: dict[str, str],
    deleted: list[str],
) -> None:
    from ottla.cli.workers.quotas import (
        DEFAULT,
        EXACT,
        IP_QUOTAS,
        USER_QUOTAS,
        alter_quotas,
        describe_quotas,
    )

    known = IP_QUOTAS if "ips" in types else USER_QUOTAS
    for keys, verb in ((added, "added"), (deleted, "deleted")):
        unknown = [key for key in keys if key not in known]
        if unknown:
            kind = {"users": "quota and SCRAM credential", "ips": "connection quota"}
            what = kind.get(types[0], "quota") if len(types) == 1 else "quota"
            whose = "clients" if len(types) > 1 else types[0]
            raise CommandError(
                f"Only {what} configs can be {verb} for '{whose}' using --bootstrap-server. "
                f"Unexpected config names: {','.join(unknown)}"
            )
    numbers = {}
    for key, text in added.items():
        try:
            numbers[key] = float(text)
        except ValueError:
            raise CommandError(
                f"Cannot parse quota configuration value for {key}: {text}"
            ) from None
    words = [QUOTA_TYPES[type_] for type_ in types]
    components = [
        (word, name or None, EXACT if name else DEFAULT)
        for word, name in zip(words, names, strict=True)
    ]
    present = describe_quotas(cluster, components)
    current = present[0][1] if present else {}
    missing = [key for key in deleted if key not in current]
    if missing:
        raise CommandError(f"Invalid config(s): {','.join(missing)}")
    entity = tuple((word, name) for word, name, _ in components)
    alter_quotas(cluster, entity, set_=numbers, delete=deleted)


def _alter_scram(
    cluster: Cluster,
    types: list[str],
    names: list[str],
    added: dict[str, str],
    deleted: list[str],
) -> None:
    from ottla.cli.workers.quotas import SCRAM, alter_scram

    keys = [*added, *deleted]
    if types != ["users"]:
        raise CommandError(
            "Only quota configs can be added for 'clients' using --bootstrap-server. Unexpected "
            f"config names: {','.join(keys)}"
        )
    if "" in names:
        raise CommandError(
            "The use of --entity-default or --user-defaults is not allowed with User SCRAM "
            "Credentials using --bootstrap-server."
        )
    unknown = [key for key in keys if key not in SCRAM]
    if unknown:
        raise CommandError(
            "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' "
            f"using --bootstrap-server; not SCRAM: {','.join(unknown)}"
        )
    credentials = {key: _iterations_and_password(key, text) for key, text in added.items()}
    alter_scram(cluster, names[0], set_=credentials, delete=deleted)


def _iterations_and_password(mechanism: str, text: str) -> tuple[int, bytes]:
    """`[iterations=N,password=P]` without its brackets."""
    from ottla.cli.workers.quotas import DEFAULT_ITERATIONS, SCRAM

    match = re.fullmatch(r"(?:iterations=(-?[0-9]*),)?password=(.*)", text)
    if not match:
        raise CommandError(f"Invalid credential property {mechanism}={text}")
    iterations = DEFAULT_ITERATIONS if match[1] in (None, "-1") else int(match[1])
    fewest = SCRAM[mechanism][2]
    if iterations < fewest:
        raise CommandError(
            f"Iterations {iterations} is less than the minimum {fewest} required for {mechanism}"
        )
    return iterations, match[2].encode()


def _describe_resources(cluster: Cluster, type_: str, name: str | None, *, all_: bool) -> None:
    """Kafka's listing of one resource or of all of its type; '' is all brokers' default."""
    from ottla.cli.workers.configs import describe_configs

    resource, dynamic_source = RESOURCES[type_]
    if name is not None and not all_ and name not in _existing(cluster, type_):
        singular = type_.removesuffix("s")
        print(f"The {singular} '{name}' doesn't exist and doesn't have dynamic config.")
        return
    for entity in [name] if name is not None else _existing(cluster, type_):
        if type_ == "brokers" and not entity:
            print(f"Default configs for {type_} in the cluster are:")
            source = DEFAULT_BROKER_SOURCE
        else:
            what = "All" if all_ else "Dynamic"
            print(f"{what} configs for {type_.removesuffix('s')} {entity} are:")
            source = dynamic_source
        entries = describe_configs(cluster, resource, [entity], synonyms=True)[entity]
        for entry in sorted(entries, key=lambda entry: entry.name):
            if all_ or entry.config_source == source:
                print(entry_line(entry))


def _existing(cluster: Cluster, type_: str) -> list[str]:
    """Names of everything of this type, in the order in which Kafka's tool prints them."""
    from ottla.cli.java_order import string_map_order
    from ottla.cli.workers.configs import config_resources
    from ottla.cli.workers.groups import list_groups
    from ottla.cli.workers.resource_types import CLIENT_METRICS, GROUP
    from ottla.cli.workers.topics import list_topics

    if type_ == "topics":
        return string_map_order(list_topics(cluster))
    if type_ in ("brokers", "broker-loggers"):
        return [*(str(broker.node_id) for broker in cluster.brokers()), ""]
    if type_ == "client-metrics":
        return config_resources(cluster, CLIENT_METRICS)
    groups = string_map_order(group.group_id for group in list_groups(cluster))
    return list(dict.fromkeys([*groups, *config_resources(cluster, GROUP)]))


def entry_line(entry: DescribeConfigsResourceResult) -> str:
    """Kafka's line on one key, with where its value comes from."""
    from ottla.cli.workers.configs import SOURCES

    def text(value: str | None) -> str:
        return "null" if value is None else value

    synonyms = ", ".join(
        f"{SOURCES.get(one.source, 'UNKNOWN')}:{one.name}={text(one.value)}"
        for one in entry.synonyms
    )
    return (
        f"  {entry.name}={text(entry.value)} sensitive={str(entry.is_sensitive).lower()} "
        f"synonyms={{{synonyms}}}"
    )


def _describe_quotas(cluster: Cluster, types: list[str], names: list[str]) -> None:
    from ottla.cli.java_numbers import double_text
    from ottla.cli.java_order import string_map_order
    from ottla.cli.workers.quotas import ANY, DEFAULT, EXACT, describe_quotas

    if len(names) > len(types):
        raise CommandError("More entity names specified than entity types")
    components: list[tuple[str, str | None, int]] = []
    for position, type_ in enumerate(types):
        name = names[position] if position < len(names) else None
        kind = ANY if name is None else EXACT if name else DEFAULT
        components.append((QUOTA_TYPES[type_], name or None, kind))
    for entity, values in describe_quotas(cluster, components):
        texts = ", ".join(
            f"{key}={double_text(values[key])}"
            for key in string_map_order(values, capacity=len(values))
        )
        print(f"Quota configs for {_entity_text(entity)} are {texts}")


def _entity_text(entity: Entity) -> str:
    parts = dict(entity)
    return ", ".join(
        f"{word} '{parts[type_]}'" if parts[type_] else f"the default {word}"
        for type_, word in QUOTA_WORDS.items()
        if type_ in parts
    )


def _describe_scram(cluster: Cluster, users: list[str]) -> None:
    from ottla.cli.workers.failures import sentence
    from ottla.cli.workers.quotas import describe_scram

    for user in describe_scram(cluster, users):
        if user.error_code:
            print(
                f"Error retrieving SCRAM credential configs for user-principal '{user.name}': "
                f"{sentence(user.error_code, user.error_message)}"
            )
            continue
        credentials = ", ".join(f"{name}=iterations={count}" for name, count in user.credentials)
        print(f"SCRAM credential configs for user-principal '{user.name}' are {credentials}")


def main() -> int:
    """Entry point of kafka-configs."""
    return exit_status_of(lambda: run(sys.argv[1:]))

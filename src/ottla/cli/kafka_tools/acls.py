"""`kafka-acls`: list, add and remove access control lists."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.cli.workers.acls import AclEntry, Resource
    from ottla.client.cluster import Cluster

#: Option that names resources → their type.
RESOURCE_OPTIONS: Final = {
    "topic": "TOPIC",
    "group": "GROUP",
    "transactional_id": "TRANSACTIONAL_ID",
    "delegation_token": "DELEGATION_TOKEN",
    "user_principal": "USER",
}


def build_parser() -> OptionParser:
    """The options of kafka-acls."""
    parser = OptionParser("kafka-acls", "List, add and remove access control lists.")
    add_connection_options(parser)
    flag, values = parser.flag, parser.values
    parser.value("--bootstrap-controller", "controllers to ask instead", metavar="SERVERS")
    flag("--list", "list the rules")
    flag("--add", "add rules")
    flag("--remove", "remove rules; asks first unless --force")
    for name in RESOURCE_OPTIONS:
        values("--" + name.replace("_", "-"), "resource of the rules; '*' means all")
    flag("--cluster", "the cluster is the resource")
    parser.value(
        "--resource-pattern-type",
        "literal or prefixed; to list or remove also any, or match",
        default="literal",
    )
    values("--operation", "Read, Write, Create, Delete, Alter, Describe, ... or All (default)")
    values("--allow-principal", "who is allowed to, such as User:alice", metavar="TYPE:NAME")
    values("--deny-principal", "who is not", metavar="TYPE:NAME")
    values("--allow-host", "from where they are; everywhere without it", metavar="HOST")
    values("--deny-host", "from where they are not; everywhere without it", metavar="HOST")
    values("--principal", "with --list: only rules for this one", metavar="TYPE:NAME")
    flag("--producer", "all that a producer to the --topic needs")
    flag("--consumer", "all that a consumer of the --topic in the --group needs")
    flag("--idempotent", "with --producer: idempotent writing, too")
    flag("--force", "do not ask")
    parser.retire("--authorizer", "--authorizer is not used any more")
    parser.retire("--authorizer-properties", "--authorizer-properties is not used any more")
    return parser


def _check(options: argparse.Namespace) -> None:
    if options.list + options.add + options.remove != 1:
        raise CommandError("Command must include exactly one action: --list, --add, --remove. ")
    principals = ("allow_host", "allow_principal", "deny_host", "deny_principal")
    forbidden = {
        "list": ("producer", "consumer", *principals),
        "producer": ("operation", "deny_principal", "deny_host"),
        "consumer": ("operation", "deny_principal", "deny_host"),
    }
    for option, others in forbidden.items():
        for other in others:
            if getattr(options, option) and getattr(options, other):
                raise CommandError(
                    f'Option "[{option}]" can\'t be used with option "[{other.replace("_", "-")}]"'
                )
    if options.principal and not options.list:
        raise CommandError("The --principal option is only available if --list is set")
    if options.producer and not options.topic:
        raise CommandError("With --producer you must specify a --topic")
    if options.idempotent and not options.producer:
        raise CommandError("The --idempotent option is only available if --producer is set")
    alone = options.consumer and not options.producer
    if options.consumer and (
        not (options.topic and options.group)
        or (alone and (options.cluster or options.transactional_id))
    ):
        raise CommandError(
            "With --consumer you must specify a --topic and a --group and no --cluster or "
            "--transactional-id option should be specified."
        )


def run(arguments: Sequence[str]) -> int:
    """Do the one thing asked for; errors of the cluster go to stdout, as Kafka's do."""
    options, _ = build_parser().parse(arguments)
    _check(options)
    servers = bootstrap_servers(options.bootstrap_server, [options.bootstrap_controller])

    from ottla.cli.workers.failures import RefusedError
    from ottla.cli.workers.opening import open_cluster

    with open_cluster(servers, client_properties(options.command_config)) as cluster:
        action = _list if options.list else _add if options.add else _remove
        try:
            action(cluster, options)
        except (RefusedError, _ExecutionError) as error:
            raise CommandError(
                f"Error while executing ACL command: {error}", on_stdout=True
            ) from None
    return 0


class _ExecutionError(Exception):
    """A mistake that Kafka's tool finds only when it is at work."""


def resources(options: argparse.Namespace) -> list[Resource]:
    """The resources, or filters for them, that the options name."""
    from ottla.cli.workers.acls import CLUSTER_NAME, PATTERN_TYPES, Resource

    pattern = options.resource_pattern_type.upper()
    if pattern not in PATTERN_TYPES:
        raise CommandError(f"Unknown resource-pattern-type: {options.resource_pattern_type}")
    found = [
        Resource(type_, name.strip(), pattern)
        for option, type_ in RESOURCE_OPTIONS.items()
        for name in getattr(options, option)
    ]
    if pattern == "LITERAL" and (options.cluster or options.idempotent):
        found.append(Resource("CLUSTER", CLUSTER_NAME))
    return list(dict.fromkeys(found))


def _required_resources(options: argparse.Namespace) -> list[Resource]:
    found = resources(options)
    if not found:
        raise CommandError(
            "You must provide at least one resource: --topic <topic> or --cluster or --group "
            "<group> or --delegation-token <Delegation Token ID>"
        )
    return found


def _principals(names: Iterable[str]) -> list[str]:
    stripped = [name.strip() for name in names]
    for name in stripped:
        if not all(name.partition(":")):
            raise _ExecutionError(
                "expected a string in format principalType:principalName but got " + name
            )
    return stripped


def _entries(options: argparse.Namespace, operations: Iterable[str]) -> list[AclEntry]:
    """The rules for these operations, for everybody who is allowed or denied."""
    from ottla.cli.workers.acls import AclEntry

    operations = list(operations)
    return [
        AclEntry(principal, host, operation, permission)
        for permission, principals, hosts in (
            ("ALLOW", options.allow_principal, options.allow_host),
            ("DENY", options.deny_principal, options.deny_host),
        )
        for principal in _principals(principals)
        for operation in operations
        for host in [host.strip() for host in hosts] or ["*"]
    ]


def _operation(word: str) -> str:
    """`ClusterAction`, `clusteraction` and CLUSTER_ACTION are one operation."""
    from ottla.cli.workers.acls import OPERATIONS

    plain = {name.replace("_", ""): name for name in OPERATIONS}
    return plain.get(word.strip().upper().replace("_", ""), "UNKNOWN")


def rules(options: argparse.Namespace) -> dict[Resource, list[AclEntry]]:
    """What --add would add: resource → rules. Errors: `CommandError`."""
    from ottla.cli.workers.acls import CLUSTER_NAME, SUPPORTED, Resource

    wished: dict[Resource, list[AclEntry]] = {}
    found = _required_resources(options)
    if not options.producer and not options.consumer:
        operations = [_operation(word) for word in options.operation or ["All"]]
        wished = {resource: _entries(options, operations) for resource in found}
    roles: list[tuple[str, tuple[str, ...]]] = []
    if options.producer:
        roles += [
            ("TOPIC", ("WRITE", "DESCRIBE", "CREATE")),
            ("TRANSACTIONAL_ID", ("WRITE", "DESCRIBE")),
        ]
    if options.consumer:
        roles += [("TOPIC", ("READ", "DESCRIBE")), ("GROUP", ("READ",))]
    for type_, needed in roles:
        for resource in found:
            if resource.type == type_:
                wished.setdefault(resource, []).extend(_entries(options, needed))
    if options.producer and options.idempotent:
        wished[Resource("CLUSTER", CLUSTER_NAME)] = _entries(options, ["IDEMPOTENT_WRITE"])
    for resource, entries in wished.items():
        valid = SUPPORTED[resource.type] | {"ALL"}
        if any(entry.operation not in valid for entry in entries):
            raise CommandError(
                f"ResourceType {resource.type} only supports operations "
                f"[{', '.join(sorted(valid))}]"
            )
    return {resource: list(dict.fromkeys(entries)) for resource, entries in wished.items()}


def _add(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.acls import create_acls, describe_acls

    pattern = options.resource_pattern_type.upper()
    if pattern in ("ANY", "MATCH"):
        raise CommandError(
            f"A '--resource-pattern-type' value of '{pattern}' is not valid when adding acls."
        )
    wished = rules(options)
    if not all(wished.values()):
        raise CommandError(
            "You must specify one of: --allow-principal, --deny-principal when trying to add ACLs."
        )
    for resource, entries in wished.items():
        present = describe_acls(cluster, resource).get(resource, [])
        for entry in entries:
            if entry in present:
                print(f"Acl (pattern={resource}, entry={entry}) already exists.")
        new = [entry for entry in entries if entry not in present]
        if new:
            lines = "\n".join(f"\t{entry}" for entry in new)
            print(f"Adding ACLs for resource `{resource}`: \n {lines}\n")
            create_acls(cluster, resource, new)


def _remove(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.acls import delete_acls

    for resource, entries in rules(options).items():
        if entries:
            lines = "\n".join(f"\t{entry}" for entry in entries)
            question = (
                f"Are you sure you want to remove ACLs: \n {lines}\n"
                f" from resource filter `{resource}`? (y/n)"
            )
        else:
            question = (
                f"Are you sure you want to delete all ACLs for resource filter `{resource}`? (y/n)"
            )
        if options.force or _is_confirmed(question):
            delete_acls(cluster, resource, entries)


def _is_confirmed(question: str) -> bool:
    print(question, flush=True)
    return sys.stdin.readline().strip().lower() == "y"


def _list(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.acls import ANY_RESOURCE, describe_acls

    found: dict[Resource, list[AclEntry]] = {}
    for wanted in resources(options) or [ANY_RESOURCE]:
        for resource, entries in describe_acls(cluster, wanted).items():
            found.setdefault(resource, []).extend(
                entry for entry in entries if entry not in found.get(resource, [])
            )
    if not options.principal:
        _print(found)
        return
    for principal in dict.fromkeys(_principals(options.principal)):
        print(f"ACLs for principal `{principal}`")
        theirs = {
            resource: [entry for entry in entries if entry.principal == principal]
            for resource, entries in found.items()
        }
        _print({resource: entries for resource, entries in theirs.items() if entries})


def _print(found: dict[Resource, list[AclEntry]]) -> None:
    for resource, entries in found.items():
        lines = "\n".join(f"\t{entry}" for entry in entries)
        print(f"Current ACLs for resource `{resource}`:\n{lines}\n")


def main() -> int:
    """Entry point of kafka-acls."""
    return exit_status_of(lambda: run(sys.argv[1:]))

"""`ottla acls`: who may do what, in short."""

from __future__ import annotations

import argparse
from typing import Final

from ottla.cli.errors import CommandError
from ottla.cli.output import print_rows
from ottla.cli.verbs.connection import Actions, opened_cluster

DESCRIPTION = """\
List, add and remove access rules. kafka-acls takes every option of Kafka's.

  ottla acls
  ottla acls allow User:alice read topic:orders
  ottla acls allow User:alice write,describe topic:orders-*     a prefix
  ottla acls deny User:mallory all cluster
  ottla acls remove User:alice topic:orders
"""

RESOURCES: Final = {
    "topic": "TOPIC",
    "group": "GROUP",
    "cluster": "CLUSTER",
    "transactional-id": "TRANSACTIONAL_ID",
    "token": "DELEGATION_TOKEN",
    "user": "USER",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    action = Actions(parser, "list").add
    action("list", "List the rules.", prints_rows=True)
    for name in ("allow", "deny"):
        rule = action(name, f"{name.capitalize()} operations to somebody.")
        rule.add_argument("principal", metavar="User:NAME")
        rule.add_argument("operations", metavar="OPERATION,…", help="read, write, …, all")
        rule.add_argument("resource", metavar="TYPE:NAME", help="topic:orders, group:g*, cluster")
        rule.add_argument("--host", default="*", help="from where (default: everywhere)")
    remove = action("remove", "Remove the rules of somebody on a resource.")
    remove.add_argument("principal", metavar="User:NAME")
    remove.add_argument("resource", metavar="TYPE:NAME")


def run(args: argparse.Namespace) -> int:
    """Do what the action says; listing is the default."""
    from ottla.cli.workers.acls import (
        ANY_RESOURCE,
        CLUSTER_NAME,
        OPERATIONS,
        SUPPORTED,
        AclEntry,
        Resource,
        create_acls,
        delete_acls,
        describe_acls,
    )

    def resource_named(text: str) -> Resource:
        kind, _, name = text.partition(":")
        if kind not in RESOURCES or (not name and kind != "cluster"):
            raise CommandError(f"'{text}' is no resource; write topic:NAME, group:NAME, cluster.")
        if kind == "cluster":
            return Resource("CLUSTER", CLUSTER_NAME)
        if name.endswith("*") and name != "*":
            return Resource(RESOURCES[kind], name[:-1], "PREFIXED")
        return Resource(RESOURCES[kind], name)

    with opened_cluster(args) as cluster:
        if args.action == "list":
            rows = [
                {
                    "principal": entry.principal,
                    "permission": entry.permission.lower(),
                    "operation": entry.operation.lower(),
                    "resource": resource.type.lower(),
                    "name": f"{resource.name}{'*' * (resource.pattern == 'PREFIXED')}",
                    "host": entry.host,
                }
                for resource, entries in describe_acls(cluster, ANY_RESOURCE).items()
                for entry in entries
            ]
            columns = ("principal", "permission", "operation", "resource", "name", "host")
            print_rows(rows, columns, args.output, empty="There are no rules.")
            return 0
        resource = resource_named(args.resource)
        if args.action == "remove":
            mine = [
                entry
                for entry in describe_acls(cluster, resource).get(resource, [])
                if entry.principal == args.principal
            ]
            removed = delete_acls(cluster, resource, mine) if mine else 0
            print(f"Removed {removed} rule{'s'[: removed != 1]}.")
            return 0
        operations = [word.strip().upper().replace("-", "_") for word in args.operations.split(",")]
        valid = SUPPORTED[resource.type] | {"ALL"}
        for operation in operations:
            if operation not in OPERATIONS or operation not in valid:
                known = ", ".join(sorted(name.lower() for name in valid))
                raise CommandError(f"On this resource there are only: {known}.")
        permission = args.action.upper()
        entries = [AclEntry(args.principal, args.host, name, permission) for name in operations]
        create_acls(cluster, resource, entries)
        print(f"Added {len(entries)} rule{'s'[: len(entries) != 1]}.")
    return 0

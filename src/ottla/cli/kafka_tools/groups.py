"""`kafka-groups`: groups of every type, with their protocols."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.cli.workers.groups import GroupListing

MIN_WIDTH: Final = 20
TYPES: Final = ("classic", "consumer", "share", "streams")


def build_parser() -> OptionParser:
    """The options of kafka-groups."""
    parser = OptionParser("kafka-groups", "List groups of every type.")
    add_connection_options(parser)
    parser.flag("--list", "list the groups; required")
    parser.value("--group-type", f"only this type: {', '.join(TYPES)}", metavar="TYPE")
    parser.value("--protocol", "only this protocol", metavar="PROTOCOL")
    parser.flag("--consumer", "only groups of consumers, classic ones included")
    parser.flag("--share", "only share groups")
    parser.flag("--streams", "only groups of Kafka Streams")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Print the table."""
    options, _ = build_parser().parse(arguments)
    if not options.list:
        raise CommandError('Missing required argument "[list]"')
    if options.group_type and options.group_type.lower() not in TYPES:
        raise CommandError("--group-type must be a valid group type.")

    from ottla.cli.java_order import string_map_order
    from ottla.cli.workers.groups import list_groups
    from ottla.cli.workers.opening import open_cluster

    servers = bootstrap_servers(options.bootstrap_server)
    with open_cluster(servers, client_properties(options.command_config)) as cluster:
        by_id = {group.group_id: group for group in list_groups(cluster)}
    shown = [by_id[name] for name in string_map_order(by_id) if _is_wanted(by_id[name], options)]
    rows = [(group.group_id, group.type, group.protocol_type) for group in shown]
    width = max([MIN_WIDTH, *(len(cell) for row in rows for cell in row)])
    print(" ".join(name.ljust(width) for name in ("GROUP", "TYPE", "PROTOCOL")))
    for row in rows:
        print("".join(f"{cell.ljust(width)} " for cell in row))
    return 0


def _is_wanted(group: GroupListing, options: argparse.Namespace) -> bool:
    type_ = group.type.lower()
    if options.group_type:
        same = options.protocol is None or group.protocol_type == options.protocol
        return type_ == options.group_type.lower() and same
    if options.protocol is not None:
        return bool(group.protocol_type == options.protocol)
    if options.consumer:
        return group.protocol_type in ("consumer", "") or type_ == "consumer"
    if options.share or options.streams:
        return type_ == ("share" if options.share else "streams")
    return True


def main() -> int:
    """Entry point of kafka-groups."""
    return exit_status_of(lambda: run(sys.argv[1:]))

"""Which cluster a verb means.

From strong to weak: --bootstrap-servers, --context, KAFKA_BOOTSTRAP_SERVERS,
the current context, localhost:9092. A context brings its properties; otherwise
OTTLA_COMMAND_CONFIG may name a file of them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ottla.cli.connection_options import (
    DEFAULT_SERVERS,
    ENVIRONMENT_VARIABLE,
    checked_servers,
    client_properties,
    merged_properties,
)
from ottla.cli.contexts import load_contexts
from ottla.cli.errors import CommandError
from ottla.cli.output import add_output_argument
from ottla.cli.watching import add_watch_argument

if TYPE_CHECKING:
    from ottla.client.cluster import Cluster


class Connection(NamedTuple):
    """Addresses, and Kafka's properties for clients."""

    servers: str
    properties: dict[str, str]


def add_connection_arguments(parser: argparse.ArgumentParser, *, is_nested: bool = False) -> None:
    """Add the options that say where the cluster is.

    A verb with actions takes them before the action and behind it: there
    `is_nested` keeps what stood before.
    """
    group = parser.add_argument_group("cluster")
    default = argparse.SUPPRESS if is_nested else None
    group.add_argument(
        "-b",
        "--bootstrap-servers",
        "--bootstrap-server",
        metavar="HOST:PORT",
        default=default,
        help=f"brokers to ask first (default: the context, ${ENVIRONMENT_VARIABLE}, "
        f"{DEFAULT_SERVERS})",
    )
    group.add_argument(
        "-c", "--context", metavar="NAME", default=default, help="a cluster of `ottla context`"
    )
    group.add_argument(
        "--command-config",
        metavar="FILE",
        default=default,
        help="properties file for clients, as Kafka's tools",
    )
    group.add_argument(
        "-X",
        "--command-property",
        action="append",
        default=argparse.SUPPRESS if is_nested else [],
        metavar="K=V",
        help="one client property, by Kafka's name",
    )


def connection_of(args: argparse.Namespace) -> Connection:
    """The cluster that the parsed options mean. Errors: `CommandError`."""
    servers = args.bootstrap_servers
    environment = os.environ.get(ENVIRONMENT_VARIABLE)
    if not servers:
        contexts = load_contexts()
        name = args.context or (None if environment else contexts.current)
        if name:
            context = contexts.named(name)
            servers, properties = context.bootstrap_servers, dict(context.properties)
            properties.update(merged_properties(args.command_config, args.command_property))
            return Connection(checked_servers(servers), properties)
    properties = client_properties(args.command_config, args.command_property)
    return Connection(checked_servers(servers or environment or DEFAULT_SERVERS), properties)


@contextlib.contextmanager
def opened_cluster(args: argparse.Namespace) -> Iterator[Cluster]:
    """The cluster to ask, connected when first asked."""
    from ottla.cli.workers.failures import RefusedError
    from ottla.cli.workers.opening import open_cluster
    from ottla.wire.errors import ErrorCode

    connection = connection_of(args)
    with open_cluster(connection.servers, connection.properties) as cluster:
        try:
            yield cluster
        except RefusedError as error:
            if error.code != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                raise
            raise CommandError("There is no such topic; `ottla topics` lists them.") from None


class Actions:
    """The actions of a verb, such as `create` of `ottla topics`."""

    def __init__(
        self, parser: argparse.ArgumentParser, default: str | None, *, is_watchable: bool = False
    ) -> None:
        parser.set_defaults(action=default)
        add_output_argument(parser)
        if is_watchable:
            add_watch_argument(parser)
        add_connection_arguments(parser)
        self._parsers = parser.add_subparsers(
            metavar="ACTION", dest="action_name", required=default is None
        )

    def add(
        self, name: str, help_text: str, *, prints_rows: bool = False, is_watchable: bool = False
    ) -> argparse.ArgumentParser:
        """The parser of one action; `args.action` is its name."""
        parser: argparse.ArgumentParser = self._parsers.add_parser(
            name, help=help_text, description=help_text
        )
        parser.set_defaults(action=name)
        if prints_rows:
            add_output_argument(parser, is_nested=True)
        if is_watchable:
            add_watch_argument(parser, is_nested=True)
        add_connection_arguments(parser, is_nested=True)
        return parser

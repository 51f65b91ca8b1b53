"""`kafka-client-metrics`: which metrics clients send to the brokers, and how often (KIP-714)."""

from __future__ import annotations

import argparse
import base64
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.client.cluster import Cluster

ACTIONS: Final = ("alter", "delete", "describe", "list")
#: Option → the key it sets.
KEYS: Final = {"interval": "interval.ms", "match": "match", "metrics": "metrics"}


def build_parser() -> OptionParser:
    """The options of kafka-client-metrics."""
    parser = OptionParser(
        "kafka-client-metrics", "Say which metrics clients send to the brokers, and how often."
    )
    add_connection_options(parser)
    parser.flag("--list", "list the resources")
    parser.flag("--describe", "show one, or all of them")
    parser.flag("--alter", "make or change one")
    parser.flag("--delete", "delete one")
    parser.value("--name", "name of the resource", metavar="NAME")
    parser.flag("--generate-name", "with --alter: make up a name")
    parser.value("--interval", "ms between two of a client's reports; empty for the default")
    parser.value("--match", "k1=v1,k2=v2: only clients like this: client_id, client_instance_id, "
                 "client_software_name, client_software_version, client_source_address, "
                 "client_source_port")  # fmt: skip
    parser.value("--metrics", "m1,m2: names of metrics, or how they begin; empty for none")
    return parser


def run(arguments: Sequence[str]) -> int:
    """List, describe, alter or delete resources."""
    options, _ = build_parser().parse(arguments)
    _check(options)
    servers = bootstrap_servers(options.bootstrap_server)

    from ottla.cli.workers.failures import RefusedError
    from ottla.cli.workers.opening import open_cluster

    try:
        with open_cluster(servers, client_properties(options.command_config)) as cluster:
            _act(cluster, options)
    except RefusedError as error:
        raise CommandError(
            f"Error while executing client metrics command : {error}", on_stdout=True
        ) from None
    return 0


def _check(options: argparse.Namespace) -> None:
    if sum(bool(getattr(options, action)) for action in ACTIONS) != 1:
        raise CommandError(
            "Command must include exactly one action: --alter, --delete, --describe or --list."
        )
    if options.alter and bool(options.name) == options.generate_name:
        raise CommandError("One of --name or --generate-name must be specified with --alter.")
    if options.delete and not options.name:
        raise CommandError("A client metrics resource name must be specified with --delete.")


def _act(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.configs import alter_configs, config_resources, describe_configs
    from ottla.cli.workers.resource_types import CLIENT_METRICS

    if options.list:
        print("\n".join(config_resources(cluster, CLIENT_METRICS)))
    elif options.describe:
        names = config_resources(cluster, CLIENT_METRICS)
        for name in [options.name] if options.name else names:
            if name not in names:
                print(
                    f"The client metric resource {name} doesn't exist and doesn't have dynamic "
                    "config."
                )
                continue
            print(f"Client metrics configs for {name} are:")
            for entry in describe_configs(cluster, CLIENT_METRICS, [name])[name]:
                print(f"  {entry.name}={entry.value}")
    elif options.alter:
        name = options.name or base64.urlsafe_b64encode(uuid4().bytes).rstrip(b"=").decode()
        given = {key: getattr(options, option) for option, key in KEYS.items()}
        alter_configs(
            cluster,
            CLIENT_METRICS,
            name,
            set_={key: value for key, value in given.items() if value},
            delete=[key for key, value in given.items() if value == ""],
        )
        print(f"Altered client metrics config for {name}.")
    else:
        entries = describe_configs(cluster, CLIENT_METRICS, [options.name])[options.name]
        keys = [entry.name for entry in entries]
        alter_configs(cluster, CLIENT_METRICS, options.name, set_={}, delete=keys)
        print(f"Deleted client metrics config for {options.name}.")


def main() -> int:
    """Entry point of kafka-client-metrics."""
    return exit_status_of(lambda: run(sys.argv[1:]))

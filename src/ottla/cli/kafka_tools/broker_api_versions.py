"""`kafka-broker-api-versions`: which APIs each broker serves."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import exit_status_of
from ottla.cli.option_parser import OptionParser


def build_parser() -> OptionParser:
    """The options of kafka-broker-api-versions."""
    parser = OptionParser("kafka-broker-api-versions", "Show which APIs each broker serves.")
    add_connection_options(parser)
    return parser


def run(arguments: Sequence[str]) -> int:
    """Print one block per broker."""
    options, _ = build_parser().parse(arguments)

    from ottla.cli.workers.api_listing import api_versions_text
    from ottla.cli.workers.opening import open_cluster

    servers = bootstrap_servers(options.bootstrap_server)
    with open_cluster(servers, client_properties(options.command_config)) as cluster:
        for broker in cluster.brokers():
            print(api_versions_text(cluster, broker))
    return 0


def main() -> int:
    """Entry point of kafka-broker-api-versions."""
    return exit_status_of(lambda: run(sys.argv[1:]))

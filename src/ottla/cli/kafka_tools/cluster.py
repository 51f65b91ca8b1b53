"""`kafka-cluster`: the cluster's id, endpoints and APIs; forgetting brokers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ottla.cli.connection_options import bootstrap_servers, client_properties, renamed_value
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.client.cluster import Cluster

COMMANDS: Final = (
    "cluster-id",
    "unregister",
    "unregister-controller",
    "list-endpoints",
    "api-versions",
)


def build_parser() -> OptionParser:
    """The options of kafka-cluster."""
    parser = OptionParser("kafka-cluster", f"One of: {', '.join(COMMANDS)}.")
    add = parser.add_argument
    add("--bootstrap-server", "-b", metavar="SERVERS", help="brokers to ask first")
    add("--bootstrap-controller", "-C", metavar="SERVERS", help="controllers to ask instead")
    add("--command-config", "-c", metavar="FILE", help="properties file for the client")
    parser.value("--config", "deprecated: --command-config", metavar="FILE")
    add("--id", "-i", type=int, metavar="N", help="with unregister: the broker's id")
    parser.flag("--include-fenced-brokers", "with list-endpoints: those, too")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Do what the first word says."""
    options, words = build_parser().parse(arguments)
    command = words[0] if words else ""
    if command not in COMMANDS:
        raise CommandError(f"kafka-cluster needs one of {', '.join(COMMANDS)}.")
    servers = bootstrap_servers(options.bootstrap_server, [options.bootstrap_controller])
    properties = client_properties(renamed_value(options, "--config", "--command-config"))

    from ottla.cli.workers.opening import open_cluster

    with open_cluster(servers, properties) as cluster:
        if command == "cluster-id":
            print(f"Cluster ID: {cluster.metadata([]).cluster_id}")
        elif command == "list-endpoints":
            _list_endpoints(cluster, options)
        elif command == "api-versions":
            from ottla.cli.workers.api_listing import api_versions_text

            for broker in cluster.brokers():
                print(api_versions_text(cluster, broker))
        else:
            _unregister(cluster, options, command)
    return 0


def _list_endpoints(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.failures import raise_for
    from ottla.wire.messages.describe_cluster import DescribeClusterRequest

    is_controller = options.bootstrap_controller is not None
    if is_controller and options.include_fenced_brokers:
        raise CommandError(
            "The option --include-fenced-brokers is only supported with --bootstrap-server option"
        )
    response = cluster.request(
        DescribeClusterRequest(
            endpoint_type=2 if is_controller else 1,
            include_fenced_brokers=options.include_fenced_brokers,
        )
    )
    raise_for(response.error_code, response.error_message)
    hosts = max((len(broker.host) for broker in response.brokers), default=100)
    racks = max((len(b.rack) for b in response.brokers if b.rack is not None), default=10)
    state = "" if is_controller else f"{'STATE':<10} "
    print(
        f"{'ID':<10} {'HOST':<{hosts}} {'PORT':<10} {'RACK':<{racks}} {state}{'ENDPOINT_TYPE':<15}"
    )
    for broker in response.brokers:
        rack = "null" if broker.rack is None else broker.rack
        kind = "controller" if is_controller else "broker"
        fenced = "fenced" if broker.is_fenced else "unfenced"
        state = "" if is_controller else f"{fenced:<10} "
        print(
            f"{broker.broker_id:<10} {broker.host:<{hosts}} {broker.port:<10} {rack:<{racks}} "
            f"{state}{kind:<15}"
        )


def _unregister(cluster: Cluster, options: argparse.Namespace, command: str) -> None:
    from ottla.cli.workers.failures import raise_for
    from ottla.wire.messages.unregister_broker import UnregisterBrokerRequest

    if options.id is None:
        raise CommandError(f"kafka-cluster: {command} needs --id.")
    response = cluster.request_controller(UnregisterBrokerRequest(options.id))
    raise_for(response.error_code, response.error_message)
    who = "Controller" if command == "unregister-controller" else "Broker"
    print(f"{who} {options.id} is no longer registered.")


def main() -> int:
    """Entry point of kafka-cluster."""
    return exit_status_of(lambda: run(sys.argv[1:]))

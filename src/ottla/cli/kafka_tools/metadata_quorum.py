"""`kafka-metadata-quorum`: what ZooKeeper's ensemble was, the quorum of controllers is now."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.cli.workers.quorum import Quorum
    from ottla.client.cluster import Cluster
    from ottla.wire.messages.describe_quorum import ReplicaState


def build_parser() -> OptionParser:
    """The options of kafka-metadata-quorum."""
    parser = OptionParser(
        "kafka-metadata-quorum", "Show the metadata quorum: describe --status | --replication."
    )
    add_connection_options(parser)
    parser.value("--bootstrap-controller", "controllers to ask instead", metavar="SERVERS")
    parser.flag("--status", "with describe: a summary")
    parser.flag("--replication", "with describe: each voter and observer")
    parser.flag("--human-readable", "with --replication: times as so long ago")
    parser.add_argument(
        "--controller-id", "-i", type=int, metavar="N", help="with remove-controller: which"
    )
    parser.add_argument(
        "--controller-directory-id", "-d", metavar="ID", help="with remove-controller: which"
    )
    parser.flag("--dry-run", "with remove-controller: only say what would be done")
    parser.flag("--unregister", "with remove-controller: unregister it, too")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Do what the first word says."""
    options, words = build_parser().parse(arguments)
    command = words[0] if words else ""
    if command not in ("describe", "remove-controller", "add-controller"):
        raise CommandError(
            "kafka-metadata-quorum needs one of describe, add-controller, remove-controller."
        )
    if command == "add-controller":
        raise CommandError(
            "add-controller has to read the new controller's own files; run Apache Kafka's "
            "kafka-metadata-quorum on its machine."
        )
    servers = bootstrap_servers(options.bootstrap_server, [options.bootstrap_controller])

    from ottla.cli.workers.opening import open_cluster

    with open_cluster(servers, client_properties(options.command_config)) as cluster:
        if command == "describe":
            _describe(cluster, options)
        else:
            _remove_controller(cluster, options)
    return 0


def _describe(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.quorum import describe_quorum

    if options.status and options.replication:
        raise CommandError(
            "Only one of --status or --replication should be specified with describe sub-command"
        )
    if not options.status and not options.replication:
        raise CommandError(
            "One of --status or --replication must be specified with describe sub-command"
        )
    if options.status and options.human_readable:
        raise CommandError("The option --human-readable is only supported along with --replication")
    quorum = describe_quorum(cluster)
    if options.replication:
        _print_replication(quorum, readable=options.human_readable)
    else:
        _print_status(quorum, cluster.metadata([]).cluster_id or "")


def _print_status(quorum: Quorum, cluster_id: str) -> None:
    partition, leader = quorum.partition, quorum.leader
    slowest = min(partition.current_voters, key=lambda voter: voter.log_end_offset)
    lag_ms = 0
    if slowest is not leader:
        times = (leader.last_caught_up_timestamp, slowest.last_caught_up_timestamp)
        lag_ms = times[0] - times[1] if min(times) >= 0 else -1
    lines = {
        "ClusterId": cluster_id,
        "LeaderId": partition.leader_id,
        "LeaderEpoch": partition.leader_epoch,
        "HighWatermark": partition.high_watermark,
        "MaxFollowerLag": leader.log_end_offset - slowest.log_end_offset,
        "MaxFollowerLagTimeMs": lag_ms,
        "CurrentVoters": _replicas(quorum, partition.current_voters),
        "CurrentObservers": _replicas(quorum, partition.observers),
    }
    for name, value in lines.items():
        print(f"{name + ':':<24}{value}")


def _replicas(quorum: Quorum, states: Iterable[ReplicaState]) -> str:
    from ottla.cli.workers.topics import uuid_text

    texts = []
    for state in states:
        fields = [f'"id": {state.replica_id}']
        if any(state.replica_directory_id):
            fields.append(f'"directoryId": "{uuid_text(state.replica_directory_id)}"')
        endpoints = quorum.listeners.get(state.replica_id)
        if endpoints:
            quoted = ", ".join(f'"{endpoint}"' for endpoint in endpoints)
            fields.append(f'"endpoints": [{quoted}]')
        texts.append(f"{{{', '.join(fields)}}}")
    return f"[{', '.join(texts)}]"


def _print_replication(quorum: Quorum, *, readable: bool) -> None:
    from ottla.cli.tables import tabbed
    from ottla.cli.workers.topics import uuid_text

    now_ms = int(time.time() * 1000)
    leader = quorum.leader

    def moment(timestamp_ms: int) -> str:
        if timestamp_ms < 0:
            return "-1"
        return f"{now_ms - timestamp_ms} ms ago" if readable else str(timestamp_ms)

    rows = [
        [
            *("NodeId", "DirectoryId", "LogEndOffset", "Lag"),
            *("LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"),
        ]
    ]
    followers = [voter for voter in quorum.partition.current_voters if voter is not leader]
    for status, states in (
        ("Leader", [leader]),
        ("Follower", followers),
        ("Observer", quorum.partition.observers),
    ):
        for state in states:
            rows.append(
                [
                    str(state.replica_id),
                    uuid_text(state.replica_directory_id),
                    str(state.log_end_offset),
                    str(leader.log_end_offset - state.log_end_offset),
                    moment(state.last_fetch_timestamp),
                    moment(state.last_caught_up_timestamp),
                    status,
                ]
            )
    for line in tabbed(rows):
        print(line)


def _remove_controller(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.failures import raise_for
    from ottla.cli.workers.topics import uuid_from_text
    from ottla.wire.messages.remove_raft_voter import RemoveRaftVoterRequest
    from ottla.wire.messages.unregister_broker import UnregisterBrokerRequest

    if options.controller_id is None or not options.controller_directory_id:
        raise CommandError("remove-controller needs --controller-id and --controller-directory-id.")
    if options.controller_id < 0:
        raise CommandError(f"Invalid negative --controller-id: {options.controller_id}")
    directory_id = uuid_from_text(options.controller_directory_id)
    cluster_id = cluster.metadata([]).cluster_id
    if not options.dry_run:
        removed = cluster.request_controller(
            RemoveRaftVoterRequest(cluster_id, options.controller_id, directory_id)
        )
        raise_for(removed.error_code, removed.error_message)
    print(
        f"{'DRY RUN of removing ' if options.dry_run else 'Removed '}KRaft controller "
        f"{options.controller_id} with directory id {options.controller_directory_id}"
    )
    if not options.unregister:
        return
    if not options.dry_run:
        gone = cluster.request_controller(UnregisterBrokerRequest(options.controller_id))
        raise_for(gone.error_code, gone.error_message)
    print(
        f"{'DRY RUN of unregistering ' if options.dry_run else 'Unregistered '}KRaft controller "
        f"{options.controller_id}"
    )


def main() -> int:
    """Entry point of kafka-metadata-quorum."""
    return exit_status_of(lambda: run(sys.argv[1:]))

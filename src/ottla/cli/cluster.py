"""`ottla cluster`: several nodes of Apache Kafka on this machine."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ottla.cli.errors import CommandError
from ottla.cli.output import add_output_argument, print_rows

if TYPE_CHECKING:
    from ottla.engine.standing import StandingCluster

DESCRIPTION = """\
Real Apache Kafka in KRaft mode, three brokers and three controllers unless
told otherwise: replication factor 3, min.insync.replicas 2. It needs Java 17;
Kafka comes from KAFKA_HOME, or from Maven Central once."""

DEFAULT_DIRECTORY = Path("ottla-cluster")
WATCH_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--directory",
        type=Path,
        default=DEFAULT_DIRECTORY,
        help=f"where data and logs live (default: ./{DEFAULT_DIRECTORY})",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    up = actions.add_parser("up", help="start all nodes; Ctrl-C stops them in order")
    up.add_argument(
        "--combined", action="store_true", help="brokers are controllers, too: half the memory"
    )
    up.add_argument("--brokers", type=int, default=3, help="how many (default: %(default)s)")
    up.add_argument(
        "--first-port", type=int, default=9092, help="of the first broker (default: %(default)s)"
    )
    up.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="for every node's properties",
    )
    up.add_argument("--detach", action="store_true", help="leave the nodes running and return")
    shown = actions.add_parser("status", help="nodes, what they are and whether they run")
    add_output_argument(shown)
    for name, help_ in (
        ("kill", "end a node at once, as a crash would"),
        ("pause", "stop a node from doing anything until it is started"),
        ("start", "start a node again that was killed or paused"),
    ):
        action = actions.add_parser(name, help=help_)
        action.add_argument("node", type=int, metavar="N", help="the node's id")
    actions.add_parser("stop", help="stop all nodes in order; the data stays")
    destroy = actions.add_parser("destroy", help="stop all nodes and delete their data")
    destroy.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    """Returns the exit status. Errors: CommandError."""
    from ottla.engine.containers import open_standing
    from ottla.engine.errors import EngineError

    def progress(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    actions: dict[str, Callable[[StandingCluster, argparse.Namespace], int]] = {
        "up": up,
        "status": status,
        "kill": kill,
        "pause": pause,
        "start": start,
        "stop": stop,
        "destroy": destroy,
    }
    try:
        cluster = open_standing(args.directory, progress, may_make=args.action == "up")
        return actions[args.action](cluster, args)
    except EngineError as error:
        raise CommandError(f"ottla cluster: {error}") from None


def kill(cluster: StandingCluster, args: argparse.Namespace) -> int:
    cluster.kill(args.node)
    print(f"node {args.node} was killed")
    return 0


def pause(cluster: StandingCluster, args: argparse.Namespace) -> int:
    cluster.pause(args.node)
    print(f"node {args.node} is paused")
    return 0


def start(cluster: StandingCluster, args: argparse.Namespace) -> int:
    cluster.start(args.node)
    print(f"node {args.node} runs")
    return 0


def stop(cluster: StandingCluster, _: argparse.Namespace) -> int:
    cluster.stop()
    print("all nodes have stopped")
    return 0


def up(cluster: StandingCluster, args: argparse.Namespace) -> int:
    """Start, show, and (without --detach) stay until Ctrl-C or until all nodes have ended."""
    pairs = dict(word.partition("=")[::2] for word in args.set)
    cluster.up(
        is_combined=args.combined,
        brokers=args.brokers,
        first_port=args.first_port,
        properties=pairs,
    )
    _show(cluster, "table")
    if args.detach:
        print("`ottla cluster stop` stops it.")
        return 0
    cluster.stop_with_us()
    print("Ctrl-C stops everything.", flush=True)
    watch(cluster)
    cluster.stop()
    print("All nodes have stopped.")
    return 0


def watch(cluster: StandingCluster) -> None:
    """Return on SIGINT or SIGTERM, or once no node runs; say what ends and comes back."""
    is_over = False

    def finish(*_: object) -> None:
        nonlocal is_over
        is_over = True

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, finish)
    while not is_over:
        time.sleep(WATCH_S)
        for sentence in cluster.changes():
            print(sentence, flush=True)
        if not any(cluster.is_running(node) for node in cluster.nodes):
            return


def status(cluster: StandingCluster, args: argparse.Namespace) -> int:
    """One line for each node, and the address for clients."""
    if not cluster.exists:
        print(f"There is no cluster in {cluster.directory}; `ottla cluster up` makes one.")
        return 1
    _show(cluster, args.output)
    return 0


def _show(cluster: StandingCluster, output: str) -> None:
    rows = []
    for node in cluster.nodes:
        state = "paused" if node.is_paused else "running" if cluster.is_running(node) else "stopped"
        rows.append(
            {
                "node": node.node_id,
                "role": node.role,
                "port": node.port or node.controller_port,
                "state": state,
                "process": node.pid if state != "stopped" else None,
            }
        )
    print_rows(rows, ("node", "role", "port", "state", "process"), output)
    if output == "table":
        print(f"bootstrap servers  {cluster.bootstrap_servers}")


def destroy(cluster: StandingCluster, args: argparse.Namespace) -> int:
    if not args.yes:
        if not sys.stdin.isatty():
            raise CommandError("ottla cluster destroy deletes all data; say --yes to do it.")
        answer = input(f"Delete {cluster.directory} with all its data? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            return 1
    cluster.destroy()
    print(f"{cluster.directory} is gone")
    return 0

"""`ottla ps`: what is running."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path

from ottla.cli import instances
from ottla.cli.output import add_output_argument, print_rows
from ottla.cli.tables import aligned

#: What a narrow terminal shows, too: name and address.
LEAST_COLUMNS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_output_argument(parser)
    parser.add_argument(
        "--json", dest="output", action="store_const", const="json", help="the same as -o json"
    )


def run(args: argparse.Namespace) -> int:
    """Print one row per process, and one for each further address that it answers at.

    JSON has all that is known of each platform, with its parts inside it.
    """
    found = instances.running()
    if args.output == "csv":
        columns = ("platform", "name", "address", "state", "memory", "pid")
        rows = [(instance.name, *row) for instance in found for row in _rows(instance)]
        named = [dict(zip(columns, map(str.strip, row), strict=True)) for row in rows]
        print_rows(named, columns, "csv")
        return 0
    if args.output != "table":
        names = [field.name for field in fields(instances.Instance)]
        print_rows([asdict(instance) for instance in found], names, args.output)
        return 0
    if not found:
        print("Nothing is running. `ottla up` starts a broker here.")
        return 0
    table: list[tuple[str, ...]] = [("NAME", "ADDRESS", "STATE", "MEMORY", "PID")]
    paths = {}
    for instance in found:
        where = instance.data_directory
        paths[len(table)] = where if instance.engine == "cluster" else f"data in {where}"
        table += _rows(instance)
    for number, line in enumerate(_lines(table)):
        print(line)
        if number in paths:  # it may be long, so it has a line for itself
            print(f"  {paths[number]}")
    return 0


def _lines(rows: list[tuple[str, ...]]) -> list[str]:
    """The rows aligned; on a terminal that is too narrow without their last columns."""
    lines = aligned(rows)
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    while room is not None and len(rows[0]) > LEAST_COLUMNS and max(map(len, lines)) > room:
        rows = [row[:-1] for row in rows]
        lines = aligned(rows)
    return lines


def _rows(instance: instances.Instance) -> Iterator[tuple[str, ...]]:
    state = f"up since {_short(instance.started_at)}"
    first, *others = instance.bootstrap_servers.split(",")
    yield instance.name, first, state, *_process(instance.pid)
    for address in others:
        yield "", address, "", "", ""
    for name, address in instance.doors:
        yield f"  {name}", address, "", "", ""
    yield from _nodes(instance)
    for part in instance.parts:
        memory, pid = _process(part.pid)
        state = "gone" if memory == "-" else "up"
        for name, address in part.doors or [[part.name, ""]]:
            yield f"  {name}", address, state, memory, pid
            state = memory = pid = ""


def _nodes(instance: instances.Instance) -> Iterator[tuple[str, ...]]:
    """The processes of Apache Kafka, where that is the engine."""
    if instance.engine != "apache":
        return
    from ottla.engine.standing import StandingCluster

    cluster = StandingCluster(Path(instance.data_directory))
    for node in cluster.nodes:
        runs = cluster.is_running(node)
        process = _process(node.pid) if runs else ("-", "-")
        port = node.port or node.controller_port
        yield f"  node {node.node_id}", f"127.0.0.1:{port}", "up" if runs else "gone", *process


def _short(moment: str) -> str:
    """The time alone when it was today."""
    today = datetime.now().astimezone().strftime("%Y-%m-%d ")
    return moment.removeprefix(today)


def _process(pid: int) -> tuple[str, str]:
    size = instances.resident_mb(pid)
    return "-" if size is None else f"{size} MB", str(pid)

"""`ottla down`: stop what `ottla up` started."""

from __future__ import annotations

import argparse
from pathlib import Path

from ottla.cli import instances
from ottla.cli.errors import CommandError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="*", help="as `ottla ps` shows it (default: the only one)")
    parser.add_argument("--all", action="store_true", help="stop everything that runs")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="stop what runs on this data")
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="how long to wait (default: 15, with Apache Kafka nodes 60)",
    )


def run(args: argparse.Namespace) -> int:
    """Stop the chosen instances; each has flushed everything when this returns."""
    for instance in _chosen(args):
        limit_s = instance.stop_limit_s if args.timeout is None else args.timeout
        if not instances.stop(instance, limit_s):
            raise CommandError(
                f"{instance.name} (process {instance.pid}) has not stopped within "
                f"{limit_s:g} s; it may be finishing, or `kill -9 {instance.pid}` ends it."
            )
        print(f"{instance.name} stopped")
    return 0


def _chosen(args: argparse.Namespace) -> list[instances.Instance]:
    found = instances.running()
    if args.all:
        return found
    if args.data_dir is not None:
        instance = instances.find_by_directory(args.data_dir)
        if instance is None:
            raise CommandError(f"Nothing is running on {args.data_dir}.")
        return [instance]
    if args.name:
        by_name = {instance.name: instance for instance in found}
        missing = [name for name in args.name if name not in by_name]
        if missing:
            known = ", ".join(by_name) or "nothing"
            raise CommandError(f"{', '.join(missing)} is not running; running is: {known}.")
        return [by_name[name] for name in args.name]
    if len(found) > 1:
        names = ", ".join(instance.name for instance in found)
        raise CommandError(f"Several are running: {names}. Name one, or use --all.")
    if not found:
        print("Nothing is running.")
    return found

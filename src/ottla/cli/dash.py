"""`ottla dash`: the live dashboard of the shop's events."""

from __future__ import annotations

import argparse

from ottla.cli.demo import add_connection_arguments, connection_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from ottla.dashboard import program

    add_connection_arguments(parser)
    program.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Returns the exit status."""
    from ottla.dashboard import program

    return program.run(args, connection_settings(args))

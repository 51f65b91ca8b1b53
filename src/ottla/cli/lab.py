"""`ottla lab NAME`: an experiment that draws what happens, counts, and checks its verdict."""

from __future__ import annotations

import argparse
import difflib
import json

from ottla.cli.demo import add_connection_arguments, connection_settings
from ottla.cli.errors import CommandError
from ottla.cli.output import add_output_argument, described, print_rows
from ottla.labs import catalog
from ottla.labs.screen import Screen

DESCRIPTION = """\
Run an experiment: it sets up, acts, draws what happens while it happens,
counts, and ends with a verdict that it has checked against the records.

  ottla lab list
  ottla lab groups
  ottla lab delivery --bootstrap-servers localhost:9092

Without --bootstrap-servers a lab starts a throw-away broker for itself. On a
Kafka of yours it makes topics and groups named lab-…, and leaves them there.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="list|NAME",
        nargs="?",
        default="list",
        help="one of those that `list` shows",
    )
    parser.add_argument("--fast", action="store_true", help="little of everything, in seconds")
    parser.add_argument("--json", action="store_true", help="only the result, for machines")
    add_output_argument(parser)
    add_connection_arguments(parser, default="a throw-away broker of the lab's own")


def run(args: argparse.Namespace) -> int:
    """0: the verdict holds. 1: it does not. Errors: CommandError."""
    from ottla.labs.bench import LabError

    labs = catalog.available()
    if args.name == "list":
        if args.json:
            print(json.dumps(labs, indent=2))
        elif args.output != "table":
            rows = [{"lab": name, "about": text} for name, text in labs.items()]
            print_rows(rows, ("lab", "about"), args.output)
        else:
            for name, text in labs.items():
                print(described(f"  {name:<14}", text))
        return 0
    if args.name not in labs:
        near = difflib.get_close_matches(args.name, labs, 1)
        hint = f"did you mean {near[0]}?" if near else f"labs are: {', '.join(labs)}."
        raise CommandError(f"ottla lab: there is no lab {args.name!r}; {hint}", status=2)
    is_given = args.bootstrap_servers or args.command_config or args.command_property
    settings = connection_settings(args) if is_given else None
    try:
        result = catalog.run(args.name, settings, Screen(is_silent=args.json), is_fast=args.fast)
    except LabError as error:
        raise CommandError(f"ottla lab {args.name}: {error}") from None
    if args.json:
        print(json.dumps(result, indent=2))
    return 0 if result["verdict"] == "holds" else 1

"""`ottla context`: names for the clusters one works with."""

from __future__ import annotations

import argparse

from ottla.cli.connection_options import checked_servers, merged_properties
from ottla.cli.contexts import Context, contexts_file, load_contexts, save_contexts
from ottla.cli.output import add_output_argument, print_rows

DESCRIPTION = """\
Name clusters, and choose the one that is meant when none is named.

  ottla context                                     list them
  ottla context add prod kafka1:9092,kafka2:9092 --command-config prod.properties
  ottla context use prod
  ottla context remove prod
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(action="list")
    add_output_argument(parser)
    actions = parser.add_subparsers(metavar="ACTION", dest="action_name")
    listing = actions.add_parser("list", help="List the contexts.")
    add_output_argument(listing, is_nested=True)
    add = actions.add_parser("add", help="Add a context, or change it.")
    add.add_argument("name")
    add.add_argument("servers", metavar="HOST:PORT,…")
    add.add_argument("--command-config", metavar="FILE", help="properties file of its clients")
    add.add_argument(
        "-X", "--command-property", action="append", default=[], metavar="K=V", help="one property"
    )
    use = actions.add_parser("use", help="Mean this one from now on.")
    use.add_argument("name")
    remove = actions.add_parser("remove", help="Forget one.")
    remove.add_argument("name")
    for name, sub in (("list", listing), ("add", add), ("use", use), ("remove", remove)):
        sub.set_defaults(action=name)


def run(args: argparse.Namespace) -> int:
    """Do what the action says; listing is the default."""
    contexts = load_contexts()
    if args.action == "list":
        rows = [
            {
                "current": "*" if name == contexts.current else "",
                "name": name,
                "bootstrap_servers": context.bootstrap_servers,
                "properties": ",".join(sorted(context.properties)) or None,
            }
            for name, context in sorted(contexts.by_name.items())
        ]
        columns = ("current", "name", "bootstrap_servers", "properties")
        empty = "There are no contexts. `ottla context add NAME HOST:PORT` makes one."
        print_rows(rows, columns, args.output, empty=empty)
        return 0
    if args.action == "add":
        properties = merged_properties(args.command_config, args.command_property)
        contexts.by_name[args.name] = Context(checked_servers(args.servers), properties)
        contexts.current = contexts.current or args.name
        done = f"{args.name} is {args.servers}."
    elif args.action == "use":
        contexts.named(args.name)
        contexts.current = args.name
        done = f"{args.name} is meant from now on, unless KAFKA_BOOTSTRAP_SERVERS says otherwise."
    else:
        contexts.named(args.name)
        del contexts.by_name[args.name]
        contexts.current = None if contexts.current == args.name else contexts.current
        done = f"Removed {args.name} from {contexts_file()}."
    save_contexts(contexts)
    print(done)
    return 0

"""`ottla configs`: show, set and unset configurations of topics, brokers and groups."""

from __future__ import annotations

import argparse
from typing import Final

from ottla.cli.connection_options import key_value_pairs
from ottla.cli.errors import CommandError
from ottla.cli.output import print_rows
from ottla.cli.verbs.connection import Actions, opened_cluster
from ottla.cli.workers.resource_types import BROKER, GROUP, TOPIC

DESCRIPTION = """\
Show and change configurations.

  ottla configs show orders                       a topic; what somebody set
  ottla configs show orders --all                 everything, with its source
  ottla configs set orders retention.ms=3600000
  ottla configs unset orders retention.ms
  ottla configs show --broker 1                   a broker; --group a group
"""

#: Option → resource type of the protocol.
KINDS: Final = {"broker": BROKER, "group": GROUP}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    action = Actions(parser, None).add
    show = action(
        "show", "Show the configuration of a topic, a broker or a group.", prints_rows=True
    )
    show.add_argument("-a", "--all", action="store_true", help="defaults as well")
    set_ = action("set", "Set keys.")
    unset = action("unset", "Give keys back to their defaults.")
    for sub in (show, set_, unset):
        sub.add_argument("words", nargs="*", metavar="TOPIC KEY…" if sub is not show else "TOPIC")
        sub.add_argument("--broker", metavar="ID", help="the broker of this id; '' for all")
        sub.add_argument("--group", metavar="GROUP", help="this group")


def run(args: argparse.Namespace) -> int:
    """Do what the action says."""
    from ottla.cli.workers.configs import alter_configs

    words = list(args.words)
    given = [
        (KINDS[kind], getattr(args, kind)) for kind in KINDS if getattr(args, kind) is not None
    ]
    if given:
        type_, name = given[0]
    elif words:
        type_, name = TOPIC, words.pop(0)
    else:
        raise CommandError("Name a topic, or --broker ID, or --group GROUP.")
    with opened_cluster(args) as cluster:
        if args.action == "show":
            from ottla.cli.workers.configs import SOURCES, describe_configs, is_default

            entries = describe_configs(cluster, type_, [name])[name]
            rows = [
                {
                    "key": entry.name,
                    "value": "(hidden)" if entry.is_sensitive else entry.value,
                    "source": SOURCES.get(entry.config_source, "?").lower().replace("_", " "),
                }
                for entry in sorted(entries, key=lambda entry: entry.name)
                if args.all or not is_default(entry)
            ]
            print_rows(
                rows,
                ("key", "value", "source"),
                args.output,
                empty="Everything is at its default; --all shows it.",
            )
            return 0
        if not words:
            raise CommandError(f"Which keys? `ottla configs {args.action} {name} KEY…`.")
        if args.action == "set":
            pairs = key_value_pairs(words)
            if any("=" not in word for word in words):
                raise CommandError("Write KEY=VALUE, such as retention.ms=3600000.")
            alter_configs(cluster, type_, name, set_=pairs, delete=())
        else:
            alter_configs(cluster, type_, name, set_={}, delete=words)
    print(f"Changed {name or 'all brokers'}.")
    return 0

"""The command line of kafka-configs: which entity, and what of it."""

from __future__ import annotations

import argparse
import re
from typing import Final

from ottla.cli.connection_options import add_connection_options, read_properties
from ottla.cli.errors import CommandError
from ottla.cli.option_parser import OptionParser

#: Short flag → entity type, in the order in which Kafka's tool looks at them.
ENTITY_FLAGS: Final = {
    "topic": "topics",
    "client": "clients",
    "user": "users",
    "broker": "brokers",
    "broker_logger": "broker-loggers",
    "ip": "ips",
    "client_metrics": "client-metrics",
    "group": "groups",
}
DEFAULT_FLAGS: Final = {
    "client_defaults": "clients",
    "user_defaults": "users",
    "broker_defaults": "brokers",
    "ip_defaults": "ips",
}
ENTITY_TYPES: Final = (
    "broker-loggers",
    "topics",
    "clients",
    "users",
    "brokers",
    "ips",
    "client-metrics",
    "groups",
)
#: Commas and equals signs inside square brackets separate nothing.
_OUTSIDE_BRACKETS: Final = r"(?=[^\]]*(?:\[|$))"


def build_parser() -> OptionParser:
    """The options of kafka-configs."""
    parser = OptionParser(
        "kafka-configs",
        "Show and change configurations of topics, brokers, groups, clients, users and addresses.",
    )
    add_connection_options(parser)
    flag, value = parser.flag, parser.value
    value("--bootstrap-controller", "controllers to ask instead", metavar="SERVERS")
    flag("--describe", "show the configuration")
    flag("--alter", "change it")
    flag("--all", "with --describe: also what nobody set")
    parser.values("--entity-type", f"one of {', '.join(ENTITY_TYPES)}", metavar="TYPE")
    parser.add_argument(
        "--entity-name",
        dest="entity_names",
        action="append",
        default=[],
        metavar="NAME",
        help="name of the topic, client, user, broker (its id), ip, metrics resource or group",
    )
    parser.add_argument(
        "--entity-default",
        dest="entity_names",
        action="append_const",
        const="",
        help="the default of all clients, users, brokers or ips",
    )
    for name, type_ in ENTITY_FLAGS.items():
        value("--" + name.replace("_", "-"), f"--entity-type {type_} --entity-name", metavar="NAME")
    for name, type_ in DEFAULT_FLAGS.items():
        flag("--" + name.replace("_", "-"), f"--entity-type {type_} --entity-default")
    value("--add-config", "KEY=VALUE,KEY=[V1,V2]: what to set")
    value("--add-config-file", "properties file with what to set", metavar="FILE")
    parser.values("--delete-config", "KEY,KEY: what to unset")
    parser.retire("--force", "--force is not used any more", takes_value=False)
    return parser


def entities(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Types and names of the entity, '' for a default; names may be fewer than types.

    Errors: `CommandError` for what does not go together.
    """
    given = [name for name in ENTITY_FLAGS if getattr(options, name) is not None]
    defaults = [name for name in DEFAULT_FLAGS if getattr(options, name)]
    types = [*options.entity_type, *(ENTITY_FLAGS[n] for n in given)]
    types += [DEFAULT_FLAGS[name] for name in defaults]
    names = [*options.entity_names, *(getattr(options, n) for n in given), *("" for _ in defaults)]
    duplicates = sorted({type_ for type_ in types if types.count(type_) > 1})
    if duplicates:
        raise CommandError(f"Duplicate entity type(s) specified: {','.join(duplicates)}")
    for type_ in types:
        if type_ not in ENTITY_TYPES:
            raise CommandError(
                f"Invalid entity type {type_}, the entity type must be one of "
                f"{', '.join(ENTITY_TYPES)} with a --bootstrap-server or --bootstrap-controller "
                "argument"
            )
    if not types:
        raise CommandError("At least one entity type must be specified")
    if len(types) > 1 and set(types) != {"users", "clients"}:
        raise CommandError("Only 'users' and 'clients' entity types may be specified together")
    if (options.entity_type or options.entity_names) and (given or defaults):
        raise CommandError(
            "--entity-{type,name,default} should not be used in conjunction with specific "
            "entity flags"
        )
    return types, names


def check_actions(options: argparse.Namespace) -> None:
    """Raise `CommandError` unless there is one action, with what it needs."""
    if options.alter == options.describe:
        raise CommandError("Command must include exactly one action: --describe, --alter")
    changes = {
        "add-config": options.add_config,
        "add-config-file": options.add_config_file,
        "delete-config": options.delete_config,
    }
    used = [name for name, value in changes.items() if value]
    if options.describe and used:
        raise CommandError(f'Option "[describe]" can\'t be used with option "[{used[0]}]"')
    if options.alter and not used:
        raise CommandError(
            "At least one of --add-config, --add-config-file, or --delete-config must be "
            "specified with --alter"
        )


def configs_to_add(options: argparse.Namespace) -> dict[str, str]:
    """What --add-config and --add-config-file set. Errors: `CommandError`."""
    configs = read_properties(options.add_config_file) if options.add_config_file else {}
    if options.add_config:
        for word in re.split("," + _OUTSIDE_BRACKETS, options.add_config):
            pair = re.split(r"\s*=\s*" + _OUTSIDE_BRACKETS, word)
            if len(pair) != 2:
                raise CommandError(
                    "Invalid entity config: all configs to be added must be in the format "
                    '"key=val" or  "key=[val1,val2]" to group values which contain commas.'
                )
            configs[pair[0].strip()] = re.sub(r"[\[\]]", "", pair[1]).strip()
    for key in configs:
        if not re.fullmatch(r"[$a-zA-Z0-9._-]*", key):
            raise CommandError(f"Invalid character found for config key: {key}")
    return configs


def configs_to_delete(options: argparse.Namespace) -> list[str]:
    """The keys that --delete-config unsets."""
    return [key.strip() for text in options.delete_config for key in text.split(",")]

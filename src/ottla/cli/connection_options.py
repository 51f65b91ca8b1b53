"""Where the cluster is, and how to speak to it: the options of every tool.

The address comes from the command line, else from `KAFKA_BOOTSTRAP_SERVERS`,
else it is localhost:9092. Everything else comes in Kafka's own property names
from `--command-config` files, else the file of `OTTLA_COMMAND_CONFIG`, and from
`--command-property` pairs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ottla.cli.errors import CommandError, note
from ottla.cli.option_parser import OptionParser

DEFAULT_SERVERS: Final = "localhost:9092"
ENVIRONMENT_VARIABLE: Final = "KAFKA_BOOTSTRAP_SERVERS"
#: Names a properties file for clients where the command line names none.
CONFIG_VARIABLE: Final = "OTTLA_COMMAND_CONFIG"


def add_connection_options(parser: OptionParser, *, config: str = "--command-config") -> None:
    """Add `--bootstrap-server`, the properties file, and the flags of older Kafkas."""
    parser.value(
        "--bootstrap-server",
        "brokers to ask first, HOST:PORT[,HOST:PORT]; without it "
        f"${ENVIRONMENT_VARIABLE}, else {DEFAULT_SERVERS}",
        metavar="SERVERS",
    )
    parser.value(config, "properties file for the client", metavar="FILE")
    parser.retire(
        "--zookeeper", "--zookeeper is not used: Kafka 4 has no ZooKeeper, and nor has Ottla"
    )


def bootstrap_servers(option: str | None, fallbacks: Iterable[str | None] = ()) -> str:
    """The address to use: the option, else the first fallback, else the environment."""
    for candidate in (option, *fallbacks, os.environ.get(ENVIRONMENT_VARIABLE)):
        if candidate:
            return checked_servers(candidate)
    return DEFAULT_SERVERS


def checked_servers(servers: str) -> str:
    """`servers` itself when each of its parts is HOST:PORT.

    Errors: `CommandError` that shows the part which is not.
    """
    for server in servers.split(","):
        host, colon, port = server.strip().rpartition(":")
        if "://" in host:
            host = host.partition("://")[2]
        if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise CommandError(
                f"'{server.strip()}' is not an address of a broker; write HOST:PORT, "
                f"such as {DEFAULT_SERVERS}."
            )
    return servers


def read_properties(path: str) -> dict[str, str]:
    """The properties of a file in Java's format. Errors: `CommandError`."""
    from ottla.client import properties_files
    from ottla.client.errors import SettingsError

    try:
        return properties_files.read_properties(path)
    except SettingsError as error:
        raise CommandError(str(error)) from None


def librdkafka_settings(properties: dict[str, str]) -> dict[str, str]:
    """Kafka's properties in the words of confluent-kafka. Errors: `CommandError`."""
    from ottla.client import librdkafka_settings
    from ottla.client.errors import SettingsError

    try:
        return librdkafka_settings.librdkafka_settings(properties)
    except SettingsError as error:
        raise CommandError(str(error)) from None


def merged_properties(file: str | None, pairs: Sequence[str] = ()) -> dict[str, str]:
    """Properties of a file, overridden by `key=value` pairs."""
    properties = read_properties(file) if file else {}
    properties.update(key_value_pairs(pairs))
    return properties


def client_properties(file: str | None, pairs: Sequence[str] = ()) -> dict[str, str]:
    """What clients are told: as `merged_properties`, the environment's file by default."""
    return merged_properties(file or os.environ.get(CONFIG_VARIABLE), pairs)


def key_value_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """`key=value` words as a dictionary; the value may hold further equals signs."""
    split = (pair.partition("=") for pair in pairs)
    return {key.strip(): value for key, _, value in split}


def renamed_value(options: argparse.Namespace, old: str, new: str) -> Any:
    """The value of an option that KIP-1147 renamed, from whichever name was used.

    Errors: `CommandError` when both names are.
    """
    old_value = getattr(options, old.lstrip("-").replace("-", "_"))
    new_value = getattr(options, new.lstrip("-").replace("-", "_"))
    if old_value and new_value:
        raise CommandError(f"Options {old} and {new} cannot be specified together.")
    if old_value:
        note(f"{old} is deprecated and will be removed in a future version; use {new}")
        return old_value
    return new_value

"""`ottla demo NAME`: the programs of the write-ups."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import threading
import time
from collections.abc import Sequence

from ottla.cli.connection_options import (
    bootstrap_servers,
    client_properties,
    librdkafka_settings,
)
from ottla.cli.errors import CommandError
from ottla.cli.main import Parser

DESCRIPTION = """\
Run one of the write-ups' programs on a Kafka; `ottla demo NAME --help` tells its options.
"""

STDIN = 0
#: So long a demo that nobody waits for may take to end in order.
LAST_WORDS_S = 10.0

DEMOS = {
    "analytics": ("ottla.demos.analytics.program", "users of a shop, their events in one topic"),
    "fraud": ("ottla.demos.fraud.program", "bank accounts, checked one by one by Veritas"),
    "hello": ("ottla.demos.hello.program", "2 partitions, 25 messages, 2 consumers"),
    "instigator": ("ottla.demos.instigator.program", "two HTTP services that produce and consume"),
    "services": ("ottla.demos.services.program", "two services with retries and dead letters"),
    "uuid": (
        "ottla.demos.uuid_log.program",
        "a producer with UUID keys and a group that logs them",
    ),
}


class _DemoParser(Parser):
    """Asks a demo's module for its flags only when that demo was typed: some load slowly."""

    module = ""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        if self.module:
            add_connection_arguments(self)
            self.add_argument(
                "--end-with-stdin",
                action="store_true",
                help="end, as with Ctrl-C, when standard input is closed: for programs that"
                " start this one and may be killed",
            )
            importlib.import_module(self.module).add_arguments(self)
            self.module = ""
        return super().parse_known_args(args, namespace)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    demos = parser.add_subparsers(
        dest="demo", required=True, metavar="NAME", parser_class=_DemoParser
    )
    for name, (module, summary) in DEMOS.items():
        demo = demos.add_parser(name, help=summary, description=f"{summary}.")
        demo.module = module


def run(args: argparse.Namespace) -> int:
    """Run the chosen demo; returns its exit status. Errors: CommandError."""
    from ottla.demos.kafka_clients import DemoError

    demo = importlib.import_module(DEMOS[args.demo][0])
    if args.end_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        status: int = demo.run(args, connection_settings(args))
    except DemoError as error:
        raise CommandError(str(error)) from None
    return status


def _end_with_stdin() -> None:
    """Ctrl-C comes to this process when standard input ends; later it is ended anyhow."""
    while os.read(STDIN, 4096):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(LAST_WORDS_S)
    os._exit(1)


def add_connection_arguments(
    parser: argparse.ArgumentParser,
    default: str = "$KAFKA_BOOTSTRAP_SERVERS or localhost:9092",
    *,
    is_repeated: bool = False,
) -> None:
    """Repeated: in a verb below one that has them; what was said there stands unless said again."""
    absent = argparse.SUPPRESS if is_repeated else None
    parser.add_argument(
        "--bootstrap-servers",
        "--bootstrap-server",
        metavar="HOST:PORT,…",
        default=absent,
        help=f"the brokers to ask first (default: {default})",
    )
    parser.add_argument(
        "--command-config",
        metavar="FILE",
        default=absent,
        help="properties file for the client, such as its TLS and SASL settings",
    )
    parser.add_argument(
        "--command-property",
        metavar="KEY=VALUE",
        action="append",
        default=absent or [],
        help="one property for the client; may be given again",
    )


def connection_settings(args: argparse.Namespace) -> dict[str, str]:
    """Settings of a confluent-kafka client. Errors: CommandError."""
    properties = client_properties(args.command_config, args.command_property)
    named = properties.pop("bootstrap.servers", None)
    servers = bootstrap_servers(args.bootstrap_servers, [named])
    return {**librdkafka_settings(properties), "bootstrap.servers": servers}

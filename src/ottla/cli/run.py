"""`ottla run -- COMMAND …`: a command with a throw-away broker beside it.

The broker's address is in the command's environment, under the names that
programs and frameworks look for. The command's exit status becomes ours.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from types import FrameType
from typing import Final

from ottla.cli.connection_options import CONFIG_VARIABLE
from ottla.cli.errors import CommandError

#: Variables that get the broker's address.
ADDRESS_VARIABLES: Final = (
    "KAFKA_BOOTSTRAP_SERVERS",
    "KAFKA_BOOTSTRAP_SERVER",
    "KAFKA_BROKERS",
    "BOOTSTRAP_SERVERS",
    "OTTLA_BOOTSTRAP_SERVERS",
    "SPRING_KAFKA_BOOTSTRAP_SERVERS",
)

_FORWARDED: Final = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT")
    if hasattr(signal, name)
)
_COMMAND_NOT_FOUND: Final = 127
_COMMAND_NOT_EXECUTABLE: Final = 126

DESCRIPTION = """\
Run a command with a throw-away broker beside it, on a free port. The address
is in KAFKA_BOOTSTRAP_SERVERS (and a few other names) of the command. When the
command ends the broker and its data are gone; its exit status is passed on.

  ottla run -- pytest
  ottla run --set num.partitions=4 -- sh -c 'echo $KAFKA_BOOTSTRAP_SERVERS'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a broker setting"
    )
    parser.add_argument(
        "--topic", action="append", default=[], metavar="NAME:PARTITIONS",
        help="a topic that exists when the command starts; may be repeated",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=0, help="instead of a free port")
    parser.add_argument(
        "--durability",
        choices=("page-cache", "fsync"),
        default="page-cache",
        help="whether an acknowledgement waits for the disk (default: page-cache, it does not)",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status (128 + n if signal n killed it)."""
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise CommandError("ottla run: which command? For example: ottla run -- pytest", status=2)
    from ottla.embedded import Broker, StartError
    from ottla.server.garbage import collected_seldom
    from ottla.server.settings import split_settings

    try:
        settings = split_settings(args.set)
        if args.topic:
            settings["ottla.create.topics"] = ",".join(args.topic)
        with (
            Broker(port=args.port, durability=args.durability, config=settings) as broker,
            collected_seldom(),
        ):
            return _run_beside(broker.bootstrap_servers, command)
    except StartError as error:
        raise CommandError(f"ottla: {error}") from None


def _run_beside(address: str, command: list[str]) -> int:
    environment = dict(os.environ)
    environment.pop(CONFIG_VARIABLE, None)  # it is another cluster's
    environment.update(dict.fromkeys(ADDRESS_VARIABLES, address))
    host, _, port = address.rpartition(":")
    environment.update(KAFKA_HOST=host, KAFKA_PORT=port)
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        if child is None:
            early.append(number)
        else:
            child.send_signal(number)

    # Ctrl-C reaches the command by itself (same terminal); we outlive it to clean up.
    before = {signal.SIGINT: signal.signal(signal.SIGINT, _ignore)}
    for number in _FORWARDED:
        before[number] = signal.signal(number, forward)
    try:
        child = _start(command, environment)
        for sent in early:
            child.send_signal(sent)
        status = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if status < 0:
        print(f"ottla run: {command[0]} was ended by signal {-status}", file=sys.stderr)
        return 128 - status
    return status


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, env=environment)
    except FileNotFoundError:
        raise CommandError(
            f"ottla run: {command[0]} was not found", status=_COMMAND_NOT_FOUND
        ) from None
    except OSError as error:
        raise CommandError(
            f"ottla run: {command[0]} cannot be run: {error.strerror}",
            status=_COMMAND_NOT_EXECUTABLE,
        ) from None


def _ignore(number: int, frame: FrameType | None) -> None:
    """A handler, unlike SIG_IGN, is not inherited by the command."""

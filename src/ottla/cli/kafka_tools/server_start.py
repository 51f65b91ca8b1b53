"""The commands that start, stop and format an Apache Kafka: what they mean here."""

from __future__ import annotations

import base64
import sys
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from ottla.cli.errors import CommandError, exit_status_of, note
from ottla.cli.main import main as ottla

HELP: Final = {
    "kafka-server-start": "usage: kafka-server-start [-daemon] [server.properties] "
    "[--override key=value]…\n\nStart a broker here, as `ottla up --config FILE` does.",
    "kafka-server-stop": "usage: kafka-server-stop [NAME]\n\n"
    "Stop the broker that runs here, as `ottla down` does.",
    "kafka-storage": "usage: kafka-storage random-uuid | format | info\n\n"
    "Make an id. Formatting is not needed: a data directory is prepared when first used.",
}


def up_arguments(words: Sequence[str]) -> list[str]:
    """The words of `ottla up` for those of kafka-server-start.

    Errors: `CommandError` for a word that neither knows.
    """
    arguments = ["up"]
    rest = list(words)
    files: list[str] = []
    while rest:
        word = rest.pop(0)
        if word in ("-daemon", "--daemon"):
            arguments.append("--detach")
        elif word == "--override" and rest:
            arguments += ["--set", rest.pop(0)]
        elif word in ("-name", "-loggc", "--name"):
            if word != "-loggc" and rest:
                rest.pop(0)
        elif word.startswith("-"):
            raise CommandError(
                f"kafka-server-start: {word} is not a recognized option; give a "
                "server.properties file, --override key=value, -daemon."
            )
        else:
            files.append(word)
    if len(files) > 1:
        raise CommandError(f"kafka-server-start takes one file, not {len(files)}.")
    for file in files:
        arguments += ["--config", file]
    return arguments


def main() -> int:
    """Entry point of kafka-server-start: `ottla up --config FILE`."""
    if _is_helped("kafka-server-start"):
        return 0
    return exit_status_of(lambda: ottla(up_arguments(sys.argv[1:])))


def _is_helped(tool: str) -> bool:
    """Whether help was asked for; it is printed then."""
    if not {"--help", "-h"} & {*sys.argv[1:]}:
        return False
    print(HELP[tool])
    return True


def stop() -> int:
    """Entry point of kafka-server-stop: `ottla down`."""
    if _is_helped("kafka-server-stop"):
        return 0
    # Kafka's own options choose among nodes on this machine; names do here.
    return ottla(["down", *(word for word in sys.argv[1:] if not word.startswith("-"))])


def zookeeper() -> int:
    """Entry point of zookeeper-server-start: there is nothing to start."""
    print(
        "ZooKeeper is not needed: Ottla keeps the cluster's metadata itself, as Kafka has done "
        "since 4.0. Go on with kafka-server-start."
    )
    return 0


def zookeeper_stop() -> int:
    """Entry point of zookeeper-server-stop: there is nothing to stop."""
    print("ZooKeeper is not needed, so there is none to stop.")
    return 0


def storage() -> int:
    """Entry point of kafka-storage: ids for those who ask; formatting is not needed."""
    if _is_helped("kafka-storage"):
        return 0
    return exit_status_of(lambda: _storage(sys.argv[1:]))


def _storage(words: Sequence[str]) -> int:
    command = next((word for word in words if not word.startswith("-")), "")
    if command == "random-uuid":
        print(base64.urlsafe_b64encode(uuid4().bytes).rstrip(b"=").decode())
        return 0
    if command in ("format", "info"):
        note("formatting is not needed: a data directory is prepared when it is first used")
        return 0
    raise CommandError("kafka-storage takes random-uuid or format here.")


def shell() -> int:
    """Entry point of kafka-shell: `ottla shell`."""
    return ottla(["shell", *sys.argv[1:]])

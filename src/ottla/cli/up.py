"""`ottla up`: a durable broker, and the platform around it, until Ctrl-C.

Configuration from weak to strong: what suits one machine, `--config` file,
KAFKA_… variables, `--set`, the flags of this command.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from ottla.cli import instances
from ottla.cli.errors import CommandError

DEFAULT_DATA_DIRECTORY: Final = "ottla-data"
DEFAULT_METRICS_PORT: Final = "9644"

#: The detached process tells its parent here that it is ready.
READY_FD_VARIABLE: Final = "OTTLA_DETACHED_READY_FD"

DESCRIPTION = """\
Start a durable Kafka broker on this machine, and the parts of the platform
around it, and keep them until Ctrl-C. The data stays in ./ottla-data.

  ottla up                                    broker on localhost:9092
  ottla up --config server.properties         with a file written for Kafka
  ottla up --set num.partitions=4 --detach    in the background (ottla down stops it)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    broker = parser.add_argument_group("broker")
    broker.add_argument(
        "--data-dir", type=Path, metavar="DIR",
        help=f"where the data lives (default: ./{DEFAULT_DATA_DIRECTORY}, or log.dirs)",
    )  # fmt: skip
    broker.add_argument("--port", type=int, metavar="N", help="default 9092; 0 takes a free one")
    broker.add_argument(
        "--insecure",
        action="store_true",
        help="let listeners beyond this machine take clients that do not authenticate",
    )
    broker.add_argument(
        "--config", type=Path, metavar="FILE", help="a server.properties file, as Kafka's"
    )
    broker.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="one setting, by Kafka's name; may be repeated",
    )  # fmt: skip
    broker.add_argument(
        "--durability", choices=("fsync", "page-cache"),
        help="fsync (default): acknowledged means on the disk; page-cache: as Kafka does, a "
        "power cut may lose the last moments",
    )  # fmt: skip
    broker.add_argument(
        "--topic", action="append", default=[], metavar="NAME:PARTITIONS",
        help="a topic that exists when the broker is ready; may be repeated",
    )  # fmt: skip
    broker.add_argument(
        "--containers", action="store_true",
        help="also listen where containers on this machine can reach it",
    )  # fmt: skip
    platform = parser.add_argument_group("platform")
    platform.add_argument("--bare", action="store_true", help="the broker and nothing else")
    platform.add_argument("--demo", metavar="NAME", help="keep a demo's traffic flowing: analytics")
    platform.add_argument(
        "--dash", action="store_true", help="show the live dashboard, if this is a terminal"
    )
    platform.add_argument("--name", help="name in `ottla ps` (default: the project directory's)")
    platform.add_argument("--detach", action="store_true", help="go on in the background")


def run(args: argparse.Namespace) -> int:
    """Returns 0 after an orderly stop."""
    return _detach() if args.detach else _foreground(args)


def _foreground(args: argparse.Namespace) -> int:
    import asyncio

    from ottla.cli.platform import Platform, PlatformOptions
    from ottla.cli.terminal import own_terminal
    from ottla.server.errors import StartError
    from ottla.server.settings import load_config

    strongest = {}
    if args.insecure or os.environ.get("OTTLA_INSECURE", "") not in ("", "0", "false"):
        strongest["ottla.insecure"] = "true"
    if args.data_dir is not None:
        strongest["log.dirs"] = str(args.data_dir)
    if args.port is not None:
        strongest["listeners"] = f"PLAINTEXT://localhost:{args.port}"
    if args.durability is not None:
        strongest["ottla.durability"] = args.durability
    if args.topic:
        strongest["ottla.create.topics"] = ",".join(args.topic)
    try:
        config = load_config(
            defaults={
                "log.dirs": DEFAULT_DATA_DIRECTORY,
                "ottla.metrics.port": DEFAULT_METRICS_PORT,
            },
            file=args.config,
            environment=os.environ,
            settings=args.set,
            strongest=strongest,
        )
        directory = Path(config.log_directory).resolve()
        _refuse_twice(directory)
        options = PlatformOptions(
            name=args.name or _default_name(directory),
            data_directory=directory,
            containers=args.containers,
            is_bare=args.bare,
            demo=args.demo,
            dashboard=args.dash,
            ready_fd=_ready_fd(),
        )
        with own_terminal():
            return asyncio.run(Platform(config, options).run())
    except StartError as error:
        raise CommandError(f"ottla: {error}") from None


def _refuse_twice(directory: Path) -> None:
    running = instances.find_by_directory(directory)
    if running is not None:
        raise CommandError(
            f"ottla: {running.name} is already running on {directory}, at "
            f"{running.bootstrap_servers} (process {running.pid}); `ottla down` stops it."
        )


def _default_name(directory: Path) -> str:
    """The project's directory; a number is added while another instance has the name."""
    base = directory.parent.name if directory.name == DEFAULT_DATA_DIRECTORY else directory.name
    taken = {instance.name for instance in instances.running()}
    name, number = base or "ottla", 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def _ready_fd() -> int | None:
    text = os.environ.pop(READY_FD_VARIABLE, "")
    return int(text) if text else None


def _detach() -> int:
    """Start the same command in a session of its own; return when it is ready."""
    words = [word for word in sys.argv[1:] if word != "--detach"]
    log = instances.log_path("up", os.getpid())
    log.parent.mkdir(parents=True, exist_ok=True)
    receive, send = os.pipe()
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "ottla.cli.main", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, READY_FD_VARIABLE: str(send)},
            pass_fds=(send,),
            start_new_session=True,
        )
    os.close(send)
    with open(receive, "rb") as pipe:
        announcement = pipe.read().decode()
    if not announcement:
        status = child.wait()
        said = log.read_text(encoding="utf-8", errors="replace").strip()
        raise CommandError(said or f"ottla: the broker ended with status {status}", status=1)
    print(announcement, end="")
    print(f"Process {child.pid}, output in {log}. `ottla down` stops it.")
    return 0

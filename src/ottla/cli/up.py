"""`ottla up`: a durable broker, or Apache Kafka, and the platform around it, until Ctrl-C.

The embedded broker's configuration from weak to strong: what suits one machine, `--config` file,
KAFKA_… variables, `--set`, the flags of this command.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ottla.cli import instances
from ottla.cli.errors import CommandError

if TYPE_CHECKING:
    from ottla.cli.platform_engine import PlatformEngine

DEFAULT_DATA_DIRECTORY: Final = "ottla-data"
DEFAULT_CLUSTER_DIRECTORY: Final = "ottla-cluster"
DEFAULT_METRICS_PORT: Final = "9644"
DEFAULT_BROKERS: Final = 3
FIRST_PORT: Final = 9092

#: Flags that only mean something to the embedded broker, and to a cluster that we start.
EMBEDDED_ONLY: Final = ("config", "durability", "containers", "insecure")
STARTED_ONLY: Final = (*EMBEDDED_ONLY, "data_dir", "port", "set", "topic")

#: The detached process tells its parent here that it is ready.
READY_FD_VARIABLE: Final = "OTTLA_DETACHED_READY_FD"

DESCRIPTION = """\
Start a durable Kafka broker on this machine, and the parts of the platform
around it, and keep them until Ctrl-C. The data stays in ./ottla-data.

  ottla up                                    broker on localhost:9092
  ottla up --config server.properties         with a file written for Kafka
  ottla up --set num.partitions=4 --detach    in the background (ottla down stops it)
  ottla up --engine apache                    on three brokers of Apache Kafka (Java 17)
  ottla up --bootstrap-servers kafka:9092     around a Kafka that is there already
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
    engine = parser.add_argument_group("another engine")
    engine.add_argument(
        "--engine", default="embedded", metavar="NAME",
        help="embedded (default), or apache: three brokers of Apache Kafka and three controllers, "
        f"in ./{DEFAULT_CLUSTER_DIRECTORY}; apache:1 is one broker",
    )  # fmt: skip
    engine.add_argument(
        "--combined", action="store_true", help="with apache: brokers are controllers, too"
    )
    engine.add_argument(
        "--bootstrap-servers", "--bootstrap-server", metavar="HOST:PORT,…",
        help="a Kafka that is there already; it is neither started nor stopped",
    )  # fmt: skip
    engine.add_argument(
        "--command-config", metavar="FILE",
        help="properties file for its clients, such as their TLS and SASL settings",
    )  # fmt: skip
    engine.add_argument(
        "--command-property", metavar="KEY=VALUE", action="append", default=[],
        help="one property for its clients; may be repeated",
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
    return _detach(args.typed) if args.detach else _foreground(args)


def _foreground(args: argparse.Namespace) -> int:
    import asyncio

    from ottla.cli.platform import Platform, PlatformOptions
    from ottla.cli.terminal import own_terminal
    from ottla.server.errors import StartError

    async def run_platform() -> int:
        engine = _engine(args)
        _refuse_twice(engine)
        options = PlatformOptions(
            name=args.name or _default_name(engine),
            is_bare=args.bare,
            demo=args.demo,
            dashboard=args.dash,
            ready_fd=_ready_fd(),
            tool_words=("--command-config", args.command_config) if args.command_config else (),
        )
        return await Platform(engine, options).run()

    try:
        with own_terminal():
            return asyncio.run(run_platform())
    except StartError as error:
        raise CommandError(f"ottla: {error}") from None


def _engine(args: argparse.Namespace) -> PlatformEngine:
    """What the platform stands on. Errors: `StartError`, `CommandError`."""
    if args.bootstrap_servers:
        if args.engine != "embedded":
            raise CommandError("ottla up: --engine starts a Kafka, --bootstrap-servers names one.")
        _refuse_flags(args, STARTED_ONLY, "--bootstrap-servers")
        return _cluster_engine(args)
    if args.command_config or args.command_property:
        raise CommandError("ottla up: --command-config and --command-property are for the clients"
                           " of --bootstrap-servers.")  # fmt: skip
    kind, _, count = args.engine.partition(":")
    if kind == "apache" and (not count or count.isdecimal()):
        _refuse_flags(args, EMBEDDED_ONLY, f"--engine {args.engine}")
        return _apache_engine(args, int(count or DEFAULT_BROKERS))
    if args.engine != "embedded":
        raise CommandError(
            f"ottla up: there is no engine {args.engine}; there are embedded, apache and apache:N."
        )
    return _embedded_engine(args)


def _refuse_flags(args: argparse.Namespace, names: tuple[str, ...], beside: str) -> None:
    given = ", ".join(f"--{name.replace('_', '-')}" for name in names if getattr(args, name))
    if given:
        raise CommandError(f"ottla up: {given} cannot be used with {beside}.")


def _embedded_engine(args: argparse.Namespace) -> PlatformEngine:
    from ottla.cli.platform_engine import EmbeddedEngine
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
    return EmbeddedEngine(config, directory, containers=args.containers)


def _apache_engine(args: argparse.Namespace, brokers: int) -> PlatformEngine:
    from ottla.cli.connection_options import key_value_pairs
    from ottla.cli.platform_clusters import ApacheEngine
    from ottla.server.errors import StartError

    if not brokers:
        raise StartError("a cluster needs at least one broker")
    return ApacheEngine(
        (args.data_dir or Path(DEFAULT_CLUSTER_DIRECTORY)).resolve(),
        brokers=brokers,
        is_combined=args.combined,
        first_port=FIRST_PORT if args.port is None else args.port,
        properties=key_value_pairs(args.set),
        topics=args.topic,
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )


def _cluster_engine(args: argparse.Namespace) -> PlatformEngine:
    from ottla.cli.connection_options import (
        checked_servers,
        librdkafka_settings,
        merged_properties,
    )
    from ottla.cli.platform_clusters import ClusterEngine

    properties = merged_properties(args.command_config, args.command_property)
    properties.pop("bootstrap.servers", None)
    return ClusterEngine(checked_servers(args.bootstrap_servers), librdkafka_settings(properties))


def _refuse_twice(engine: PlatformEngine) -> None:
    running = instances.find_by_place(engine.place)
    if running is not None:
        raise CommandError(
            f"ottla: {running.name} is already running on {engine.place}, at "
            f"{running.bootstrap_servers} (process {running.pid}); `ottla down` stops it."
        )


def _default_name(engine: PlatformEngine) -> str:
    """The project's directory; a number is added while another instance has the name."""
    directory = Path.cwd() / "-" if engine.kind == "cluster" else Path(engine.place)
    is_usual = directory.name in ("-", DEFAULT_DATA_DIRECTORY, DEFAULT_CLUSTER_DIRECTORY)
    base = directory.parent.name if is_usual else directory.name
    taken = {instance.name for instance in instances.running()}
    name, number = base or "ottla", 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def _ready_fd() -> int | None:
    text = os.environ.pop(READY_FD_VARIABLE, "")
    return int(text) if text else None


def _detach(typed: Sequence[str]) -> int:
    """Start the same command in a session of its own; return when it is ready."""
    if sys.platform == "win32":
        raise CommandError("ottla up: --detach does not work on Windows; give it a window instead.")
    words = [word for word in typed if word != "--detach"]
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

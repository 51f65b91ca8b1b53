"""`ottla demo instigator`: both services, or one of them."""

from __future__ import annotations

import argparse

from ottla.demos.http_services import HttpService, listen, serve_until_signalled
from ottla.demos.instigator.consuming import MessageConsumer
from ottla.demos.instigator.full import BURROW_PORT, CONSOLE_PORT, quick_start
from ottla.demos.instigator.producing import MessageProducer
from ottla.demos.instigator.service import application
from ottla.demos.instigator.topics import DEFAULT_TOPIC, populate
from ottla.demos.instigator.worker import Worker
from ottla.demos.kafka_clients import Settings, create_topic

PRODUCER_PORT = 5000
CONSUMER_PORT = 5001


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "service",
        nargs="?",
        choices=("both", "producer", "consumer"),
        default="both",
        help="which service to run (default: %(default)s)",
    )
    parser.add_argument("--topic", default=DEFAULT_TOPIC, help="default: %(default)s")
    parser.add_argument("--group", default="instigator", help="default: %(default)s")
    parser.add_argument(
        "--interval",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="time between two messages (default: %(default)s)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    for role, port in (("producer", PRODUCER_PORT), ("consumer", CONSUMER_PORT)):
        parser.add_argument(
            f"--{role}-port", type=int, default=port, metavar="PORT", help="default: %(default)s"
        )
    parser.add_argument(
        "--populate", action="store_true", help="make the write-up's topics first, compacted"
    )
    full = parser.add_argument_group("the whole quick start")
    full.add_argument(
        "--full",
        action="store_true",
        help="start a Kafka for it, make the topics, and open the console and Burrow, too",
    )
    full.add_argument(
        "--engine",
        metavar="NAME",
        help="with --full: embedded, apache:3 as in the write-up, or an address"
        " (default: --bootstrap-servers, or else embedded)",
    )
    for part, port in (("console", CONSOLE_PORT), ("burrow", BURROW_PORT)):
        full.add_argument(
            f"--{part}-port", type=int, default=port, metavar="PORT", help="default: %(default)s"
        )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM; then stop the workers, everything sent and committed."""
    if not args.full:
        return _serve(args, settings)
    ports = {"console": args.console_port, "burrow": args.burrow_port}
    engine = args.engine or (settings["bootstrap.servers"] if _is_named(args) else "embedded")
    with quick_start(settings, engine, ports, lambda text: print(text, flush=True)) as own:
        return _serve(args, own)


def _is_named(args: argparse.Namespace) -> bool:
    """Whether somebody has said which Kafka to take."""
    return bool(args.bootstrap_servers or args.command_config or args.command_property)


def _serve(args: argparse.Namespace, settings: Settings) -> int:
    if args.populate or args.full:
        for line in populate(settings):
            print(line, flush=True)
    else:
        create_topic(settings, args.topic, 1)
    workers: dict[str, tuple[Worker, int]] = {}
    if args.service in ("both", "producer"):
        producer = MessageProducer(settings, args.topic, args.interval)
        workers["producer"] = (producer, args.producer_port)
    if args.service in ("both", "consumer"):
        consumer = MessageConsumer(settings, args.topic, args.group)
        workers["consumer"] = (consumer, args.consumer_port)
    serve_until_signalled(
        [
            HttpService(
                f"Instigator's {role}",
                application(role, worker),
                listen(role, args.host, port),
                f"/start_{role}, /stop_{role}",
            )
            for role, (worker, port) in workers.items()
        ]
    )
    for role, (worker, _) in workers.items():
        worker.stop()
        numbers = {k: v for k, v in worker.counters().items() if isinstance(v, int)}
        print(f"{role}: " + ", ".join(f"{v:,} {k}" for k, v in numbers.items()), flush=True)
    return 0

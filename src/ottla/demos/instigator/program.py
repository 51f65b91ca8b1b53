"""`ottla demo instigator`: both services, or one of them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

from ottla.demos.instigator.consuming import MessageConsumer
from ottla.demos.instigator.producing import MessageProducer
from ottla.demos.instigator.service import application
from ottla.demos.instigator.topics import DEFAULT_TOPIC, populate
from ottla.demos.instigator.worker import Worker
from ottla.demos.kafka_clients import DemoError, Settings, create_topic

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


class QuietServer(uvicorn.Server):
    """A server that leaves signals to the program that runs several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(role: str, host: str, port: int) -> socket.socket:
    """Errors: `DemoError` when the port is taken or the host is not ours."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise DemoError(
            f"The {role} service cannot listen on {host}:{port} ({error.strerror}); choose another"
            f" port with --{role}-port."
        ) from None
    sock.listen(64)
    return sock


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM; then stop the workers, everything sent and committed."""
    if args.populate:
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
    served = [
        (application(role, worker), listen(role, args.host, port), role)
        for role, (worker, port) in workers.items()
    ]
    asyncio.run(serve(served))
    for role, (worker, _) in workers.items():
        worker.stop()
        numbers = {k: v for k, v in worker.counters().items() if isinstance(v, int)}
        print(f"{role}: " + ", ".join(f"{v:,} {k}" for k, v in numbers.items()), flush=True)
    return 0


async def serve(served: list[tuple[Starlette, socket.socket, str]]) -> None:
    """Serve the applications until a signal comes."""
    servers = []
    for app, sock, role in served:
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
        servers.append((QuietServer(config), sock))
        host, port = sock.getsockname()[:2]
        print(
            f"Instigator's {role}  http://{host}:{port}  (/start_{role}, /stop_{role})", flush=True
        )

    def stop() -> None:
        for server, _ in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop)
    await asyncio.gather(*(server.serve(sockets=[sock]) for server, sock in servers))

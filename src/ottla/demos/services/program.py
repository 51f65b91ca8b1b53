"""`ottla demo services`: both services in one process, or one of them."""

from __future__ import annotations

import argparse
import os
import secrets

from ottla.demos.http_services import HttpService, listen, serve_until_signalled
from ottla.demos.kafka_clients import DemoError, Settings
from ottla.demos.services.retrying import PROFILES, RetryPolicy

PRODUCER_PORT = 7000
CONSUMER_PORT = 7001
PARTITIONS = 8
HINT = "/openapi.json, /metrics"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "service",
        nargs="?",
        choices=("both", "producer", "consumer"),
        default="both",
        help="which service to run (default: %(default)s)",
    )
    parser.add_argument(
        "--database-url",
        default=os.environ.get("DATABASE_URL", "sqlite:///ottla-services.db"),
        metavar="URL",
        help="sqlite:///FILE or postgresql://… (default: DATABASE_URL or sqlite:///ottla-services.db)",
    )
    parser.add_argument(
        "--producer-url",
        default=os.environ.get("PRODUCER_URL"),
        metavar="URL",
        help="where the consumer service finds the producer service (default: on this machine)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    for role, port in (("producer", PRODUCER_PORT), ("consumer", CONSUMER_PORT)):
        parser.add_argument(
            f"--{role}-port", type=int, default=port, metavar="PORT", help="default: %(default)s"
        )
    parser.add_argument(
        "--partitions", type=int, default=PARTITIONS, help="of new topics (default: %(default)s)"
    )
    parser.add_argument(
        "--members", type=int, default=1, help="consumers in each group (default: %(default)s)"
    )
    parser.add_argument("--tries", type=int, help="tries before the dead-letter topic (default: 5)")
    parser.add_argument(
        "--retry-base", type=float, metavar="SECONDS", help="first delay (default: 1)"
    )
    parser.add_argument("--retry-factor", type=float, help="growth of the delay (default: 5)")
    parser.add_argument(
        "--retry-profile",
        choices=sorted(PROFILES),
        default="default",
        help="delays by name: default 1, 5, 25, 125 s; minute 60 s each (default: %(default)s)",
    )
    parser.add_argument(
        "--failure-rate", type=float, default=0.0, help="part of all tries that fail, for a show"
    )


def policy_from(args: argparse.Namespace) -> RetryPolicy:
    profile = PROFILES[args.retry_profile]
    return RetryPolicy(
        tries=profile.tries if args.tries is None else args.tries,
        base_s=profile.base_s if args.retry_base is None else args.retry_base,
        factor=profile.factor if args.retry_factor is None else args.retry_factor,
    )


def build(args: argparse.Namespace, settings: Settings) -> list[HttpService]:
    """The wanted services with their sockets, topics and tables made. Errors: `DemoError`."""
    from ottla.demos.services import consumer_service, producer_service
    from ottla.demos.services.database import HandledEvents, connect
    from ottla.demos.services.tokens import Tokens

    engine = connect(args.database_url)
    policy = policy_from(args)
    reactions = consumer_service.Reactions(
        HandledEvents(engine), consumer_service.LiveFeed(), args.failure_rate
    )
    members = [
        m
        for _ in range(args.members)
        for m in consumer_service.consumers(settings, reactions, policy)
    ]
    for member in members[:2]:
        member.prepare(args.partitions)
    services: list[HttpService] = []
    producer_url = args.producer_url or f"http://127.0.0.1:{args.producer_port}"
    if args.service in ("both", "producer"):
        secret = os.environ.get("TOKEN_SECRET") or secrets.token_hex(32)
        registrar = producer_service.Registrar(engine, Tokens(secret))
        app = producer_service.application(settings, engine, registrar)
        sock = listen("producer", args.host, args.producer_port)
        services.append(HttpService("producer service", app, sock, HINT))
        if args.producer_url is None:
            producer_url = services[0].address
    if args.service in ("both", "consumer"):
        app = consumer_service.application(engine, reactions, members, producer_url)
        sock = listen("consumer", args.host, args.consumer_port)
        services.append(HttpService("consumer service", app, sock, HINT))
    return services


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM; what is in hand is finished and committed."""
    try:
        import argon2
        import fastapi
        import sqlalchemy  # noqa: F401
    except ImportError:
        raise DemoError(
            "The services' libraries are not installed; run: pip install 'ottla[services]'"
        ) from None
    del argon2, fastapi
    from ottla.demos.services.observing import configure_logging

    configure_logging()
    serve_until_signalled(build(args, settings))
    return 0

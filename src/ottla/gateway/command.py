"""The verb `ottla gateway`: the HTTP doors for any Kafka."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys

from ottla.client.errors import SettingsError
from ottla.client.librdkafka_settings import librdkafka_settings
from ottla.client.properties_files import read_properties
from ottla.gateway.settings import BURROW_PORT, METRIC_NAMES, GatewaySettings
from ottla.server.signals import call_when_asked_to_end

DESCRIPTION = "Serve REST Proxy, Burrow, metrics and admin commands for a Kafka cluster."


def port(text: str) -> int | None:
    if text.lower() in ("off", "none", "no"):
        return None
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError(text)
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bootstrap-servers",
        "--bootstrap-server",
        default=os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
        metavar="HOST:PORT",
        help="the Kafka to serve (default: KAFKA_BOOTSTRAP_SERVERS or localhost:9092)",
    )
    parser.add_argument(
        "--client-config",
        metavar="FILE",
        help="a properties file for the Kafka clients, such as their TLS and SASL settings",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    for door, default, or_else in (
        ("rest", 8082, ""),
        ("burrow", BURROW_PORT, ", or what burrow.toml says"),
        ("metrics", 9308, ""),
    ):
        parser.add_argument(
            f"--{door}-port",
            type=port,
            default=argparse.SUPPRESS if or_else else default,
            metavar="PORT",
            help=f"port of the {door} door, 0 for any, off for none (default: {default}{or_else})",
        )
    parser.add_argument(
        "--admin-ports",
        default="8080,8081",
        metavar="PORTS",
        help="ports of the admin commands, off for none (default: %(default)s)",
    )
    parser.add_argument("--burrow-config", metavar="FILE", help="a burrow.toml to follow")
    parser.add_argument("--broker-metrics", metavar="URL", help="the embedded broker's /metrics")
    parser.add_argument(
        "--metrics-also",
        action="append",
        default=[],
        choices=METRIC_NAMES,
        help="metrics under these names, too; may be given again",
    )
    _add_manners(parser)


def _add_manners(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--basic-auth", metavar="USER:PASSWORD", help="ask for these credentials")
    parser.add_argument("--bearer-token", metavar="TOKEN", help="ask for this bearer token")
    parser.add_argument("--tls-certificate", metavar="FILE", help="serve https with this PEM file")
    parser.add_argument("--tls-key", metavar="FILE", help="the certificate's private key")
    parser.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of this origin use the doors; may be given again",
    )
    parser.add_argument(
        "--access-log", metavar="FILE", help="write a JSON line a request, - for standard error"
    )
    parser.add_argument(
        "--max-request-bytes",
        type=int,
        default=64 * 1024 * 1024,
        metavar="BYTES",
        help="longest body of a request, and longest streamed record (default: %(default)s)",
    )
    parser.add_argument(
        "--request-timeout-ms",
        type=int,
        default=60_000,
        metavar="MS",
        help="time a request's body may take to arrive (default: %(default)s)",
    )
    parser.add_argument(
        "--announce-json", action="store_true", help="print the addresses as one JSON line"
    )


def client_config(file: str | None) -> dict[str, str]:
    """What the clients are told of TLS, SASL and more, as librdkafka calls it.

    Errors: `SettingsError`.
    """
    return librdkafka_settings(read_properties(file)) if file else {}


def settings_from(args: argparse.Namespace) -> GatewaySettings:
    admin = args.admin_ports.lower()
    return GatewaySettings(
        bootstrap_servers=args.bootstrap_servers,
        client_config=client_config(args.client_config),
        host=args.host,
        rest_port=args.rest_port,
        burrow_port=getattr(args, "burrow_port", BURROW_PORT),
        burrow_port_is_default=not hasattr(args, "burrow_port"),
        metrics_port=args.metrics_port,
        admin_ports=() if admin == "off" else tuple(int(p) for p in admin.split(",") if p),
        broker_metrics_url=args.broker_metrics,
        metrics_also=tuple(args.metrics_also),
        burrow_config_file=args.burrow_config,
        basic_auth=args.basic_auth,
        bearer_token=args.bearer_token,
        tls_certificate=args.tls_certificate,
        tls_key=args.tls_key,
        cors_origins=tuple(args.cors_origin),
        max_request_bytes=args.max_request_bytes,
        request_timeout_ms=args.request_timeout_ms,
    )


def write_access_log(path: str) -> None:
    """Send the lines of the access log there. Errors: OSError."""
    logger = logging.getLogger("ottla.gateway.access")
    handler = logging.StreamHandler() if path == "-" else logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def run(args: argparse.Namespace) -> int:
    """Serve until a signal ends it; 1 with one sentence when a door cannot be opened."""
    from ottla.gateway.serve import Door, DoorError, serve

    def announce(doors: list[Door]) -> None:
        if args.announce_json:
            print(json.dumps({door.name: door.address for door in doors}), flush=True)
            return
        width = max(len(door.name) for door in doors)
        for door in doors:
            print(f"{door.name:<{width}}  {door.address}", flush=True)

    async def serve_until_signalled() -> None:
        stop = asyncio.Event()
        call_when_asked_to_end(asyncio.get_running_loop(), stop.set)
        await serve(settings_from(args), announce, stop)

    try:
        if args.access_log:
            write_access_log(args.access_log)
        asyncio.run(serve_until_signalled())
    except (DoorError, SettingsError, OSError) as error:
        print(f"ottla gateway: {error}", file=sys.stderr)
        return 1
    return 0

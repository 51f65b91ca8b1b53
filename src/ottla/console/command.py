"""The verb `ottla console`: the console for any Kafka."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

DEFAULT_PORT = 9021
MANAGER_PORT = 9000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bootstrap-servers",
        "--bootstrap-server",
        default=os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
        metavar="HOST:PORT",
        help="the Kafka to show (default: KAFKA_BOOTSTRAP_SERVERS or localhost:9092)",
    )
    parser.add_argument(
        "--client-config",
        metavar="FILE",
        help="a properties file for the Kafka clients, such as their TLS and SASL settings",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--port",
        type=int,
        help=f"port to listen on, 0 for any (default: {DEFAULT_PORT})",
    )
    parser.add_argument(
        "--auth",
        metavar="USER:PASSWORD",
        help="ask for these; needed on a host that others can reach",
    )
    parser.add_argument(
        "--auth-viewer",
        metavar="USER:PASSWORD",
        help="a second login, which may look at everything and change nothing",
    )
    parser.add_argument(
        "--broker-metrics",
        metavar="URL",
        help="a broker's metrics endpoint, for bytes and latencies",
    )
    parser.add_argument(
        "--manager", action="store_true", help=f"listen where Kafka Manager did: {MANAGER_PORT}"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until a signal ends it; 1 with one sentence when it cannot start."""
    # NiceGUI keeps what a browser session remembers in files; they are not worth
    # a folder in the person's current directory.
    with tempfile.TemporaryDirectory(prefix="ottla-console-") as scratch:
        os.environ.setdefault("NICEGUI_STORAGE_PATH", scratch)
        return _serve(args)


def _serve(args: argparse.Namespace) -> int:
    try:
        from ottla.console.serve import ConsoleError, Options, serve
    except ImportError:
        print(
            "ottla console: its libraries are not installed; run: pip install 'ottla[console]'",
            file=sys.stderr,
        )
        return 1
    from ottla.client.errors import SettingsError
    from ottla.client.librdkafka_settings import librdkafka_settings
    from ottla.client.properties_files import read_properties
    from ottla.server.garbage import THRESHOLDS_WITH_PAGES, collected_seldom

    default = MANAGER_PORT if args.manager else DEFAULT_PORT
    port = default if args.port is None else args.port
    try:
        config = librdkafka_settings(read_properties(args.client_config or os.devnull))
        options = Options(
            args.bootstrap_servers,
            args.host,
            port,
            is_port_strict=args.port not in (None, 0),
            admin=args.auth,
            viewer=args.auth_viewer,
            metrics_url=args.broker_metrics,
            client_config=config,
        )
        with collected_seldom(THRESHOLDS_WITH_PAGES):
            serve(options)
    except (ConsoleError, SettingsError) as error:
        print(f"ottla console: {error}", file=sys.stderr)
        return 1
    return 0

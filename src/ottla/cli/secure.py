"""`ottla secure`: certificates, first users and a configuration that asks for both."""

from __future__ import annotations

import argparse
import secrets
import socket
from pathlib import Path

from ottla.cli.errors import CommandError
from ottla.wire.scram import make_verifier, verifier_text

DESCRIPTION = """\
Make a certificate authority, a broker certificate and users, and a
server.properties that listens with TLS, asks for a password (SCRAM-SHA-512)
and checks access control lists. Passwords are printed once, in the users'
client.properties; the broker keeps salted verifiers only."""

MECHANISM = "SCRAM-SHA-512"
SALT_BYTES = 16
ITERATIONS = 8192


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory",
        nargs="?",
        type=Path,
        default=Path("ottla-secure"),
        help="where to write (default: ./ottla-secure); it must not exist yet",
    )
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name or address clients use for the broker; may be given again",
    )
    parser.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME",
        help="a user without rights of its own; may be given again",
    )
    parser.add_argument("--admin", default="admin", help="the super user (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9093, help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Everything is written, or nothing. Errors: CommandError."""
    try:
        from ottla.cli.certificates import Authority, write_secret
    except ImportError:
        raise CommandError(
            "ottla secure: its library is not installed; run: pip install 'ottla[secure]'"
        ) from None
    directory: Path = args.directory
    if directory.exists():
        raise CommandError(
            f"ottla secure: {directory} exists already; name another directory, or remove it."
        )
    hosts = list(dict.fromkeys(["localhost", "127.0.0.1", "::1", socket.gethostname(), *args.host]))
    directory.mkdir(parents=True, mode=0o700)
    authority = Authority.create()
    authority.save(directory)
    write_secret(directory / "broker.pem", authority.issue("broker", hosts, is_server=True))
    entries = []
    for user in dict.fromkeys([args.admin, *args.user]):
        password = secrets.token_urlsafe(18)
        verifier = make_verifier(MECHANISM, password, secrets.token_bytes(SALT_BYTES), ITERATIONS)
        entries.append(verifier_text(user, MECHANISM, verifier))
        write_secret(
            directory / f"{user}.properties",
            client_properties(directory, user, password, args.port).encode(),
        )
    write_secret(
        directory / "server.properties",
        server_properties(directory, args.admin, entries, args).encode(),
    )
    print(report(directory, args))
    return 0


def client_properties(directory: Path, user: str, password: str, port: int) -> str:
    """Settings that Java's clients, ours and (with its names) librdkafka understand."""
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    return "\n".join(
        [
            f"bootstrap.servers=localhost:{port}",
            "security.protocol=SASL_SSL",
            f"sasl.mechanism={MECHANISM}",
            f'sasl.jaas.config={module} required username="{user}" password="{password}";',
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={(directory / 'ca.pem').resolve()}",
            "",
        ]
    )


def server_properties(
    directory: Path, admin: str, entries: list[str], args: argparse.Namespace
) -> str:
    listeners = f"SASL_SSL://localhost:{args.port}"
    if args.host:
        listeners = f"SASL_SSL://0.0.0.0:{args.port}"
    return "\n".join(
        [
            f"listeners={listeners}",
            "listener.security.protocol.map=SASL_SSL:SASL_SSL",
            f"sasl.enabled.mechanisms={MECHANISM}",
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={(directory / 'broker.pem').resolve()}",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            f"super.users=User:{admin}",
            f"ottla.scram.credentials={';'.join(entries)}",
            "",
        ]
    )


def report(directory: Path, args: argparse.Namespace) -> str:
    """What was made, and what to type next."""
    client = directory / f"{args.admin}.properties"
    return f"""\
Written to {directory}/ (keep it to yourself):
  ca.pem                the authority's certificate, for every client
  ca.key, broker.pem    the authority's and the broker's private keys
  server.properties     the broker's configuration
  *.properties          one file for each user, with the password

Start the broker:
  ottla up --config {directory}/server.properties
Use it:
  kafka-topics --bootstrap-server localhost:{args.port} --command-config {client} --list
Let a user read and write a topic:
  kafka-acls --bootstrap-server localhost:{args.port} --command-config {client} \\
    --add --allow-principal User:NAME --operation Read --operation Write --topic TOPIC
Python (confluent-kafka):
  Producer({{"bootstrap.servers": "localhost:{args.port}", "security.protocol": "SASL_SSL",
            "sasl.mechanism": "{MECHANISM}", "sasl.username": "{args.admin}",
            "sasl.password": "…", "ssl.ca.location": "{directory}/ca.pem"}})"""

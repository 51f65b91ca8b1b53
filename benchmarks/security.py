"""Certificates, a user and her rights, for the row that has all of it in the path."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from ottla.client import Cluster
from ottla.wire.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    EntityData,
    EntryData,
    OpData,
)
from ottla.wire.messages.create_acls import AclCreation, CreateAclsRequest

USER: Final = "bench"
PASSWORD: Final = "bench-password"
#: Bytes a second that nobody here reaches: the quota is counted, not felt.
QUOTA: Final = 1e12
TOPIC, GROUP = 2, 3
PREFIXED: Final = 4
ALLOW: Final = 3
ALL: Final = 2


class Certificates(NamedTuple):
    """PEM files: the authority's certificate, and the broker's key and certificate."""

    authority: Path
    broker: Path


def make_certificates(directory: Path) -> Certificates:
    """Errors: ImportError without the `secure` extra."""
    from ottla.cli.certificates import Authority, write_secret

    directory.mkdir(parents=True, exist_ok=True)
    authority = Authority.create()
    authority.save(directory)
    broker = directory / "broker.pem"
    write_secret(broker, authority.issue("broker", ["localhost", "127.0.0.1"], is_server=True))
    return Certificates(directory / "ca.pem", broker)


def client_settings(protocol: str, certificates: Certificates) -> dict[str, str]:
    """librdkafka's settings for a client of the secured listeners."""
    settings = {"security.protocol": protocol, "ssl.ca.location": str(certificates.authority)}
    if protocol == "SASL_SSL":
        settings |= {
            "sasl.mechanism": "PLAIN", "sasl.username": USER, "sasl.password": PASSWORD
        }  # fmt: skip
    return settings


def give_rights(cluster: Cluster) -> None:
    """The user may use topics and groups that begin with `bench`, within a large quota."""
    rights = [
        AclCreation(kind, "bench", PREFIXED, f"User:{USER}", "*", ALL, ALLOW)
        for kind in (TOPIC, GROUP)
    ]
    for result in cluster.request_controller(CreateAclsRequest(rights)).results:
        assert not result.error_code, result.error_message
    entry = EntryData(
        [EntityData("user", USER)],
        [OpData(key, QUOTA, False) for key in ("producer_byte_rate", "consumer_byte_rate")],
    )
    for answer in cluster.request_controller(AlterClientQuotasRequest([entry])).entries:
        assert not answer.error_code, answer.error_message

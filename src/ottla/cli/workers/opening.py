"""From options to a cluster one can ask."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ottla.cli.errors import CommandError
from ottla.cli.workers.failures import unreachable
from ottla.client.cluster import Cluster
from ottla.client.errors import CannotConnectError, ClientError, ConnectionLostError
from ottla.client.settings import Settings


@contextlib.contextmanager
def open_cluster(
    servers: str, properties: dict[str, str], *, timeout_ms: int | None = None
) -> Iterator[Cluster]:
    """A cluster for administration; nothing is connected yet.

    `properties` are Kafka's, as in `--command-config`; `timeout_ms` beats them.
    Errors: what the client raises inside the block leaves it as `CommandError`.
    """
    if timeout_ms is None:
        timeout_ms = int(properties.get("default.api.timeout.ms", "60000"))
    settings = Settings(
        client_id=properties.get("client.id", "ottla-admin"),
        request_timeout_ms=timeout_ms,
    )
    is_plain = properties.get("security.protocol", "PLAINTEXT").upper() == "PLAINTEXT"
    try:
        if not is_plain:
            from ottla.client.security import secured

            settings = secured(settings, properties)
        with Cluster(servers, settings) as cluster:
            yield cluster
    except CannotConnectError as error:
        raise unreachable(servers, str(error)) from None
    except ConnectionLostError as error:
        hint = (
            "; if it wants TLS or a user, give the properties with --command-config"
            if is_plain
            else ""
        )
        raise CommandError(f"{error}{hint}.") from None
    except ClientError as error:
        text = str(error)
        raise CommandError(f"{text[:1].upper()}{text[1:]}.") from None


def supports(cluster: Cluster, api_key: int, version: int = 0) -> bool:
    """Whether the cluster serves this version of an API."""
    oldest, newest = cluster.any_broker().api_versions().get(api_key, (0, -1))
    return oldest <= version <= newest

"""The raw client for what the console asks of Kafka beside the usual client library."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ottla.client.cluster import Cluster
from ottla.client.errors import (
    CannotConnectError,
    ClientError,
    ConnectionLostError,
    ResponseError,
    check,
)
from ottla.client.security import secured
from ottla.client.settings import Settings
from ottla.console.cluster import ClusterError, ClusterView
from ottla.wire.errors import ErrorCode

CONNECT_MS = 3_000
REQUEST_MS = 10_000

#: What error codes mean to a person, where their names say it badly.
MEANINGS = {
    ErrorCode.SECURITY_DISABLED: "The cluster has no authorizer, so nothing is forbidden to"
    " anybody: set authorizer.class.name on its brokers to use access lists.",
    ErrorCode.CLUSTER_AUTHORIZATION_FAILED: "This user may not do that on the cluster.",
    ErrorCode.ELECTION_NOT_NEEDED: "The preferred replica leads already.",
    ErrorCode.NO_REASSIGNMENT_IN_PROGRESS: "Nothing is being moved.",
}


def raw_client(cluster: ClusterView) -> Cluster:
    """A raw client of the same cluster; connects when first used. Close it."""
    settings = Settings(
        client_id="ottla-console", connect_timeout_ms=CONNECT_MS, request_timeout_ms=REQUEST_MS
    )
    properties = {key: str(value) for key, value in cluster.client_config.items()}
    return Cluster(cluster.bootstrap_servers, secured(settings, properties))


@contextlib.contextmanager
def raw_cluster(cluster: ClusterView) -> Iterator[Cluster]:
    """A raw client for the block. Errors: `ClusterError` with a sentence."""
    with words_for_errors(), raw_client(cluster) as client:
        yield client


@contextlib.contextmanager
def words_for_errors() -> Iterator[None]:
    """Errors of the raw client become `ClusterError`."""
    try:
        yield
    except ResponseError as error:
        known = MEANINGS.get(error.code) if isinstance(error.code, ErrorCode) else None
        raise ClusterError(known or error.message or str(error)) from None
    except (CannotConnectError, ConnectionLostError) as error:
        raise ClusterError(
            f"Kafka does not answer: {error}. Is its broker running, and can this machine reach it?"
        ) from None
    except ClientError as error:
        raise ClusterError(str(error)) from None


__all__ = ["check", "raw_client", "raw_cluster", "words_for_errors"]

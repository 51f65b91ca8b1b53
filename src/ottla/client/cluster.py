"""A Kafka cluster as its administrators need it: who to ask, and asking again.

Connections are opened when first needed and kept. Whatever moves (the
controller, a leader, a coordinator) is looked up, and looked up again when the
broker answers that it is not the one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, TypeVar

from ottla.client.connection import Connection
from ottla.client.errors import CannotConnectError, ClientError, ConnectionLostError, ResponseError
from ottla.client.settings import Settings, parse_bootstrap_servers
from ottla.wire.errors import ErrorCode
from ottla.wire.message import Message, Request
from ottla.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

R = TypeVar("R", bound=Message)

#: Answers after which the right broker is looked up again.
MOVED: Final = frozenset(
    {
        ErrorCode.NOT_CONTROLLER,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.LEADER_NOT_AVAILABLE,
    }
)
GROUP, TRANSACTION, SHARE = 0, 1, 2
RETRY_PAUSE_S: Final = 0.05


class Cluster:
    """The cluster behind some bootstrap servers (`host:port,host:port`).

    Nothing is connected before the first request. Errors: `SettingsError`
    when the text is no list of addresses.
    """

    def __init__(self, bootstrap_servers: str, settings: Settings | None = None) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.settings = settings or Settings()
        self._addresses = parse_bootstrap_servers(bootstrap_servers)
        self._connections: dict[tuple[str, int], Connection] = {}
        self._metadata: MetadataResponse | None = None

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def connect(self, host: str, port: int) -> Connection:
        """The kept connection to an address, or a new one."""
        connection = self._connections.get((host, port))
        if connection is None or connection.is_closed:
            connection = Connection(host, port, self.settings)
            self._connections[host, port] = connection
        return connection

    def any_broker(self) -> Connection:
        """A connection to some broker. Errors: `CannotConnectError` when none answers."""
        for connection in self._connections.values():
            if not connection.is_closed:
                return connection
        failures = []
        for host, port in self._addresses:
            try:
                return self.connect(host, port)
            except CannotConnectError as error:
                failures.append(str(error))
        raise CannotConnectError("; ".join(failures))

    def metadata(
        self, topics: Iterable[str] | None = None, *, auto_create: bool = False
    ) -> MetadataResponse:
        """Fresh metadata: of all topics, or of the named ones."""
        named = None if topics is None else [MetadataRequestTopic(name=t) for t in topics]
        self._metadata = self.request(MetadataRequest(named, auto_create))
        return self._metadata

    def brokers(self) -> list[MetadataResponseBroker]:
        """The brokers, in the order of their ids."""
        return sorted(self.metadata([]).brokers, key=lambda b: b.node_id)

    def broker(self, node_id: int) -> Connection:
        """A connection to the broker of this id. Errors: `ClientError` when there is none."""
        for attempt in (self._metadata, None):
            metadata = attempt or self.metadata([])
            for broker in metadata.brokers:
                if broker.node_id == node_id:
                    return self.connect(broker.host, broker.port)
        raise ClientError(f"the cluster has no broker {node_id}")

    def controller(self) -> Connection:
        """A connection to the broker that takes administrative requests."""
        node_id = self.metadata([]).controller_id
        if node_id < 0:
            raise ResponseError(ErrorCode.NOT_CONTROLLER, "the cluster has no controller now")
        return self.broker(node_id)

    def topic(self, name: str) -> MetadataResponseTopic:
        """Metadata of one topic. Errors: `ResponseError` if it has none."""
        (topic,) = self.metadata([name]).topics
        if topic.error_code:
            raise ResponseError(topic.error_code, f"topic {name!r}")
        return topic

    def partition(self, topic: str, index: int) -> MetadataResponsePartition:
        """Metadata of one partition. Errors: `ResponseError` if it has none."""
        for partition in self.topic(topic).partitions:
            if partition.partition_index == index:
                return partition
        raise ResponseError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"topic {topic!r} has no partition {index}"
        )

    def leader(self, topic: str, index: int) -> Connection:
        """A connection to the leader of a partition."""
        partition = self.partition(topic, index)
        if partition.leader_id < 0:
            raise ResponseError(
                ErrorCode.LEADER_NOT_AVAILABLE, f"{topic}-{index} has no leader now"
            )
        return self.broker(partition.leader_id)

    def coordinator(self, key: str, key_type: int = GROUP) -> Connection:
        """A connection to the coordinator of a group (or transaction, or share key)."""
        from ottla.wire.messages.find_coordinator import FindCoordinatorRequest

        request = FindCoordinatorRequest(key=key, key_type=key_type, coordinator_keys=[key])
        response = self.request(request)
        found = response.coordinators[0] if response.coordinators else response
        if found.error_code:
            raise ResponseError(found.error_code, found.error_message)
        return self.connect(found.host, found.port)

    def request(
        self, message: Request[R], *, at_least: int = 0, timeout_ms: int | None = None
    ) -> R:
        """Ask any broker."""
        return self.retry(
            lambda: self.any_broker().request(message, at_least=at_least, timeout_ms=timeout_ms)
        )

    def request_controller(
        self, message: Request[R], *, at_least: int = 0, timeout_ms: int | None = None
    ) -> R:
        """Ask the controller, again when another has become it."""
        return self.retry(
            lambda: self.controller().request(message, at_least=at_least, timeout_ms=timeout_ms)
        )

    def request_coordinator(
        self,
        key: str,
        message: Request[R],
        *,
        key_type: int = GROUP,
        at_least: int = 0,
        timeout_ms: int | None = None,
    ) -> R:
        """Ask the coordinator of a group or a transactional id, again when it has moved."""
        return self.retry(
            lambda: self.coordinator(key, key_type).request(
                message, at_least=at_least, timeout_ms=timeout_ms
            )
        )

    def retry(self, ask: Callable[[], R]) -> R:
        """Ask until the answer is not that somebody else should be asked.

        Top-level error codes count, and `ResponseError` raised by the look-up.
        A lost connection is made anew once. The last answer is returned as it
        is when the request time-out has passed.
        """
        deadline = time.monotonic() + self.settings.request_timeout_ms / 1000
        may_reconnect = True
        while True:
            try:
                response = ask()
            except ResponseError as error:
                if error.code not in MOVED or time.monotonic() > deadline:
                    raise
            except ConnectionLostError:
                if not may_reconnect:
                    raise
                may_reconnect = False
                continue
            else:
                code = getattr(response, "error_code", 0)
                if code not in MOVED or time.monotonic() > deadline:
                    return response
            time.sleep(RETRY_PAUSE_S)

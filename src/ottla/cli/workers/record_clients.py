"""Producers and consumers that say at once when no broker can be reached.

librdkafka retries for ever and logs to stderr; a person who mistyped a port
wants one sentence within a second or two instead.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Producer, ShareConsumer

from ottla.cli.connection_options import librdkafka_settings
from ottla.cli.errors import CommandError
from ottla.cli.workers.failures import unreachable
from ottla.client.errors import SettingsError
from ottla.client.librdkafka_settings import PRODUCER_ONLY
from ottla.client.settings import parse_bootstrap_servers

#: How long the first connection may fail before the command gives up. More
#: than one attempt, since `localhost` has two addresses and one may be deaf.
PATIENCE_S: Final = 1.2
#: After a client has said that no broker answers, how often we look ourselves, and for how long.
LOOK_EVERY_S: Final = 1.0
LOOK_S: Final = 2.0


class Reachability:
    """Watches a client's errors; `check` raises once no broker was ever reached."""

    def __init__(self, servers: str) -> None:
        self.servers = servers
        self.was_reached = False
        self.reason = ""
        self.unreachable = False
        self.fatal: KafkaError | None = None
        self._is_down = False
        self._started = time.monotonic()
        self._next_look = self._started + PATIENCE_S + LOOK_EVERY_S

    def on_error(self, error: KafkaError) -> None:
        """Take note of an error event of the client."""
        code = error.code()
        if error.fatal() or code in (KafkaError._AUTHENTICATION, KafkaError._SSL):
            self.fatal = error
        elif code in (KafkaError._TRANSPORT, KafkaError._RESOLVE):
            self.reason = error.str()
        elif code == KafkaError._ALL_BROKERS_DOWN and not self.was_reached:
            self._is_down = True
            self.unreachable = time.monotonic() - self._started > PATIENCE_S

    def check(self) -> None:
        """Raise `CommandError` when there is no point in waiting any longer."""
        if self.fatal is not None:
            raise CommandError(f"The client gave up on {self.servers}: {self.fatal.str()}.")
        if self.was_reached:
            return
        if self._is_down and not self.unreachable and time.monotonic() > self._next_look:
            # librdkafka 2.16 tries again and again, but may tell of the first tries only.
            self._is_down = self.unreachable = not somebody_listens(self.servers)
            self._next_look = time.monotonic() + LOOK_EVERY_S
        if self.unreachable:
            raise unreachable(self.servers, self.reason)


def somebody_listens(servers: str) -> bool:
    """Whether one of these addresses (`host:port,…`) takes connections, as far as can be known."""
    try:
        addresses = parse_bootstrap_servers(servers)
    except SettingsError:
        return True  # librdkafka may read them all the same
    for address in addresses:
        with contextlib.suppress(OSError):
            socket.create_connection(address, LOOK_S).close()
            return True
    return False


def open_producer(
    servers: str, properties: dict[str, str], defaults: dict[str, Any]
) -> tuple[Producer, Reachability]:
    """A producer; `properties` are Kafka's and win over `defaults`, librdkafka's."""
    watch = Reachability(servers)
    settings: dict[str, Any] = {
        "client.id": "console-producer",
        # As Java's clients choose, so that a key is in the same partition for all.
        "partitioner": "murmur2_random",
        **_common(servers, watch),
        **defaults,
        **librdkafka_settings(properties),
    }
    return _open(Producer, settings), watch


def open_consumer(
    servers: str, properties: dict[str, str], defaults: dict[str, Any]
) -> tuple[Consumer, Reachability]:
    """A consumer; `properties` are Kafka's and win over `defaults`, librdkafka's."""
    watch = Reachability(servers)
    known = {key: value for key, value in properties.items() if key not in PRODUCER_ONLY}
    settings: dict[str, Any] = {
        "client.id": "console-consumer",
        **_common(servers, watch),
        **defaults,
        **librdkafka_settings(known),
    }
    return _open(Consumer, settings), watch


def open_share_consumer(
    servers: str, properties: dict[str, str], defaults: dict[str, Any]
) -> tuple[ShareConsumer, Reachability]:
    """A member of a share group, told as `open_consumer` is."""
    watch = Reachability(servers)
    # Consumers' settings that librdkafka does not take for this kind.
    known = {
        key: value
        for key, value in properties.items()
        if key not in PRODUCER_ONLY and key not in ("auto.offset.reset", "enable.auto.commit")
    }
    settings: dict[str, Any] = {
        "client.id": "console-share-consumer",
        **_common(servers, watch),
        **defaults,
        **librdkafka_settings(known),
    }
    return _open(ShareConsumer, settings), watch


def _common(servers: str, watch: Reachability) -> dict[str, Any]:
    return {
        "bootstrap.servers": servers,
        "error_cb": watch.on_error,
        "log_level": 0,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
    }


def _open(kind: type[Any], settings: dict[str, Any]) -> Any:
    from confluent_kafka import KafkaException

    try:
        return kind(settings)
    except KafkaException as error:
        raise CommandError(f"A client property is not usable: {error.args[0].str()}.") from None

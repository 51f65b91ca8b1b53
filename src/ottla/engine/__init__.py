"""Where to get a Kafka from: the embedded broker, a running cluster, or Apache Kafka nodes.

    with obtain("apache:3") as kafka:
        print(kafka.bootstrap_servers)

Whoever needs a Kafka says in one word which kind, and gets an address that is
ready to be used and goes away with the `with` statement.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ottla.engine.errors import EngineError

__all__ = ["EngineError", "Kafka", "obtain"]


class Kafka(NamedTuple):
    """A Kafka that answers at `bootstrap_servers`; `kind`: `embedded`, `apache`, `cluster`."""

    kind: str
    bootstrap_servers: str


@contextlib.contextmanager
def obtain(source: str, progress: Callable[[str], None] = lambda _: None) -> Iterator[Kafka]:
    """A Kafka for the length of a `with` statement.

    `source` is `embedded` (a throw-away broker in this process), `apache` (one
    node of Apache Kafka), `apache:3` (so many), or the addresses of a running
    cluster. Errors: `EngineError`.
    """
    if source == "embedded":
        from ottla.embedded import Broker, StartError

        try:
            broker = Broker().start()
        except StartError as error:
            raise EngineError(str(error)) from None
        try:
            yield Kafka(source, broker.bootstrap_servers)
        finally:
            broker.stop()
        return
    kind, _, count = source.partition(":")
    if kind == "apache" and (not count or count.isdecimal()):
        from ottla.engine.apache import ApacheKafka

        with ApacheKafka(brokers=int(count or "1"), progress=progress) as apache:
            yield Kafka(kind, apache.bootstrap_servers)
        return
    from ottla.client import ClientError, Cluster

    try:
        with Cluster(source) as cluster:
            cluster.brokers()
    except ClientError as error:
        raise EngineError(str(error)) from None
    yield Kafka("cluster", source)

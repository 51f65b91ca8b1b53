"""The fixtures. Nothing is started, and little imported, until one is used.

Two doors: by default a throw-away embedded broker is started once for the
session (with pytest-xdist, once for each worker); with
`--kafka-bootstrap-servers` (or KAFKA_TEST_BOOTSTRAP_SERVERS) the tests use
that Kafka instead, for example Apache Kafka.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient

    from ottla.testing import KafkaForTests

OPTION = "--kafka-bootstrap-servers"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("ottla", "Kafka").addoption(
        OPTION,
        metavar="HOST:PORT",
        default=os.environ.get("KAFKA_TEST_BOOTSTRAP_SERVERS"),
        help="use this Kafka for the kafka fixtures instead of an embedded broker",
    )


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[KafkaForTests]:
    """A `KafkaForTests` for this session or worker, ready: address, clients, topics and waits.

    `kafka.bootstrap_servers` is its address. Errors: `ottla.StartError`.
    """
    from ottla.testing import KafkaForTests

    with KafkaForTests.start(bootstrap_servers=pytestconfig.getoption(OPTION)) as running:
        yield running


@pytest.fixture
def kafka_broker_factory() -> Iterator[Callable[..., KafkaForTests]]:
    """Call it for a broker of this test's own: `kafka_broker_factory({"num.partitions": "3"})`.

    Gives a `KafkaForTests`. Its first argument is Kafka's configuration, as
    text: security, limits, `ottla.protocol`; `client` are librdkafka's settings
    for the clients, such as a user and a password. The brokers end with the
    test. Errors: `ottla.StartError`.
    """
    from ottla.testing import KafkaForTests

    with contextlib.ExitStack() as stack:

        def make(
            config: dict[str, str] | None = None, client: dict[str, str] | None = None
        ) -> KafkaForTests:
            return stack.enter_context(KafkaForTests.start(config, client=client))

        yield make


@pytest.fixture
def kafka_topic(kafka: KafkaForTests) -> str:
    """The name of a fresh topic with one partition."""
    return kafka.new_topic()


@pytest.fixture
def kafka_producer(kafka: KafkaForTests) -> Iterator[Producer]:
    """A confluent-kafka producer; what is queued at the end of the test is delivered (10 s)."""
    producer = kafka.producer()
    yield producer
    producer.flush(10)


@pytest.fixture
def kafka_consumer(kafka: KafkaForTests) -> Iterator[Callable[..., Consumer]]:
    """Call it for a consumer that reads topics from the beginning, in a group of its own.

    `kafka_consumer("orders", group_id="billing")` gives a confluent-kafka consumer; keywords are
    its settings, with `_` for `.`. All are closed with the test.
    """
    consumers: list[Consumer] = []

    def make(*topics: str, **config: Any) -> Consumer:
        consumers.append(kafka.consumer(*topics, **config))
        return consumers[-1]

    yield make
    for consumer in consumers:
        with contextlib.suppress(RuntimeError):  # closed by the test already
            consumer.close()


@pytest.fixture
def kafka_admin(kafka: KafkaForTests) -> AdminClient:
    """A confluent-kafka admin client."""
    return kafka.admin


@pytest.fixture
def kafka_async_producer(
    kafka: KafkaForTests,
) -> Callable[..., contextlib.AbstractAsyncContextManager[Any]]:
    """`async with kafka_async_producer() as producer:` a started AIOKafkaProducer.

    Keywords are aiokafka's. It is flushed and stopped at the end of the block.
    """

    @contextlib.asynccontextmanager
    async def make(**config: Any) -> AsyncIterator[Any]:
        from aiokafka import AIOKafkaProducer

        async with AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers, **config
        ) as producer:
            yield producer

    return make


@pytest.fixture
def kafka_async_consumer(
    kafka: KafkaForTests,
) -> Callable[..., contextlib.AbstractAsyncContextManager[Any]]:
    """`async with kafka_async_consumer("orders") as consumer:` a started AIOKafkaConsumer.

    It reads from the beginning; keywords are aiokafka's (`group_id="billing"`).
    """

    @contextlib.asynccontextmanager
    async def make(*topics: str, **config: Any) -> AsyncIterator[Any]:
        from aiokafka import AIOKafkaConsumer

        settings = {"auto_offset_reset": "earliest", **config}
        async with AIOKafkaConsumer(
            *topics, bootstrap_servers=kafka.bootstrap_servers, **settings
        ) as consumer:
            yield consumer

    return make

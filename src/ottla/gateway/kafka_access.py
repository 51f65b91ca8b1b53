"""The gateway's Kafka clients, wrapped for use from asyncio.

One admin client, one producer and one metadata consumer serve all requests;
they are created when first needed, so that a gateway starts before its Kafka.
Blocking calls run in a small thread pool of our own. Errors of the client
library leave this module as `RestError`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from ottla.gateway.errors import RestError, from_kafka, login_refused, topic_not_found
from ottla.gateway.raw_calls import RawCalls
from ottla.gateway.settings import GatewaySettings

T = TypeVar("T")

EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]

#: librdkafka logs a line for each refused connection; the answer to the
#: request already says so.
quiet_logger = logging.getLogger("ottla.gateway.librdkafka")
quiet_logger.addHandler(logging.NullHandler())
quiet_logger.propagate = False

WORKER_THREADS = 16
#: Codes of failures behind which a refused login may hide.
NO_ANSWER = (50003, 50302)


class KafkaAccess:
    """Asynchronous access to one Kafka cluster."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.pool = ThreadPoolExecutor(WORKER_THREADS, thread_name_prefix="gateway-kafka")
        self.raw = RawCalls(settings)
        #: Set when the gateway is asked to stop, for answers that would never end.
        self.stopping = asyncio.Event()
        self._lock = threading.Lock()
        self._admin: AdminClient | None = None
        self._reader: Consumer | None = None
        self._cluster_id: str | None = None
        #: What the brokers last said of a login that they refused.
        self._refusal: str | None = None

    @property
    def is_stopping(self) -> bool:
        return self.stopping.is_set()

    @property
    def timeout_s(self) -> float:
        return self.settings.call_timeout_ms / 1000

    def admin(self) -> AdminClient:
        with self._lock:
            if self._admin is None:
                config = {**self.settings.client(), "error_cb": self._hear}
                self._admin = AdminClient(config, logger=quiet_logger)
            return self._admin

    def _hear(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTHENTICATION:
            self._refusal = error.str()

    def _failure(self, error: KafkaException | None) -> RestError:
        """What to answer for a call that failed (None: that had no answer in time).

        The client library goes on trying when its login is refused, and the call
        only knows that nobody answered: why, it tells aside.
        """
        failure = RestError(
            503, 50302, f"No answer from Kafka at {self.settings.bootstrap_servers}."
        )
        if error is not None:
            failure = from_kafka(error)
        if failure.error_code in NO_ANSWER:
            self.admin().poll(0)
            if self._refusal is not None:
                return login_refused(self._refusal)
        return failure

    def reader(self) -> Consumer:
        """A consumer outside any group's protocol, for offsets and single reads."""
        with self._lock:
            if self._reader is None:
                config = self.settings.client(
                    {
                        "group.id": "ottla-gateway-reader",
                        "enable.auto.commit": False,
                        "enable.auto.offset.store": False,
                    }
                )
                self._reader = Consumer(config, logger=quiet_logger)
            return self._reader

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run a blocking client call in the pool."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.pool, function, *args)
        except KafkaException as error:
            raise self._failure(error) from None

    async def wait(self, future: Future[T]) -> T:
        """Wait for one of the admin client's futures."""
        try:
            result = await asyncio.wait_for(asyncio.wrap_future(future), self.timeout_s + 5)
        except KafkaException as error:
            raise self._failure(error) from None
        except TimeoutError:
            raise self._failure(None) from None
        self._refusal = None
        return result

    async def metadata(self) -> Any:
        """Metadata of all topics and brokers."""
        admin = self.admin()
        found = await self.call(lambda: admin.list_topics(timeout=self.timeout_s))
        self._refusal = None
        return found

    async def topic(self, name: str) -> Any:
        """Description of one topic. Errors: 40401 when there is none.

        Asked for with DescribeTopics, because a plain metadata request for a
        topic that does not exist may create it.
        """
        try:
            futures = self.admin().describe_topics(
                TopicCollection([name]), request_timeout=self.timeout_s
            )
            return await self.wait(futures[name])
        except (ValueError, TypeError):
            raise topic_not_found() from None
        except RestError as error:
            if error.error_code in (40403, 40002):
                raise topic_not_found() from None
            raise

    async def describe_cluster(self) -> Any:
        return await self.wait(self.admin().describe_cluster(request_timeout=self.timeout_s))

    async def cluster_id(self) -> str:
        """The cluster's id; asked for once and remembered."""
        if self._cluster_id is None:
            self._cluster_id = str((await self.describe_cluster()).cluster_id)
        return self._cluster_id

    async def configs(self, kind: str, name: str) -> dict[str, Any]:
        """Configuration entries of a "topic" or "broker" by key."""
        resource = ConfigResource(getattr(ResourceType, kind.upper()), name)
        futures = self.admin().describe_configs([resource], request_timeout=self.timeout_s)
        entries: dict[str, Any] = await self.wait(futures[resource])
        return entries

    async def offsets(
        self, partitions: Iterable[tuple[str, int]], spec: OffsetSpec
    ) -> dict[tuple[str, int], int]:
        """Offsets by (topic, partition) at the `EARLIEST` or `LATEST` end.

        Partitions that Kafka refuses are left out.
        """
        wanted = {TopicPartition(t, p): spec for t, p in partitions}
        if not wanted:
            return {}
        futures = self.admin().list_offsets(
            wanted,
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=self.timeout_s,
        )
        found: dict[tuple[str, int], int] = {}
        for partition, future in futures.items():
            try:
                found[partition.topic, partition.partition] = (await self.wait(future)).offset
            except RestError as error:
                if error.status == 503:
                    raise
        return found

    async def gather(self, calls: Iterable[Awaitable[T]]) -> list[T]:
        return list(await asyncio.gather(*calls))

    def close(self) -> None:
        with self._lock:
            reader, self._reader, self._admin = self._reader, None, None
        if reader is not None:
            reader.close()
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.raw.close()

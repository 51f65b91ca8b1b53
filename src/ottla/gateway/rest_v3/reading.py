"""Reading records without a consumer instance: a page of a partition, a live tail.

Neither is in the original. No group, no state between requests: a page says
where the next one begins, and an event of the tail carries the positions a
client that lost its connection continues at.
"""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import orjson
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ottla.gateway.errors import RestError, bad_request, from_kafka
from ottla.gateway.kafka_access import EARLIEST, LATEST, KafkaAccess, quiet_logger
from ottla.gateway.rest_v2.instances import header_pairs, rough_size
from ottla.gateway.rest_v3.resources import (
    Place,
    number_in_path,
    number_in_query,
    place_of,
    unknown_topic_or_partition,
    v3_json,
)

TOPIC: Final = "/v3/clusters/{cluster}/topics/{topic}"
FORMATS: Final = ("auto", "binary", "json", "string")
IDLE_READERS: Final = 4
MAX_TAILS: Final = 64
KEEP_ALIVE_S: Final = 15.0
TAIL_POLL_S: Final = 0.5
MAX_OFFSET: Final = (1 << 63) - 1


def shown(data: bytes | None, format_: str) -> dict[str, Any] | None:
    """Bytes as `{type, data}`; `auto` takes JSON, then text, then base64."""
    if data is None:
        return None
    if format_ in ("auto", "json"):
        try:
            return {"type": "JSON", "data": orjson.loads(data)}
        except orjson.JSONDecodeError:
            pass
    if format_ != "binary":
        try:
            return {"type": "STRING", "data": data.decode()}
        except UnicodeDecodeError:
            pass
    return {"type": "BINARY", "data": base64.b64encode(data).decode()}


def record_view(message: Message, format_: str) -> dict[str, Any]:
    kind, timestamp = message.timestamp()
    return {
        "topic_name": message.topic(),
        "partition_id": message.partition(),
        "offset": message.offset(),
        "timestamp": timestamp,
        "timestamp_type": {1: "CREATE_TIME", 2: "LOG_APPEND_TIME"}.get(kind),
        "headers": [
            {"name": n, "value": None if v is None else base64.b64encode(v).decode()}
            for n, v in header_pairs(message)
        ],
        "key": shown(message.key(), format_),
        "value": shown(message.value(), format_),
    }


def format_in_query(request: Request) -> str:
    format_ = request.query_params.get("format", "auto").lower()
    if format_ not in FORMATS:
        raise bad_request(f"format must be one of {', '.join(FORMATS)}")
    return format_


class Readers:
    """Consumers without a group's protocol, kept for the next reader."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self.kafka = kafka
        self._idle: list[Consumer] = []
        self._lock = threading.Lock()

    def take(self) -> Consumer:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Consumer(
            self.kafka.settings.client(
                {
                    "group.id": "ottla-gateway-reader",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "error",
                    "enable.partition.eof": True,
                    "queued.max.messages.kbytes": 8192,
                    "fetch.wait.max.ms": 100,
                    "isolation.level": "read_committed",
                }
            ),
            logger=quiet_logger,
        )

    def give_back(self, consumer: Consumer) -> None:
        consumer.unassign()
        with self._lock:
            if len(self._idle) < IDLE_READERS:
                self._idle.append(consumer)
                return
        consumer.close()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for consumer in idle:
            consumer.close()

    def read(
        self, where: TopicPartition, limit: int, max_bytes: int, timeout_s: float
    ) -> list[Message]:
        """Records from an offset on, until the limit, the end of the log or the time is up."""
        consumer = self.take()
        found: list[Message] = []
        size = 0
        deadline = time.monotonic() + timeout_s
        try:
            consumer.assign([where])
            while len(found) < limit and (left := deadline - time.monotonic()) > 0:
                for message in consumer.consume(min(limit - len(found), 500), min(left, 0.1)):
                    error = message.error()
                    if error is None:
                        size += rough_size(message)
                        if found and size > max_bytes:
                            return found
                        found.append(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        return found
                    else:
                        raise KafkaException(error)
        finally:
            self.give_back(consumer)
        return found


class ReadingRoutes:
    """Handlers of `GET …/partitions/{p}/records` and `GET …/records:tail`."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self.kafka = kafka
        self.readers = Readers(kafka)
        self.tails = 0
        self.tail_pool = ThreadPoolExecutor(MAX_TAILS, thread_name_prefix="gateway-tail")

    def routes(self) -> list[Route]:
        return [
            Route(f"{TOPIC}/partitions/{{partition}}/records", self.page, methods=["GET"]),
            Route(f"{TOPIC}/records:tail", self.tail, methods=["GET"]),
        ]

    def close(self) -> None:
        self.tail_pool.shutdown(wait=True)
        self.readers.close()

    async def _partitions(self, request: Request) -> tuple[Place, str, list[int]]:
        place = await place_of(self.kafka, request)
        try:
            topic = await self.kafka.topic(request.path_params["topic"])
        except RestError as error:
            if error.error_code == 40401:
                raise unknown_topic_or_partition() from None
            raise
        return place, topic.name, sorted(p.id for p in topic.partitions)

    async def page(self, request: Request) -> Response:
        """Records of one partition, with where the log begins and ends and the next page."""
        number = number_in_path(request, "partition")
        format_ = format_in_query(request)
        limit = number_in_query(request, "limit", 100, 1, 10_000)
        timeout_ms = number_in_query(request, "timeout", 5000, 1, 60_000)
        most = self.kafka.settings.consumer_request_max_bytes
        max_bytes = number_in_query(request, "max_bytes", most, 1, most)
        offset = number_in_query(request, "offset", -1, 0, MAX_OFFSET)
        timestamp = number_in_query(request, "timestamp", -1, 0, MAX_OFFSET)
        place, topic, numbers = await self._partitions(request)
        if number not in numbers:
            raise unknown_topic_or_partition()
        where = (topic, number)
        first = (await self.kafka.offsets([where], EARLIEST)).get(where, 0)
        end = (await self.kafka.offsets([where], LATEST)).get(where, 0)
        if offset < 0 and timestamp >= 0:
            offset = await self._offset_at(topic, number, timestamp, end)
        start = max(offset, first)
        messages: list[Message] = []
        if start < end:
            messages = await self.kafka.call(
                self.readers.read,
                TopicPartition(topic, number, start),
                limit,
                max_bytes,
                timeout_ms / 1000,
            )
        last = messages[-1].offset() if messages else None
        following = min(start, end) if last is None else last + 1
        segments = ("topics", topic, "partitions", number, "records")
        answer = place.collection(
            "KafkaRecordList", segments, [record_view(m, format_) for m in messages]
        )
        answer["metadata"]["next"] = (
            f"{place.url(*segments)}?offset={following}&limit={limit}&format={format_}"
        )
        answer.update(beginning_offset=first, end_offset=end, next_offset=following)
        return v3_json(answer)

    async def _offset_at(self, topic: str, number: int, timestamp: int, end: int) -> int:
        reader = self.kafka.reader()
        asked = [TopicPartition(topic, number, timestamp)]
        found = await self.kafka.call(
            lambda: reader.offsets_for_times(asked, timeout=self.kafka.timeout_s)
        )
        offset: int = found[0].offset
        return end if offset < 0 else offset

    async def tail(self, request: Request) -> Response:
        """Server-Sent Events: each record as it arrives."""
        format_ = format_in_query(request)
        _, topic, numbers = await self._partitions(request)
        if "partition" in request.query_params:
            wanted = number_in_query(request, "partition", 0, 0, 1 << 31)
            if wanted not in numbers:
                raise unknown_topic_or_partition()
            numbers = [wanted]
        begin = request.query_params.get("from", "latest")
        if begin not in ("latest", "earliest"):
            raise bad_request("from must be latest or earliest")
        start = OFFSET_END if begin == "latest" else OFFSET_BEGINNING
        if start == OFFSET_END:
            # Named now, so that a record produced after our answer is not missed.
            ends = await self.kafka.offsets([(topic, n) for n in numbers], LATEST)
            positions = {n: ends.get((topic, n), start) for n in numbers}
        else:
            positions = dict.fromkeys(numbers, start)
        positions.update(positions_of(request.headers.get("last-event-id", ""), numbers))
        if self.tails >= MAX_TAILS:
            raise RestError(429, 42901, f"There are {MAX_TAILS} live tails already.")
        events = self._events(topic, positions, format_)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def _events(
        self, topic: str, positions: dict[int, int], format_: str
    ) -> AsyncIterator[bytes]:
        if self.tails >= MAX_TAILS:
            return
        self.tails += 1
        loop = asyncio.get_running_loop()
        consumer = self.readers.take()
        polled: asyncio.Future[list[Message]] | None = None
        try:
            consumer.assign([TopicPartition(topic, n, o) for n, o in positions.items()])
            yield b": tail of " + orjson.dumps(topic) + b"\n\n"
            last_written = time.monotonic()
            while not self.kafka.is_stopping:
                polled = loop.run_in_executor(self.tail_pool, consumer.consume, 500, TAIL_POLL_S)
                text = events_of(await asyncio.shield(polled), positions, format_)
                if not text and time.monotonic() - last_written < KEEP_ALIVE_S:
                    continue
                last_written = time.monotonic()
                yield text or b": idle\n\n"
        finally:
            self.tails -= 1
            if polled is None or polled.done():
                self._release(consumer)
            else:
                # The client left during a poll; the consumer is busy until it ends.
                polled.add_done_callback(lambda _: self._release(consumer))

    def _release(self, consumer: Consumer) -> None:
        if self.kafka.is_stopping:
            consumer.close()
        else:
            self.readers.give_back(consumer)


def positions_of(last_event_id: str, numbers: list[int]) -> dict[int, int]:
    """Positions out of an event's id, "partition:offset,…"; what is not ours is left out."""
    found: dict[int, int] = {}
    for pair in last_event_id.split(","):
        partition, _, offset = pair.partition(":")
        if partition.isdigit() and offset.isdigit() and int(partition) in numbers:
            found[int(partition)] = int(offset)
    return found


def events_of(messages: list[Message], positions: dict[int, int], format_: str) -> bytes:
    """The records as events; `positions` is moved behind them."""
    parts: list[bytes] = []
    for message in messages:
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                fault = from_kafka(error)
                body = {"error_code": fault.error_code, "message": fault.message}
                parts.append(b"event: error\ndata: " + orjson.dumps(body) + b"\n\n")
            continue
        partition, offset = message.partition(), message.offset()
        if partition is None or offset is None:
            continue
        positions[partition] = offset + 1
        known = ",".join(f"{n}:{o}" for n, o in sorted(positions.items()) if o >= 0)
        data = orjson.dumps(record_view(message, format_))
        parts.append(b"id: " + known.encode() + b"\nevent: record\ndata: " + data + b"\n\n")
    return b"".join(parts)

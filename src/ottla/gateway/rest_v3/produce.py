"""API v3: producing records, streamed or in a small batch.

`POST …/records` reads JSON objects from the request for as long as the client
sends them, and writes one result for each in the same order while more come
in. `POST …/records:batch` answers 207 with successes and failures by id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ottla.gateway.errors import RestError, bad_request, no_schema_registry, unprocessable
from ottla.gateway.json_bodies import (
    check_fields,
    compact_json,
    from_base64,
    list_of_objects,
    parse_json,
    read_object,
)
from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.producing import Delivery, OutgoingRecord, RecordProducer, describe_failure
from ottla.gateway.rest_v3.json_stream import (
    NotAnObjectError,
    ObjectCutter,
    ObjectTooLongError,
)
from ottla.gateway.rest_v3.resources import place_of, v3_json

TOPIC: Final = "/v3/clusters/{cluster}/topics/{topic}"
RECORD_FIELDS: Final = ("partition_id", "headers", "key", "value", "timestamp")
DATA_FIELDS: Final = (
    "type",
    "data",
    "subject",
    "subject_name_strategy",
    "schema_id",
    "schema_version",
    "schema",
)
#: Pieces of a request whose deliveries may be outstanding; the client's
#: sending slows down beyond it.
MAX_PIECES_IN_FLIGHT: Final = 64


def payload(container: dict[str, Any], name: str) -> bytes | None:
    """Bytes of a record's `key` or `value`. Errors: 422, 42203, 42206."""
    part = container.get(name)
    if part is None:
        return None
    if not isinstance(part, dict):
        raise unprocessable(f"{name} must be an object with type and data")
    check_fields(part, DATA_FIELDS)
    kind, data = part.get("type"), part.get("data")
    if kind == "JSON":
        return compact_json(data)
    if data is None and kind in (None, "BINARY", "STRING"):
        return None
    if kind == "BINARY":
        return from_base64(data, f"{name}.data")
    if kind == "STRING":
        if not isinstance(data, str):
            raise unprocessable(f"{name}.data must be a text when the type is STRING")
        return encoded(data, f"{name}.data")
    if kind is None or kind in ("AVRO", "JSONSCHEMA", "PROTOBUF"):
        raise no_schema_registry()
    raise unprocessable(f"{name}.type must be BINARY, JSON or STRING, not {kind}")


def encoded(text: str, what: str) -> bytes:
    """Errors: 422 for half a surrogate pair, which JSON can carry and UTF-8 cannot."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise unprocessable(f"{what} is not valid Unicode text") from None


def timestamp_ms(value: object) -> int:
    """Milliseconds since 1970 of a number or an ISO-8601 text; 0, "now", for null."""
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62:
        return value
    if isinstance(value, str):
        try:
            return max(0, int(datetime.fromisoformat(value).timestamp() * 1000))
        except (ValueError, OverflowError):
            raise unprocessable(f"timestamp is not an ISO-8601 time: {value}") from None
    raise unprocessable("timestamp must be an ISO-8601 time or milliseconds since 1970")


def record_of(given: dict[str, Any]) -> OutgoingRecord:
    """The record that one JSON object describes. Errors: 422."""
    partition = given.get("partition_id")
    if partition is not None and (
        not isinstance(partition, int)
        or isinstance(partition, bool)
        or not 0 <= partition < 1 << 31
    ):
        raise unprocessable("partition_id must be a number that is at least 0")
    headers: list[tuple[str, bytes | None]] = []
    for header in list_of_objects(given, "headers", ("name", "value"), required=False):
        name = header.get("name")
        if not isinstance(name, str) or "\0" in name:
            raise unprocessable("a header's name must be a text")
        encoded(name, "a header's name")
        headers.append((name, from_base64(header.get("value"), "a header's value")))
    return OutgoingRecord(
        key=payload(given, "key"),
        value=payload(given, "value"),
        partition=partition,
        headers=headers or None,
        timestamp_ms=timestamp_ms(given.get("timestamp")),
    )


def iso_time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def part_view(part: object, data: bytes | None) -> dict[str, Any] | None:
    if not isinstance(part, dict):
        return None
    return {"type": part.get("type") or "BINARY", "size": len(data or b"")}


def failure(code: int, message: str) -> dict[str, Any]:
    return {"error_code": code, "message": message}


class Produced:
    """Objects of one piece of a request, each a record on its way or a fault."""

    def __init__(self, cluster: str, topic: str) -> None:
        self.cluster = cluster
        self.topic = topic
        self.entries: list[tuple[dict[str, Any], OutgoingRecord] | RestError] = []

    def add(self, given: object, fields: tuple[str, ...] = RECORD_FIELDS) -> None:
        try:
            if not isinstance(given, dict):
                raise bad_request("A record must be a JSON object.")
            check_fields(given, fields)
            self.entries.append((given, record_of(given)))
        except RestError as error:
            self.entries.append(error)

    def records(self) -> list[OutgoingRecord]:
        return [e[1] for e in self.entries if not isinstance(e, RestError)]

    def results(self, deliveries: Sequence[Delivery]) -> list[dict[str, Any]]:
        """One result for each object, in order."""
        remaining = iter(deliveries)
        found = []
        for entry in self.entries:
            if isinstance(entry, RestError):
                found.append(failure(entry.error_code, entry.message))
                continue
            given, record = entry
            delivery = next(remaining)
            if delivery.error is not None:
                found.append(failure(*describe_failure(delivery.error)))
                continue
            found.append(
                {
                    "error_code": 200,
                    "cluster_id": self.cluster,
                    "topic_name": self.topic,
                    "partition_id": delivery.partition,
                    "offset": delivery.offset,
                    "timestamp": iso_time(delivery.timestamp_ms or 0),
                    "key": part_view(given.get("key"), record.key),
                    "value": part_view(given.get("value"), record.value),
                }
            )
        return found


#: A piece whose records are on their way, and the deliveries to wait for.
Piece = tuple[Produced, Awaitable[list[Delivery]]]


class StreamedProduce:
    """The response that reads its request while it is being sent."""

    def __init__(
        self,
        producer: RecordProducer,
        cluster: str,
        topic: str,
        max_record_bytes: int,
        stopping: asyncio.Event,
    ) -> None:
        self.producer = producer
        self.stopping = stopping
        self.cluster = cluster
        self.topic = topic
        self.cutter = ObjectCutter(max_record_bytes)
        self.pieces: asyncio.Queue[Piece | None] = asyncio.Queue(MAX_PIECES_IN_FLIGHT)
        self.has_begun = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(receive))
            tasks.create_task(self._write(send))

    async def _read(self, receive: Receive) -> None:
        stopped = asyncio.create_task(self.stopping.wait())
        more = True
        while more:
            received = asyncio.ensure_future(receive())
            until: set[asyncio.Future[Any]] = {received, stopped}
            await asyncio.wait(until, return_when=asyncio.FIRST_COMPLETED)
            self.has_begun.set()
            if not received.done():
                received.cancel()
                await self._refuse_the_rest()
                break
            message = received.result()
            if message["type"] != "http.request":
                break  # gone; what it sent is delivered all the same
            more = message.get("more_body", False)
            if not await self._take(message.get("body", b""), is_last=not more):
                break
        stopped.cancel()
        await self.pieces.put(None)

    async def _refuse_the_rest(self) -> None:
        """Say that the stream ends here: every result before this one is of a stored record."""
        produced = Produced(self.cluster, self.topic)
        text = "The gateway is stopping; records without a result before this were not taken."
        produced.entries.append(RestError(503, 503, text))
        await self.pieces.put((produced, await self.producer.enqueue(self.topic, [])))

    async def _take(self, data: bytes, *, is_last: bool) -> bool:
        """Send the records that `data` completes; False when the stream is beyond reading."""
        produced = Produced(self.cluster, self.topic)
        fault: RestError | None = None
        try:
            for found in self.cutter.feed(data):
                self._add(produced, found)
        except NotAnObjectError:
            fault = bad_request("Records must be JSON objects, one after the other.")
        except ObjectTooLongError:
            fault = RestError(413, 413, "A record is longer than this gateway allows.")
        if fault is None and is_last and not self.cutter.is_between_objects:
            fault = bad_request("The request ended in the middle of a record.")
        if fault is not None:
            produced.entries.append(fault)
        if produced.entries:
            deliveries = await self.producer.enqueue(self.topic, produced.records())
            await self.pieces.put((produced, deliveries))
        return fault is None

    @staticmethod
    def _add(produced: Produced, data: bytes) -> None:
        try:
            given = parse_json(data)
        except (ValueError, RecursionError) as error:
            produced.entries.append(bad_request(f"A record is not valid JSON: {error}"))
            return
        produced.add(given)

    async def _write(self, send: Send) -> None:
        await self.has_begun.wait()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while (piece := await self.pieces.get()) is not None:
            produced, deliveries = piece
            lines = [orjson.dumps(r) + b"\n" for r in produced.results(await deliveries)]
            await send({"type": "http.response.body", "body": b"".join(lines), "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class StreamedResponse(Response):
    """Hands the connection over to a `StreamedProduce`."""

    def __init__(self, streamed: StreamedProduce) -> None:
        super().__init__()
        self.streamed = streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.streamed(scope, receive, send)


class ProduceRoutes:
    """Handlers of `records` and `records:batch`."""

    def __init__(self, kafka: KafkaAccess, producer: RecordProducer) -> None:
        self.kafka = kafka
        self.producer = producer

    def routes(self) -> list[Route]:
        return [
            Route(f"{TOPIC}/records", self.stream, methods=["POST"]),
            Route(f"{TOPIC}/records:batch", self.batch, methods=["POST"]),
        ]

    async def stream(self, request: Request) -> Response:
        """200 in any case; each record's result has its own `error_code`."""
        place = await place_of(self.kafka, request)
        limit = self.kafka.settings.max_request_bytes
        topic = request.path_params["topic"]
        return StreamedResponse(
            StreamedProduce(self.producer, place.cluster, topic, limit, self.kafka.stopping)
        )

    async def batch(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        settings = self.kafka.settings
        body = await read_object(request, settings.max_request_bytes, ("entries",), optional=True)
        entries = list_of_objects(body, "entries", ("id", *RECORD_FIELDS), required=False)
        if not entries:
            raise RestError(422, 42208, "Empty batch. Data is required.")
        if len(entries) > settings.produce_batch_max_entries:
            raise RestError(
                422,
                42208,
                f"A batch has at most {settings.produce_batch_max_entries} entries, not"
                f" {len(entries)}.",
            )
        ids = [entry.get("id") for entry in entries]
        if not all(isinstance(name, str) and 0 < len(name) <= 80 for name in ids):
            raise RestError(422, 42208, "Each entry needs an id of 1 to 80 characters.")
        if len(set(ids)) != len(ids):
            raise RestError(422, 42208, "The ids of a batch's entries must differ.")
        produced = Produced(place.cluster, request.path_params["topic"])
        for entry in entries:
            produced.add(entry, ("id", *RECORD_FIELDS))
        deliveries = await self.producer.send(produced.topic, produced.records())
        successes, failures = [], []
        for name, result in zip(ids, produced.results(deliveries), strict=True):
            if result["error_code"] == 200:
                del result["error_code"]
                successes.append({"id": name, **result})
            else:
                failures.append({"id": name, **result})
        return v3_json({"successes": successes, "failures": failures}, 207)

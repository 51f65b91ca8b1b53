"""Many of everything at once, and nobody starves.

Connections, partitions and groups are there first; then producers write as fast
as they are answered, a consumer reads everything from the start, and others
live their small lives: each is timed, and the slowest answer is what counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from confluent_kafka.admin import AdminClient, NewTopic

from endurance.process import BrokerProcess
from ottla.batch.record_batch import Record, build_batch, headers
from ottla.server.limits import raise_file_limit
from ottla.wire import frames
from ottla.wire.message import Message, Request
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from ottla.wire.messages.heartbeat import HeartbeatRequest
from ottla.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ottla.wire.messages.metadata import MetadataRequest, MetadataRequestTopic
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from ottla.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ottla.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment

R = TypeVar("R", bound=Message)
LIMIT_S: Final = 120.0
WIDE: Final = "wide"
BUSY: Final = "busy"
BUSY_PARTITIONS: Final = 8
WRITERS: Final = 8
RECORD_BYTES: Final = 1_000
#: Records of one produced batch.
BATCH: Final = 200
CONNECTED_AT_ONCE: Final = 100


class Client:
    """One connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._turn = asyncio.Lock()

    @classmethod
    async def connect(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20))

    async def call(self, request: Request[R], version: int) -> Any:
        async with self._turn:
            self._number += 1
            encoded = frames.encode_request(request, version, self._number, "endurance")
            self._writer.writelines(encoded)
            (size,) = struct.unpack(">i", await self._reader.readexactly(4))
            frame = await self._reader.readexactly(size)
            return frames.decode_response(request.API_KEY, version, frame)

    def close(self) -> None:
        self._writer.close()


class Times:
    """How long answers took, in milliseconds."""

    def __init__(self) -> None:
        self._all: list[float] = []

    async def of(self, answer: Awaitable[Any]) -> Any:
        began = time.perf_counter()
        result = await answer
        self._all.append((time.perf_counter() - began) * 1e3)
        return result

    def __str__(self) -> str:
        if not self._all:
            return "never"
        ordered = sorted(self._all)
        middle, most = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
        return (
            f"{len(ordered):8,} answers, ms: {middle:7.1f} middle {most:8.1f} p99 "
            f"{ordered[-1]:8.1f} slowest"
        )


def _produce(topic: str, partition: int, count: int) -> ProduceRequest:
    made = [Record(0, int(time.time() * 1000), None, bytes(RECORD_BYTES)) for _ in range(count)]
    data = PartitionProduceData(index=partition, records=build_batch(made))
    return ProduceRequest(
        acks=-1, timeout_ms=30_000, topic_data=[TopicProduceData(name=topic, partition_data=[data])]
    )


def _fetch(topic: str, partition: int, offset: int) -> FetchRequest:
    part = FetchPartition(partition=partition, fetch_offset=offset, partition_max_bytes=1_048_576)
    return FetchRequest(
        max_wait_ms=500,
        min_bytes=1,
        max_bytes=10_485_760,
        topics=[FetchTopic(topic=topic, partitions=[part])],
    )


class Overload:
    """One run against one broker."""

    def __init__(self, port: int, connections: int, partitions: int, groups: int) -> None:
        self._port = port
        self._connections = connections
        self._partitions = partitions
        self._groups = groups
        self._idle: list[Client] = []
        self._members: list[tuple[Client, str, str, int]] = []
        self.times = {
            name: Times()
            for name in ("metadata", "produce", "small produce", "commit", "heartbeat", "fetch")
        }
        self.produced = 0
        self.read = 0
        self._is_over = False

    async def prepare(self) -> None:
        """Connections are open, and each group has a member with an assignment."""
        for first in range(0, self._connections, CONNECTED_AT_ONCE):
            some = range(first, min(self._connections, first + CONNECTED_AT_ONCE))
            self._idle += await asyncio.gather(*(Client.connect(self._port) for _ in some))
        for first in range(0, self._groups, CONNECTED_AT_ONCE):
            some = range(first, min(self._groups, first + CONNECTED_AT_ONCE))
            self._members += await asyncio.gather(*(self._join(number) for number in some))

    async def _join(self, number: int) -> tuple[Client, str, str, int]:
        client = self._idle[number % (len(self._idle) // 2)]
        group = f"group-{number}"
        protocol = JoinGroupRequestProtocol(name="range", metadata=b"\0\1\0\0\0\0\0\0\0\0")
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            joined = await client.call(
                JoinGroupRequest(
                    group_id=group,
                    session_timeout_ms=300_000,
                    rebalance_timeout_ms=60_000,
                    member_id="",
                    protocol_type="consumer",
                    protocols=[protocol],
                ),
                3,
            )
            if not joined.error_code:
                break
            await asyncio.sleep(0.1)
        else:
            raise TimeoutError(f"{group} cannot be joined")
        assignment = SyncGroupRequestAssignment(joined.member_id, b"\0\0")
        await client.call(
            SyncGroupRequest(
                group_id=group,
                generation_id=joined.generation_id,
                member_id=joined.member_id,
                assignments=[assignment],
            ),
            2,
        )
        return client, group, joined.member_id, joined.generation_id

    async def run(self, seconds: float) -> None:
        """Everybody works for so long."""
        jobs = [self._write(i % BUSY_PARTITIONS) for i in range(WRITERS)]
        jobs += [
            self._read_from_the_start(),
            self._write_here_and_there(),
            self._ask(),
            self._live(),
        ]
        running = [asyncio.create_task(job) for job in jobs]
        await asyncio.sleep(seconds)
        self._is_over = True
        await asyncio.wait_for(asyncio.gather(*running), LIMIT_S)

    async def _write(self, partition: int) -> None:
        client = await Client.connect(self._port)
        while not self._is_over:
            answer = await self.times["produce"].of(
                client.call(_produce(BUSY, partition, BATCH), 9)
            )
            assert not answer.responses[0].partition_responses[0].error_code
            self.produced += BATCH
        client.close()

    async def _read_from_the_start(self) -> None:
        client = await Client.connect(self._port)
        offsets = [0] * BUSY_PARTITIONS
        while not self._is_over:
            for partition in range(BUSY_PARTITIONS):
                answer = await self.times["fetch"].of(
                    client.call(_fetch(BUSY, partition, offsets[partition]), 11)
                )
                found = answer.responses[0].partitions[0]
                assert not found.error_code
                for _, header in headers(found.records or b""):
                    self.read += header.next_offset - max(header.base_offset, offsets[partition])
                    offsets[partition] = header.next_offset
        client.close()

    async def _write_here_and_there(self) -> None:
        """A record into one of the many partitions after the other, on the idle connections."""
        number = 0
        while not self._is_over:
            half = len(self._idle) // 2  # The others belong to groups.
            client = self._idle[half + number % half]
            partition = number * 7_919 % self._partitions
            answer = await self.times["small produce"].of(
                client.call(_produce(WIDE, partition, 1), 9)
            )
            assert not answer.responses[0].partition_responses[0].error_code
            number += 1
            await asyncio.sleep(0.005)

    async def _ask(self) -> None:
        client = await Client.connect(self._port)
        wanted = MetadataRequest(topics=[MetadataRequestTopic(name=BUSY)])
        while not self._is_over:
            await self.times["metadata"].of(client.call(wanted, 9))
            await asyncio.sleep(0.01)
        client.close()

    async def _live(self) -> None:
        """One group after the other commits and says that it is there."""
        number = 0
        while not self._is_over:
            client, group, member, generation = self._members[number % len(self._members)]
            number += 1
            commit = OffsetCommitRequest(
                group_id=group,
                generation_id_or_member_epoch=generation,
                member_id=member,
                topics=[
                    OffsetCommitRequestTopic(
                        name=BUSY, partitions=[OffsetCommitRequestPartition(0, number)]
                    )
                ],
            )
            answer = await self.times["commit"].of(client.call(commit, 5))
            assert not answer.topics[0].partitions[0].error_code
            beat = HeartbeatRequest(group_id=group, generation_id=generation, member_id=member)
            answer = await self.times["heartbeat"].of(client.call(beat, 1))
            assert not answer.error_code
            await asyncio.sleep(0.005)

    def close(self) -> None:
        for client in self._idle:
            client.close()


def _timed(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def run(
    directory: Path,
    *,
    connections: int = 2_000,
    partitions: int = 10_000,
    groups: int = 1_000,
    seconds: float = 30,
) -> str:
    """One trial; returns what it showed, a line each."""
    raise_file_limit()
    broker = BrokerProcess(directory)
    broker.start()
    try:
        idle_mb = broker.resident_mb()
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})

        def create() -> None:
            wanted = [NewTopic(WIDE, partitions, 1), NewTopic(BUSY, BUSY_PARTITIONS, 1)]
            for future in admin.create_topics(wanted, request_timeout=LIMIT_S).values():
                future.result(LIMIT_S)

        creating_s = _timed(create)
        overload = Overload(broker.port, connections, partitions, groups)

        async def trial() -> tuple[float, float, float]:
            began = time.perf_counter()
            await overload.prepare()
            prepared_s = time.perf_counter() - began
            ready_mb = broker.resident_mb()
            cpu_before = broker.cpu_s()
            await overload.run(seconds)
            cpu = (broker.cpu_s() - cpu_before) / seconds
            overload.close()
            return prepared_s, ready_mb, cpu

        with contextlib.closing(asyncio.new_event_loop()) as loop:
            prepared_s, ready_mb, cpu = loop.run_until_complete(trial())
        lines = [
            (
                f"{connections:,} connections, {partitions:,} partitions (created in "
                f"{creating_s:.1f} s), {groups:,} groups (joined in {prepared_s:.1f} s)"
            ),
            (
                f"memory: {idle_mb:.0f} MB before, {ready_mb:.0f} MB with all of them, "
                f"{broker.peak_mb():.0f} MB at most; {100 * cpu:.0f} % of a core"
            ),
            (
                f"written {overload.produced / seconds:,.0f} records/s, read from the start "
                f"{overload.read / seconds:,.0f} records/s, for {seconds:.0f} s"
            ),
        ]
        lines += [f"{name:14}{times}" for name, times in overload.times.items()]
        return "\n".join(lines)
    finally:
        broker.close()

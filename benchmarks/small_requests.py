"""Clients that send one small record and wait for its answer, as clients without batches do.

One process drives them all: each has a connection and one Produce request (version 8,
acks=all, one record of 100 bytes) in flight. Every answer is checked for its error code.
"""

from __future__ import annotations

import resource
import select
import socket
import time
from contextlib import ExitStack
from typing import Final

from benchmarks.processes import resident_mb, usage
from benchmarks.systems import MOCK, System
from ottla.batch.record_batch import Record, build_batch
from ottla.wire import frames
from ottla.wire.messages.api_versions import ApiVersionsRequest
from ottla.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

Figures = dict[str, float]
VERSION: Final = 8
VALUE: Final = b"v" * 100
WARM_UP_S: Final = 0.3
SPARE_FILES: Final = 200
RECEIVE_BYTES: Final = 4096


def measure(
    system: System, *, clients: int, seconds: float, idle: int = 0, partitions: int = 1
) -> Figures:
    """Requests a second and their times in microseconds, with `idle` more connections open."""
    if system.key == MOCK:
        idle = 0  # it hangs with many idle connections
    _raise_file_limit(clients + idle)
    topic = system.create_topic(partitions)
    try:
        with ExitStack() as stack:
            for _ in range(idle):
                _idle_connection(stack, system)
            load = _Load(stack, system, topic, clients, partitions)
            load.run(WARM_UP_S)
            before = usage(system.pid)
            load.times.clear()
            load.run(seconds)
            spent = usage(system.pid).since(before)
            memory = resident_mb(system.pid)
    finally:
        system.delete_topic(topic)
    times = sorted(load.times)
    return {
        "per_s": len(times) / spent.wall_s,
        "p50_us": times[len(times) // 2] / 1e3,
        "p99_us": times[int(len(times) * 0.99)] / 1e3,
        "p999_us": times[int(len(times) * 0.999)] / 1e3,
        "cpu_us": spent.cpu_s / len(times) * 1e6,
        "core": spent.cpu_s / spent.wall_s,
        "memory_mb": memory,
    }


class _Load:
    """Connections that each always have one request in flight, while `run` runs."""

    def __init__(
        self, stack: ExitStack, system: System, topic: str, clients: int, partitions: int
    ) -> None:
        self.times: list[int] = []
        self._epoll = stack.enter_context(select.epoll())
        self._sockets: dict[int, socket.socket] = {}
        self._requests: dict[int, bytes] = {}
        self._began: dict[int, int] = {}
        self._code_at = _first_error_code(topic)
        for i in range(clients):
            client = _connect(stack, system)
            self._epoll.register(client, select.EPOLLIN)
            self._sockets[client.fileno()] = client
            self._requests[client.fileno()] = _request(topic, i % partitions)
        first = next(iter(self._sockets.values()))
        first.sendall(self._requests[first.fileno()])
        self._size = len(_answer(first))

    def run(self, seconds: float) -> None:
        """Send and receive for so long, then wait for the answers that are missing."""
        sockets, requests, began = self._sockets, self._requests, self._began
        times, poll, now = self.times, self._epoll.poll, time.perf_counter_ns
        size, code = self._size, slice(self._code_at, self._code_at + 2)
        end = now() + int(seconds * 1e9)
        for number, client in sockets.items():
            began[number] = now()
            client.send(requests[number])
        waiting = len(sockets)
        while waiting:
            events = poll(10)
            if not events:
                raise TimeoutError("no answer within 10 s")
            for number, _ in events:
                client = sockets[number]
                data = client.recv(RECEIVE_BYTES)
                at = now()
                if len(data) != size or data[code] != b"\0\0":
                    raise RuntimeError(f"a record was refused, or not answered: {data[:80]!r}")
                times.append(at - began[number])
                if at < end:
                    began[number] = at
                    client.send(requests[number])
                else:
                    waiting -= 1


def _request(topic: str, partition: int) -> bytes:
    batch = bytes(build_batch([Record(0, int(time.time() * 1000), None, VALUE, ())]))
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(partition, batch)])
    request = ProduceRequest(None, -1, 30_000, [data])
    return b"".join(frames.encode_request(request, VERSION, 7, "bench"))


def _first_error_code(topic: str) -> int:
    """Where version 8 has it: size, correlation id, topics, name, partitions, index."""
    return 4 + 4 + 4 + 2 + len(topic) + 4 + 4


def _connect(stack: ExitStack, system: System) -> socket.socket:
    host, _, port = system.bootstrap_servers.rpartition(":")
    client = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def _idle_connection(stack: ExitStack, system: System) -> None:
    """A client that has said hello and then nothing more."""
    client = _connect(stack, system)
    hello = frames.encode_request(ApiVersionsRequest(), 0, 1, "idle")
    client.sendall(b"".join(hello))
    _answer(client)


def _answer(client: socket.socket) -> bytes:
    data = b""
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big"):
        more = client.recv(RECEIVE_BYTES)
        if not more:
            raise ConnectionResetError("the broker closed the connection")
        data += more
    return data


def _raise_file_limit(connections: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))

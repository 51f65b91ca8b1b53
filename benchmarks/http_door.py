"""Producing through the REST door: a gateway in a process of its own, clients that cost little.

The clients send the same ready-made request again and again and read only as
much of an answer as tells that every record has an offset, so that the gateway
is measured and not the language of its client.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from benchmarks.targets import Target

BATCH: Final = 100
CONNECTIONS: Final = 8
WARM_UP_REQUESTS: Final = 400
_GATEWAY: Final = "import sys; from ottla.cli.main import main; sys.exit(main())"
_JSON: Final = "application/vnd.kafka.json.v2+json"


@dataclass(frozen=True)
class RestRate:
    """Records a second through the door, and what the gateway's processor did for them."""

    records_per_s: float
    gateway_us_per_record: float
    gateway_core_share: float


@contextmanager
def gateway(bootstrap_servers: str) -> Iterator[tuple[str, int, int]]:
    """A REST door for that Kafka; gives host, port and process id."""
    process = subprocess.Popen(
        [
            sys.executable, "-c", _GATEWAY, "gateway", "--bootstrap-servers", bootstrap_servers,
            "--rest-port", "0", "--burrow-port", "off", "--metrics-port", "off",
            "--admin-ports", "off", "--announce-json",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        address = urlsplit(json.loads(process.stdout.readline())["REST Proxy"])
        assert address.hostname is not None
        assert address.port is not None
        yield address.hostname, address.port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def request_bytes(topic: str, size: int) -> bytes:
    """A produce request of `BATCH` JSON records whose values take about `size` bytes each."""
    text = "x" * max(1, size - 30)
    records = [{"value": {"number": 100_000 + n, "text": text}} for n in range(BATCH)]
    body = json.dumps({"records": records}).encode()
    head = (
        f"POST /topics/{topic} HTTP/1.1\r\nHost: bench\r\nContent-Type: {_JSON}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Client:
    """One connection that sends a request and waits for its answer."""

    def __init__(self, host: str, port: int, request: bytes) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._buffer = bytearray(1 << 18)

    def ask(self) -> None:
        """Errors: ValueError with the answer unless every record was stored."""
        self._socket.sendall(self._request)
        view = memoryview(self._buffer)
        filled = 0
        wanted = -1
        while wanted < 0 or filled < wanted:
            count = self._socket.recv_into(view[filled:])
            if not count:
                raise ValueError("the gateway closed the connection")
            filled += count
            end = self._buffer.find(b"\r\n\r\n", 0, filled)
            if wanted < 0 and end >= 0:
                head = bytes(view[:end]).lower()
                wanted = end + 4 + int(head.partition(b"content-length:")[2].split(b"\r")[0])
        answer = bytes(view[:filled])
        if not answer.startswith(b"HTTP/1.1 200") or answer.count(b'"error":null') != BATCH:
            raise ValueError(answer[:300].decode())

    def close(self) -> None:
        self._socket.close()


def _cpu_s(pid: int) -> float:
    return Target("gateway", "", pid, 0).cpu_s()


def rest_produce(target: Target, topic: str, size: int, requests: int) -> RestRate:
    """`CONNECTIONS` clients send `requests` batches of `BATCH` records, acks=all."""
    with gateway(target.bootstrap_servers) as (host, port, pid):
        clients = [Client(host, port, request_bytes(topic, size)) for _ in range(CONNECTIONS)]
        faults: list[Exception] = []

        def work(client: Client, count: int) -> None:
            try:
                for _ in range(count):
                    client.ask()
            except (OSError, ValueError) as fault:
                faults.append(fault)

        def all_ask(count: int) -> None:
            threads = [
                threading.Thread(target=work, args=(client, count // CONNECTIONS))
                for client in clients
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if faults:
                raise faults[0]

        all_ask(WARM_UP_REQUESTS)
        cpu, began = _cpu_s(pid), time.perf_counter()
        all_ask(requests)
        seconds, used = time.perf_counter() - began, _cpu_s(pid) - cpu
        for client in clients:
            client.close()
    records = requests // CONNECTIONS * CONNECTIONS * BATCH
    return RestRate(records / seconds, used / records * 1e6, used / seconds)

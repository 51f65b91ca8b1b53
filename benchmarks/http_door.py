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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from benchmarks.processes import usage
from benchmarks.systems import System

BATCH: Final = 100
CONNECTIONS: Final = 8
WARM_UP_REQUESTS: Final = 400
_GATEWAY: Final = "import sys; from ottla.cli.main import main; sys.exit(main())"
Figures = dict[str, float]
_JSON: Final = "application/vnd.kafka.json.v2+json"


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


def rest_produce(system: System, *, size: int, requests: int) -> Figures:
    """`CONNECTIONS` clients send `requests` batches of `BATCH` records, acks=all.

    Records a second, and what the gateway's processor did for them.
    """
    topic = system.create_topic(1)
    with gateway(system.bootstrap_servers) as (host, port, pid):
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
        before = usage(pid)
        all_ask(requests)
        spent = usage(pid).since(before)
        for client in clients:
            client.close()
    system.delete_topic(topic)
    records = requests // CONNECTIONS * CONNECTIONS * BATCH
    return {
        "per_s": records / spent.wall_s,
        "gateway_us": spent.cpu_s / records * 1e6,
        "gateway_core": spent.cpu_s / spent.wall_s,
    }

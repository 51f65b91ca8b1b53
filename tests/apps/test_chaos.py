"""The proxy delays, cuts and silences, and changes not a byte."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer
from tests.support.processes import running

from ottla.cli.chaos import obey
from ottla.cli.main import main
from ottla.embedded import Broker
from ottla.engine.ports import free_ports
from ottla.labs.chaos_proxy import ChaosProxy, Faults, broker_behind
from ottla.testing.kafka import eventually


@contextlib.contextmanager
def echo_server() -> Iterator[tuple[str, int]]:
    """Sends back what it gets."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=echo, args=(connection,), daemon=True).start()

    def echo(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server.getsockname()
    finally:
        # Closing alone would not wake the thread that accepts.
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


@contextlib.contextmanager
def client_of(proxy: ChaosProxy) -> Iterator[socket.socket]:
    with socket.create_connection((proxy.host, proxy.port), timeout=90) as client:
        yield client


def answer(client: socket.socket, question: bytes) -> bytes:
    client.sendall(question)
    received = bytearray()
    while len(received) < len(question):
        data = client.recv(65536)
        if not data:
            break
        received += data
    return bytes(received)


def test_bytes_pass_unchanged() -> None:
    data = os.urandom(3_000_000)
    with echo_server() as target, ChaosProxy(target) as proxy, client_of(proxy) as client:
        received = bytearray()

        def read() -> None:
            while len(received) < len(data):
                received.extend(client.recv(65536))

        reading = threading.Thread(target=read)
        reading.start()
        client.sendall(data)
        reading.join(90)
        assert received == data
        assert proxy.seen.bytes_in == len(data)
        assert proxy.seen.connections == 1


def test_latency_counts_in_both_directions() -> None:
    with echo_server() as target, ChaosProxy(target, Faults(latency_ms=60)) as proxy:
        with client_of(proxy) as client:
            start = time.monotonic()
            assert answer(client, b"hello") == b"hello"
            assert time.monotonic() - start >= 0.12


def test_bandwidth_is_a_limit() -> None:
    with echo_server() as target, ChaosProxy(target, Faults(bandwidth=100_000)) as proxy:
        with client_of(proxy) as client:
            start = time.monotonic()
            answer(client, bytes(20_000))
            answer(client, b"x")
            assert time.monotonic() - start >= 0.2  # behind what went before


def test_a_cut_resets_and_a_new_connection_works() -> None:
    with echo_server() as target, ChaosProxy(target) as proxy:
        with client_of(proxy) as client:
            answer(client, b"hello")
            assert proxy.cut() == 1
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(10) == b""
        with client_of(proxy) as client:
            assert answer(client, b"again") == b"again"


def test_everything_is_cut_by_probability_one() -> None:
    with echo_server() as target, ChaosProxy(target, Faults(cut=1.0)) as proxy:
        with client_of(proxy) as client:
            with contextlib.suppress(ConnectionResetError):
                assert answer(client, b"hello") == b""
        assert proxy.seen.cuts == 1


def test_a_dropped_connection_is_silent_and_open() -> None:
    with echo_server() as target, ChaosProxy(target, Faults(drop=1.0)) as proxy:
        with client_of(proxy) as client:
            client.sendall(b"hello")
            eventually(lambda: proxy.seen.dropped, lambda n: n == 1)
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(10)


def test_frozen_is_late_and_not_lost() -> None:
    with echo_server() as target, ChaosProxy(target) as proxy, client_of(proxy) as client:
        proxy.freeze()
        client.sendall(b"hello")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(10)
        client.settimeout(90)
        proxy.thaw()
        assert client.recv(10) == b"hello"


def test_no_broker_behind_closes_the_connection() -> None:
    with ChaosProxy() as proxy, client_of(proxy) as client:
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(10) == b""
        assert proxy.seen.unreachable == 1


def test_kafka_clients_stay_behind_the_proxy() -> None:
    with ChaosProxy(faults=Faults(latency_ms=5)) as proxy, broker_behind(proxy) as broker:
        assert broker.bootstrap_servers == proxy.address
        producer = Producer({"bootstrap.servers": proxy.address})
        producer.produce("chaos", b"x" * 50_000)
        assert producer.flush(90) == 0
        consumer = Consumer(
            {
                "bootstrap.servers": proxy.address,
                "group.id": "g",
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe(["chaos"])
        message = consumer.poll(90)
        consumer.close()
        assert message is not None
        assert message.value() == b"x" * 50_000
        assert proxy.seen.bytes_in > 50_000
        assert proxy.seen.bytes_out > 50_000


def test_lines_change_the_faults() -> None:
    with ChaosProxy() as proxy:
        assert obey(proxy, "latency 200") == "faults: latency 200 ms"
        assert obey(proxy, "jitter x") == "'x' is no number"
        assert obey(proxy, "cut") == "0 connections cut"
        assert obey(proxy, "clear") == "faults: none"
        assert "is not known" in obey(proxy, "explode")


def test_the_command_starts_a_broker_and_ends_on_sigint() -> None:
    words = ["chaos", "--port", "0", "--jitter-ms", "1"]
    with running(
        [sys.executable, "-m", "ottla.cli.main", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        output = process.stdout
        assert output is not None
        found = re.match(r"Chaos +(\S+) ", output.readline())
        assert found is not None
        while "Ctrl-C" not in output.readline():
            pass
        producer = Producer({"bootstrap.servers": found[1]})
        producer.produce("chaos", b"hello")
        assert producer.flush(90) == 0
        del producer
        process.send_signal(signal.SIGINT)
        assert "bytes from clients" in output.read()
        assert process.wait(90) == 0


def test_the_command_stands_in_front_of_a_broker_that_was_there() -> None:
    """As the documentation has it: a second listener, which advertises the proxy."""
    plain, behind, port = free_ports(3)
    config = {
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},CHAOS://127.0.0.1:{behind}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},CHAOS://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CHAOS:PLAINTEXT",
    }
    with Broker(config=config):
        slow_and_cut(f"127.0.0.1:{behind}", port)


def slow_and_cut(behind: str, port: int) -> None:
    """A client of the proxy's address waits, is cut off, and goes on."""
    words = ["chaos", "--to", behind, "--port", str(port), "--latency-ms", "100"]
    with running(
        [sys.executable, "-m", "ottla.cli.main", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        output, lines = process.stdout, process.stdin
        assert output is not None
        assert lines is not None
        assert f"in front of {behind}" in output.readline()
        assert "latency 100 ms" in output.readline()
        assert "Ctrl-C" in output.readline()
        producer = Producer({"bootstrap.servers": f"127.0.0.1:{port}", "linger.ms": 0})
        send(producer, "before")
        start = time.monotonic()
        send(producer, "slow")
        assert time.monotonic() - start >= 0.2  # there and back
        print("cut", file=lines, flush=True)
        assert re.fullmatch(r"[1-9]\d* connections cut\n", output.readline())
        print("clear", file=lines, flush=True)
        assert output.readline() == "faults: none\n"
        send(producer, "after")
        del producer
        process.send_signal(signal.SIGINT)
        assert re.search(r"[1-9]\d* cut", output.read())
        assert process.wait(90) == 0


def send(producer: Producer, value: str) -> None:
    producer.produce("chaos", value)
    assert producer.flush(90) == 0


def test_a_taken_port_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["chaos", "--port", port]) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err

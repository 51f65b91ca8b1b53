"""The page of metrics and what its clients may do to it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from ottla.broker.config import BrokerConfig
from ottla.server.metrics_http import OK, MetricsEndpoint
from ottla.server.server import Server


def test_a_stop_in_the_middle_of_a_request_is_no_error() -> None:
    reported: list[dict[str, Any]] = []
    reported_errors: list[Exception] = []

    async def serve_half_a_request() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: reported.append(context))
        endpoint = MetricsEndpoint({}, reported_errors.append)
        await endpoint.start(0)
        with socket.create_connection(("127.0.0.1", endpoint.port)) as client:
            client.sendall(b"GET /metrics")
            while len(asyncio.all_tasks()) < 2:  # noqa: ASYNC110 - nothing tells when it began
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        await endpoint.stop()

    asyncio.run(serve_half_a_request())
    assert reported == reported_errors == []


def test_a_page_that_fails_is_answered_and_told() -> None:
    told: list[Exception] = []
    failure = ZeroDivisionError("a rate of nothing")

    def fail() -> tuple[str, str, str]:
        raise failure

    async def ask() -> list[bytes]:
        endpoint = MetricsEndpoint(
            {"/bad": fail, "/good": lambda: (OK, "text/plain", "fine")}, told.append
        )
        await endpoint.start(0)
        answers = []
        for path in (b"/bad", b"/good"):
            reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
            writer.write(b"GET " + path + b" HTTP/1.1\r\n\r\n")
            answers.append(await reader.read())
            writer.close()
        await endpoint.stop()
        return answers

    bad, good = asyncio.run(ask())
    assert bad.startswith(b"HTTP/1.1 500 ")
    assert good.endswith(b"fine")
    assert told == [failure]


def test_a_broker_outlives_a_metrics_page_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> str:
        raise ZeroDivisionError("a rate of nothing")

    monkeypatch.setattr("ottla.server.prometheus.render", fail)

    async def ask() -> tuple[bytes, bytes, bool]:
        server = Server(
            BrokerConfig(
                {
                    "log.dirs": str(tmp_path),
                    "ottla.metrics.port": "0",
                    "listeners": "PLAINTEXT://127.0.0.1:0",
                }
            )
        )
        await server.start()
        answers = []
        for path in (b"/metrics", b"/health"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.metrics_port)
            writer.write(b"GET " + path + b" HTTP/1.1\r\n\r\n")
            answers.append(await reader.read())
            writer.close()
        is_stopping = server.stop_wanted.is_set()
        await server.stop()
        return answers[0], answers[1], is_stopping

    metrics, health, is_stopping = asyncio.run(ask())
    assert metrics.startswith(b"HTTP/1.1 500 ")
    assert health.endswith(b"ok\n")
    assert not is_stopping
    assert "a rate of nothing" in capfd.readouterr().err

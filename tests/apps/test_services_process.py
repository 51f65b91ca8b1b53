"""The two services as one program, as somebody runs them: watched from outside, and killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException
from sqlalchemy import Engine, select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.support import asking

from ottla.demos.http_services import HttpService, listen, serve
from ottla.demos.services.consumer_service import ProducerClient
from ottla.demos.services.database import connect, handled_events


class Services:
    """`ottla demo services` in a process."""

    def __init__(self, bootstrap_servers: str, database_url: str) -> None:
        words = ["--producer-port", "0", "--consumer-port", "0", "--partitions", "2"]
        words += ["--database-url", database_url]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ottla.cli.main", "demo", "services", *words],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers},
        )
        self.producer = self.read_until(r"producer service +(http\S+)")[1]
        self.consumer = self.read_until(r"consumer service +(http\S+)")[1]

    def read_until(self, pattern: str) -> re.Match[str]:
        """The first line from now on that holds it; the test's time-out ends the waiting."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"{pattern} was never said")

    def log_until(self, message: str) -> dict[str, Any]:
        """The first entry of the log from now on that says it."""
        line = self.read_until(rf".*{message}.*")[0]
        found: dict[str, Any] = json.loads(line)
        return found

    def register(self, name: str) -> str:
        """The id of a new user, whose correlation id is the name."""
        wish = {"name": name, "email": f"{name}@example.org", "password": "correct horse"}
        headers = {"x-correlation-id": name}
        answer = asking.post(f"{self.producer}/users", json=wish, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.communicate()
        return self.process.returncode


@pytest.fixture
def services(bootstrap_servers: str, tmp_path: Path) -> Iterator[Services]:
    """Gone before the next test: its group would share events with that of another database."""
    found = Services(bootstrap_servers, f"sqlite:///{tmp_path}/services.db")
    yield found
    assert found.end(signal.SIGTERM) == 0


def test_one_correlation_id_goes_through_both_services(services: Services, unique: str) -> None:
    user = services.register(unique)
    written = services.log_until(f"registered user {user}")
    handled = services.log_until(f"handled new-user-created of user {user}")
    assert written["correlation_id"] == handled["correlation_id"] == unique
    assert (written["service"], handled["service"]) == ("producer", "consumer")
    assert {"time", "level"} <= handled.keys()


def test_what_others_ask_of_a_service(services: Services, unique: str) -> None:
    user = services.register(unique)
    services.log_until(f"handled new-user-created of user {user}")
    for address, path in ((services.producer, "/users"), (services.consumer, "/users/{user_id}")):
        assert path in asking.get(f"{address}/openapi.json").json()["paths"]
        assert asking.get(f"{address}/health/live").json() == {"status": "live"}
        assert asking.get(f"{address}/health/ready").json()["status"] == "ready"
    for address, pattern in (
        (services.producer, r"^users_registered_total (\d+)$"),
        (services.consumer, r"^events_handled_total\{[^}]*new-user-created[^}]*\} (\d+)$"),
    ):
        text = asking.get(f"{address}/metrics").text
        counted = re.search(pattern, text, re.MULTILINE)
        assert counted, text
        assert int(counted[1]) >= 1


def handled(engine: Engine, users: list[str]) -> list[str]:
    query = select(handled_events.c.user_id).where(handled_events.c.user_id.in_(users))
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/services.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.mark.timeout(300)  # two starts, and machines are busy
def test_a_kill_between_registration_and_reaction_loses_nobody(
    bootstrap_servers: str, database_url: str, unique: str
) -> None:
    """Whoever got a 201 is reacted to, once, by the programs that come after the killed one."""
    killed = Services(bootstrap_servers, database_url)
    users = [killed.register(f"{unique}-{number}") for number in range(4)]
    killed.end(signal.SIGKILL)
    last = Services(bootstrap_servers, database_url)
    engine = connect(database_url)
    try:
        while len(found := handled(engine, users)) < len(users):
            assert last.process.poll() is None
            time.sleep(0.05)  # polling the condition
    finally:
        engine.dispose()
        assert last.end(signal.SIGINT) == 0
    assert sorted(found) == sorted(users)


class FickleProducer:
    """A producer service that answers well only after so many requests."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def user(self, request: Request) -> Response:
        if request.path_params["user_id"] == "slow":
            await asyncio.Event().wait()
        if self.failures:
            self.failures -= 1
            return JSONResponse({}, 503)
        return JSONResponse({"id": request.path_params["user_id"]})


async def ask(fickle: FickleProducer, user_id: str, timeout_s: float) -> dict[str, Any] | None:
    """What the consumer service's client makes of it."""
    app = Starlette(routes=[Route("/users/{user_id}", fickle.user)])
    service = HttpService("fickle", app, listen("producer", "127.0.0.1", 0), "")
    stop = asyncio.Event()
    serving = asyncio.ensure_future(serve([service], stop))
    client = ProducerClient(service.address, timeout_s)
    try:
        return await client.user(user_id)
    finally:
        await client.close()
        stop.set()
        await serving


def test_the_call_between_the_services_is_tried_again() -> None:
    assert asyncio.run(ask(FickleProducer(2), "u", 60)) == {"id": "u"}
    with pytest.raises(HTTPException, match="status 503"):
        asyncio.run(ask(FickleProducer(3), "u", 60))


def test_the_call_between_the_services_has_a_time_out() -> None:
    with pytest.raises(HTTPException, match="ReadTimeout"):
        asyncio.run(ask(FickleProducer(0), "slow", 0.2))

"""The two services: registration to live push, retries to dead letters, crashes between."""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from confluent_kafka import Consumer, Producer, TopicPartition
from sqlalchemy import Engine, text
from tests.support import asking

from ottla.demos.http_services import HttpService, listen, serve
from ottla.demos.kafka_clients import create_topic
from ottla.demos.services import consumer_service, dead_letters, producer_service
from ottla.demos.services.database import HandledEvents, Outbox, Users, connect
from ottla.demos.services.events import EVENT_ID, NewUserCreated, header_dict, outgoing
from ottla.demos.services.outbox_relay import OutboxRelay
from ottla.demos.services.program import add_arguments, policy_from
from ottla.demos.services.retrying import (
    ORIGIN,
    HandlingError,
    RetryingConsumer,
    RetryPolicy,
    dead_letter_topic,
)
from ottla.demos.services.tokens import Passwords, Tokens
from ottla.embedded import Broker

QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
FAST = RetryPolicy(tries=3, base_s=0.05, factor=2)


def wait_for(ask: Callable[[], Any], is_right: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 90
    while not is_right(answer := ask()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)  # polling the condition
    return answer


@pytest.fixture
def settings(bootstrap_servers: str) -> dict[str, str]:
    return {"bootstrap.servers": bootstrap_servers}


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path}/services.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    engine = connect(url)
    yield engine
    engine.dispose()


class Running:
    """Both services on free ports in a thread, with a group of their own."""

    def __init__(self, settings: dict[str, str], engine: Engine, group: str) -> None:
        self.reactions = consumer_service.Reactions(
            HandledEvents(engine), consumer_service.LiveFeed()
        )
        self.members = consumer_service.consumers(settings, self.reactions, FAST, group)
        for member in self.members:
            member.prepare(2)
        registrar = producer_service.Registrar(engine, Tokens("s" * 32), Passwords(QUICK_HASHER))
        producer = HttpService(
            "producer",
            producer_service.application(settings, engine, registrar),
            listen("producer", "127.0.0.1", 0),
            "",
        )
        consumer = HttpService(
            "consumer",
            consumer_service.application(engine, self.reactions, self.members, producer.address),
            listen("consumer", "127.0.0.1", 0),
            "",
        )
        self.producer_url, self.consumer_url = producer.address, consumer.address
        self.loop = asyncio.new_event_loop()
        self.stop = asyncio.Event()
        self.thread = threading.Thread(
            target=self.loop.run_until_complete, args=(serve([producer, consumer], self.stop),)
        )
        self.thread.start()
        wait_for(self._is_live, bool)

    def _is_live(self) -> bool:
        try:
            return asking.get(f"{self.consumer_url}/health/live").status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(90)
        assert not self.thread.is_alive()
        self.loop.close()


@pytest.fixture
def running(settings: dict[str, str], engine: Engine, unique: str) -> Iterator[Running]:
    services = Running(settings, engine, unique)
    yield services
    services.close()


def register(running: Running, name: str) -> dict[str, Any]:
    answer = asking.post(
        f"{running.producer_url}/users",
        json={"name": name, "email": f"{name}@example.org", "password": "correct horse"},
        headers={"x-correlation-id": f"test-{name}"},
    )
    assert answer.status_code == 201, answer.text
    assert answer.headers["x-correlation-id"] == f"test-{name}"
    found: dict[str, Any] = answer.json()
    return found


def test_from_registration_to_live_push(running: Running, unique: str) -> None:
    seen: list[dict[str, Any]] = []
    with asking.stream("GET", f"{running.consumer_url}/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": subscribed"
        user = register(running, unique)
        login = {"email": f"{unique}@example.org", "password": "correct horse"}
        tokens = asking.post(f"{running.producer_url}/tokens", json=login).json()
        assert tokens["token_type"] == "bearer"
        for line in lines:
            if line.startswith("data: "):
                event = json.loads(line[6:])
                if event["user_id"] == user["id"]:
                    seen.append(event)
            if len(seen) == 2:
                break
    assert {e["topic"] for e in seen} == {"new-user-created", "issued-token"}
    shown = asking.get(f"{running.consumer_url}/users/{user['id']}").json()
    assert (shown["name"], shown["tokens_seen"]) == (unique, 1)
    assert "password_hash" not in shown


def test_wrong_credentials_and_used_refresh_tokens_are_refused(
    running: Running, unique: str
) -> None:
    register(running, unique)
    url = f"{running.producer_url}/tokens"
    wrong = asking.post(url, json={"email": f"{unique}@example.org", "password": "wrong"})
    nobody = asking.post(url, json={"email": "nobody@example.org", "password": "wrong"})
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.json() == nobody.json()
    right = {"email": f"{unique}@example.org", "password": "correct horse"}
    tokens = asking.post(url, json=right).json()
    refresh = {"refresh_token": tokens["refresh_token"]}
    assert asking.post(f"{url}/refresh", json=refresh).status_code == 200
    assert asking.post(f"{url}/refresh", json=refresh).status_code == 401


def test_an_email_registers_once(running: Running, unique: str) -> None:
    register(running, unique)
    again = {"name": "x", "email": f"{unique}@example.org".upper(), "password": "correct horse"}
    answer = asking.post(f"{running.producer_url}/users", json=again)
    assert answer.status_code == 409
    assert asking.get(f"{running.consumer_url}/users/none").status_code == 404


def test_tokens_expire_and_foreign_ones_are_refused() -> None:
    tokens = Tokens("s" * 32)
    assert tokens.user_of(tokens.issue("u").access_token) == "u"
    assert tokens.user_of(Tokens("t" * 32).issue("u").access_token) is None
    assert tokens.user_of(Tokens("s" * 32, access_life_s=-1).issue("u").access_token) is None


def test_a_crash_between_publishing_and_marking_repeats_the_event_id(
    settings: dict[str, str], engine: Engine, unique: str
) -> None:
    """The outbox publishes again what it does not know to be published, with the same id."""
    users, box = Users(engine), Outbox(engine)
    event = outgoing(NewUserCreated(unique, "n", f"{unique}@example.org", 1), "c")
    event.topic = unique
    create_topic(settings, unique, 1)
    row = {"id": unique, "name": "n", "email": f"{unique}@example.org", "created_at_ms": 1}
    assert users.register({**row, "password_hash": "h"}, event)
    forgetful = OutboxRelay(settings, box)
    forgetful.outbox = Outbox(engine)
    forgetful.outbox.mark_published = lambda ids: None  # type: ignore[method-assign]
    assert forgetful.publish_pending() == 1  # the crash comes here
    assert box.count_pending() == 1
    assert OutboxRelay(settings, box).publish_pending() == 1
    assert box.count_pending() == 0
    ids = [header_dict(m.headers())[EVENT_ID] for m in read_all(settings, unique, 2)]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def read_all(settings: dict[str, str], topic: str, expected: int) -> list[Any]:
    consumer = Consumer({**settings, "group.id": "reader", "enable.auto.commit": "false"})
    partitions = consumer.list_topics(topic, timeout=90).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    found: list[Any] = []
    deadline = time.monotonic() + 90
    while len(found) < expected and time.monotonic() < deadline:
        found += [m for m in consumer.consume(100, 0.5) if m.error() is None]
    consumer.close()
    return found


def send(settings: dict[str, str], topic: str, *payloads: Any, key: str | None = None) -> None:
    producer = Producer(settings)
    for n, payload in enumerate(payloads):
        value = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        producer.produce(topic, value, key, headers=[(EVENT_ID, f"{topic}-{n}".encode())])
    assert producer.flush(90) == 0


def test_failures_are_retried_with_growing_delays_and_then_dead(
    settings: dict[str, str], unique: str
) -> None:
    tried: list[tuple[str, float]] = []

    def handle(payload: dict[str, Any], _: dict[str, str]) -> None:
        tried.append((payload["n"], time.monotonic()))
        if payload["n"] != "good":
            raise HandlingError("no luck")

    member = RetryingConsumer(settings, unique, "g", handle, FAST)
    member.prepare(1)
    send(settings, unique, {"n": "bad"}, {"n": "good"}, b"not json", {"n": "worse"})
    member.start()
    try:
        dead = dead_letter_topic(unique, "g")
        letters = wait_for(
            lambda: list(dead_letters.letters(settings, dead)), lambda ls: len(ls) == 3
        )
    finally:
        member.stop()
    assert [n for n, _ in tried].count("good") == 1
    for name in ("bad", "worse"):
        moments = [t for n, t in tried if n == name]
        assert len(moments) == 3
        first, second = moments[1] - moments[0], moments[2] - moments[1]
        assert first >= 0.045
        assert second >= 0.095
    by_value = {letter.value: letter for letter in letters}
    unreadable = by_value[b"not json"]
    assert unreadable.error.startswith("unreadable")
    assert len(unreadable.history) == 1
    bad = by_value[b'{"n": "bad"}']
    assert [h["attempt"] for h in bad.history] == [1, 2, 3]
    assert bad.origin == f"{unique}-0@0"
    assert bad.headers[EVENT_ID] == f"{unique}-0"


def test_a_waiting_retry_blocks_no_other_message(settings: dict[str, str], unique: str) -> None:
    handled: list[int] = []

    def handle(payload: dict[str, Any], _: dict[str, str]) -> None:
        if payload["n"] == 0:
            raise HandlingError("later")
        handled.append(payload["n"])

    slow = RetryPolicy(tries=5, base_s=600, factor=1)
    member = RetryingConsumer(settings, unique, "g", handle, slow)
    member.prepare(1)
    member.start()
    try:
        send(settings, unique, *({"n": n} for n in range(50)))
        wait_for(lambda: len(handled), lambda n: n == 49)
    finally:
        member.stop()
    assert handled == list(range(1, 50))


def test_a_restart_repeats_nothing_that_was_committed(
    settings: dict[str, str], unique: str
) -> None:
    handled: list[int] = []

    def handle(payload: dict[str, Any], _: dict[str, str]) -> None:
        handled.append(payload["n"])

    for first in (0, 10):
        member = RetryingConsumer(settings, unique, "g", handle, FAST)
        member.prepare(2)
        send(settings, unique, *({"n": first + n} for n in range(10)))
        member.start()
        wait_for(lambda: len(handled), lambda n, first=first: n >= first + 10)
        member.stop()
    assert sorted(handled) == list(range(20))


def test_replayed_letters_go_back_to_their_topic_once(
    settings: dict[str, str], unique: str
) -> None:
    is_mended = threading.Event()
    handled: list[str] = []

    def handle(payload: dict[str, Any], headers: dict[str, str]) -> None:
        if not is_mended.is_set():
            raise HandlingError("broken")
        handled.append(headers[EVENT_ID])

    member = RetryingConsumer(settings, unique, "g", handle, RetryPolicy(tries=1))
    member.prepare(1)
    member.start()
    try:
        send(settings, unique, {"n": 1}, {"n": 2})
        dead = dead_letter_topic(unique, "g")
        wait_for(lambda: member.dead, lambda n: n == 2)
        assert dead in dead_letters.topics(settings)
        is_mended.set()
        assert dead_letters.replay(settings, dead) == 2
        wait_for(lambda: len(handled), lambda n: n == 2)
        assert dead_letters.replay(settings, dead) == 0
    finally:
        member.stop()
    assert sorted(handled) == [f"{unique}-0", f"{unique}-1"]


def test_a_letter_that_dies_again_is_not_replayed_for_ever(
    settings: dict[str, str], unique: str
) -> None:
    """Here each replay makes the next letter before it returns: there is always one more."""
    dead = dead_letter_topic(unique, "g")
    producer = Producer(settings)
    origin = [(ORIGIN, f"{dead}-0@0".encode())]
    for n in range(2):
        producer.produce(dead, f"nonsense {n}", headers=origin)
    producer.flush(90)
    assert dead_letters.replay(settings, dead) == 2
    assert len(list(dead_letters.letters(settings, dead))) == 4


def test_a_member_goes_on_after_kafka_has_refused_it(unique: str) -> None:
    """A message that can be put nowhere is not lost, and others are told that nothing moves."""

    def handle(_: dict[str, Any], __: dict[str, str]) -> None:
        raise HandlingError("broken")

    config = {"auto.create.topics.enable": "false"}
    with Broker(config=config, topics={unique: 1}) as broker:
        settings = {
            "bootstrap.servers": broker.bootstrap_servers,
            "topic.metadata.propagation.max.ms": "100",
        }
        member = RetryingConsumer(settings, unique, "g", handle, RetryPolicy(tries=1))
        assert not member.is_at_work
        member.start()
        try:
            send(settings, unique, {"n": 1})
            wait_for(lambda: member.trouble, bool)
            assert not member.is_at_work
            dead = dead_letter_topic(unique, "g")
            create_topic(settings, dead, 1)
            wait_for(lambda: member.is_at_work, bool)
            assert len(list(dead_letters.letters(settings, dead))) == member.dead == 1
        finally:
            member.stop()


def test_the_relay_goes_on_after_its_database_was_away(
    settings: dict[str, str], tmp_path: Path, unique: str
) -> None:
    create_topic(settings, unique, 1)
    engine = connect(f"sqlite:///{tmp_path}/outbox.db")
    relay = OutboxRelay(settings, Outbox(engine))
    with engine.begin() as transaction:
        transaction.execute(text("ALTER TABLE outbox RENAME TO away"))
    relay.start()
    try:
        wait_for(lambda: relay.failed, bool)
        with engine.begin() as transaction:
            transaction.execute(text("ALTER TABLE away RENAME TO outbox"))
        event = outgoing(NewUserCreated(unique, "n", "e", 1), "c")
        event.topic = unique
        row = {"id": unique, "name": "n", "email": unique, "created_at_ms": 1}
        assert Users(engine).register({**row, "password_hash": "h"}, event)
        wait_for(lambda: relay.published, lambda n: n == 1)
    finally:
        relay.stop()
        engine.dispose()
    assert len(read_all(settings, unique, 1)) == 1


def test_an_event_is_handled_once(engine: Engine, unique: str) -> None:
    events = HandledEvents(engine)
    assert events.handle_once(unique, "t", "u")
    assert not events.handle_once(unique, "t", "u")


def test_the_policy_of_the_write_up() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    policy = policy_from(parser.parse_args([]))
    assert policy.tries == 5
    assert [policy.delay_ms(n) for n in (1, 2, 3, 4)] == [1000, 5000, 25_000, 125_000]
    minute = policy_from(parser.parse_args(["--retry-profile", "minute"]))
    assert [minute.delay_ms(n) for n in (1, 4)] == [60_000, 60_000]

"""The plugin's fixtures and helpers, used as a test suite would use them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from ottla.client import Connection
from ottla.client.errors import NoAnswerError
from ottla.testing import KafkaForTests, NotEmbeddedError, eventually, keys_and_values
from ottla.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest

pytest_plugins = ("pytester",)

ROOT = Path(__file__).parents[2]


def test_the_plugin_costs_nothing_until_a_fixture_is_used() -> None:
    """No broker, no client library: a suite that has Ottla installed starts as fast as before."""
    program = (
        "import sys, pytest, ottla.pytest_plugin.plugin; "
        "heavy = {'asyncio', 'confluent_kafka', 'aiokafka', 'ottla.testing', 'ottla.server'}; "
        "sys.exit(', '.join(heavy & {*sys.modules}) or 0)"
    )
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_produce_and_consume_exactly(
    kafka: KafkaForTests,
    kafka_topic: str,
    kafka_producer: Producer,
    kafka_consumer: Callable[..., Consumer],
) -> None:
    consumer = kafka_consumer(kafka_topic, group_id="billing")
    kafka.wait_for_assignment(consumer)
    for n in range(3):
        kafka_producer.produce(kafka_topic, str(n))
    messages = kafka.consume_exactly(consumer, 3)
    assert [m.value() for m in messages] == [b"0", b"1", b"2"]
    consumer.commit(asynchronous=False)
    kafka.assert_lag("billing", 0)
    kafka_producer.produce(kafka_topic, "4")
    kafka_producer.flush()
    kafka.assert_lag("billing", 1)
    with pytest.raises(AssertionError, match="still 1"):
        kafka.assert_lag("billing", 0, timeout_s=0.1)


def test_one_message_too_many_is_said(
    kafka: KafkaForTests, kafka_topic: str, kafka_consumer: Callable[..., Consumer]
) -> None:
    kafka.produce(kafka_topic, "1", "2")
    with pytest.raises(AssertionError, match="one message more"):
        kafka.consume_exactly(kafka_consumer(kafka_topic), 1)


def test_too_few_messages_are_said(
    kafka: KafkaForTests, kafka_topic: str, kafka_consumer: Callable[..., Consumer]
) -> None:
    kafka.produce(kafka_topic, "1")
    with pytest.raises(AssertionError, match=r"\d of 2 messages within 3 s"):
        kafka.consume_exactly(kafka_consumer(kafka_topic), 2, timeout_s=3)


def test_assignments_of_a_group_are_waited_for(
    kafka: KafkaForTests, kafka_consumer: Callable[..., Consumer]
) -> None:
    topic = kafka.new_topic(partitions=4)
    group = f"group-{uuid4().hex[:12]}"
    consumers = [kafka_consumer(topic, group_id=group) for _ in range(2)]
    partitions = kafka.wait_for_assignment(*consumers)
    assert sorted(p.partition for p in partitions) == [0, 1, 2, 3]
    assert all(len(consumer.assignment()) == 2 for consumer in consumers)
    for number in range(4):
        kafka.produce(topic, str(number), partition=number)
    read = [m.value() for consumer in consumers for m in kafka.consume_exactly(consumer, 2)]
    assert sorted(value or b"" for value in read) == [b"0", b"1", b"2", b"3"]


def test_a_wait_for_an_assignment_ends(
    kafka: KafkaForTests, kafka_topic: str, kafka_consumer: Callable[..., Consumer]
) -> None:
    with pytest.raises(AssertionError, match="no assignment within"):
        kafka.wait_for_assignment(kafka_consumer(), timeout_s=0.1)
    kafka.produce(kafka_topic, "early")
    with pytest.raises(AssertionError, match="a record arrived before"):
        kafka.wait_for_assignment(kafka_consumer(kafka_topic), kafka_consumer())


def test_the_lag_of_a_group_that_never_committed_is_not_nothing(kafka: KafkaForTests) -> None:
    with pytest.raises(AssertionError, match="has not committed anything"):
        kafka.lag("nobody")
    with pytest.raises(AssertionError, match="still 'group nobody has not committed"):
        kafka.assert_lag("nobody", 0, timeout_s=0.1)


def test_a_wait_says_what_it_saw_last() -> None:
    numbers = iter(range(100))
    assert eventually(lambda: next(numbers), lambda n: n == 3) == 3
    with pytest.raises(AssertionError, match="still 7 after 0 s"):
        eventually(lambda: 7, lambda n: n == 8, timeout_s=0)


def test_keys_and_values_are_what_assertions_are_about(
    kafka: KafkaForTests, kafka_topic: str
) -> None:
    kafka.produce(kafka_topic, "1", key="a")
    kafka.produce(kafka_topic, b"2")
    assert keys_and_values(kafka.records(kafka_topic)) == [(b"a", b"1"), (None, b"2")]


def test_what_is_queued_at_the_end_of_a_test_is_delivered(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        NAMES = []

        def test_one(kafka_topic, kafka_producer, kafka_consumer):
            NAMES.append(kafka_topic)
            kafka_producer.produce(kafka_topic, "not flushed")
            kafka_consumer(kafka_topic).close()  # closing it once more does no harm

        def test_two(kafka):
            assert [record.value for record in kafka.records(NAMES[0])] == [b"not flushed"]
        """
    )
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=2)


def test_records_shows_all_there_is(kafka: KafkaForTests) -> None:
    topic = kafka.new_topic(partitions=2)
    kafka.produce(topic, b"a", key=b"k", partition=1, headers=[("h", b"v")])
    kafka.produce(topic, b"b", partition=0)
    first, second = kafka.records(topic)
    assert (first.partition, first.value) == (0, b"b")
    assert (second.key, second.headers) == (b"k", (("h", b"v"),))


def test_topics_are_fresh(kafka_topic: str, kafka_admin: AdminClient) -> None:
    assert kafka_topic in kafka_admin.list_topics(timeout=90).topics


def test_a_broker_of_its_own(kafka_broker_factory: Callable[..., KafkaForTests]) -> None:
    own = kafka_broker_factory({"num.partitions": "7", "auto.create.topics.enable": "true"})
    own.produce("made-on-first-use", "x")
    assert len(own.admin.list_topics(timeout=90).topics["made-on-first-use"].partitions) == 7


def test_injected_errors_reach_the_client_and_end(
    kafka_broker_factory: Callable[..., KafkaForTests],
) -> None:
    own = kafka_broker_factory()
    topic = own.new_topic()
    own.control.inject("produce", error="TOPIC_AUTHORIZATION_FAILED")
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        own.produce(topic, "x")
    own.produce(topic, "y")
    assert [r.value for r in own.records(topic)] == [b"y"]


def test_retriable_errors_and_disconnects_are_survived_by_the_client(
    kafka_broker_factory: Callable[..., KafkaForTests],
) -> None:
    own = kafka_broker_factory()
    topic = own.new_topic()
    refused = own.control.inject("produce", error="NOT_LEADER_OR_FOLLOWER", times=2)
    cut = own.control.inject("fetch", disconnect=True)
    own.produce(topic, "x")
    assert [r.value for r in own.records(topic)] == [b"x"]
    assert refused.seen == 2
    assert cut.seen == 1


def test_faults_stay_until_they_are_cleared(
    kafka_broker_factory: Callable[..., KafkaForTests],
) -> None:
    own = kafka_broker_factory()
    topic = own.new_topic()
    for_ever = own.control.inject("produce", error="POLICY_VIOLATION", times=-1)
    for _ in range(2):
        with pytest.raises(KafkaException, match="POLICY_VIOLATION"):
            own.produce(topic, "x")
    assert for_ever.seen == 2
    own.control.clear()
    own.produce(topic, "y")
    assert [r.value for r in own.records(topic)] == [b"y"]


def test_injected_delays_hold_the_answer(
    kafka_broker_factory: Callable[..., KafkaForTests],
) -> None:
    own = kafka_broker_factory()
    topic = own.new_topic()
    own.control.inject("produce", delay_ms=300)
    started = time.monotonic()
    own.produce(topic, "x")
    assert time.monotonic() - started >= 0.3


def test_time_moves_sessions(kafka_broker_factory: Callable[..., KafkaForTests]) -> None:
    """A member whose heartbeats do not arrive is taken out, without 45 seconds of waiting."""
    own = kafka_broker_factory()
    topic = own.new_topic()
    consumer = own.consumer(topic, group_id="g", session_timeout_ms=45_000)
    own.wait_for_assignment(consumer)

    def members() -> int:
        return len(own.admin.describe_consumer_groups(["g"])["g"].result(90).members)

    assert members() == 1
    with own.freeze_group("g"):
        own.control.advance_time(44)
        assert members() == 1
        own.control.advance_time(2)
        assert members() == 0
    consumer.close()


def test_time_moves_transactions(kafka_broker_factory: Callable[..., KafkaForTests]) -> None:
    """One that has taken too long is aborted, and its producer hears of it."""
    own = kafka_broker_factory()
    topic = own.new_topic()
    producer = own.producer(transactional_id="t", transaction_timeout_ms=60_000)
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(topic, "late")
    producer.flush(90)
    own.control.advance_time(70)
    with pytest.raises(KafkaException):
        producer.commit_transaction()
    own.produce(topic, "later")
    assert [r.value for r in own.records(topic)] == [b"later"]


def test_time_moves_retention(kafka_broker_factory: Callable[..., KafkaForTests]) -> None:
    own = kafka_broker_factory({"log.retention.check.interval.ms": "1000"})
    topic = own.new_topic(
        config={
            "retention.ms": "3600000",
            "segment.ms": "600000",
            "message.timestamp.type": "LogAppendTime",
        }
    )
    own.produce(topic, "old")
    own.control.advance_time(700)
    own.produce(topic, "new")
    own.control.advance_time(3200)
    eventually_records(own, topic, [b"new"])


def eventually_records(own: KafkaForTests, topic: str, expected: list[bytes]) -> None:
    deadline = time.monotonic() + 90
    while [r.value for r in own.records(topic)] != expected:
        assert time.monotonic() < deadline, own.records(topic)


def test_a_frozen_group_commits_nothing(
    kafka_broker_factory: Callable[..., KafkaForTests],
) -> None:
    own = kafka_broker_factory()
    topic = own.new_topic()
    own.produce(topic, "1", "2")
    consumer = own.consumer(topic, group_id="g", enable_auto_commit=False)
    own.consume_exactly(consumer, 2)
    consumer.commit(offsets=[own_position(topic, 1)], asynchronous=False)
    with own.freeze_group("g"):
        done = threading.Thread(target=lambda: consumer.commit(asynchronous=False))
        done.start()
        assert own.lag("g") == 1
    done.join(90)
    assert not done.is_alive()
    assert own.lag("g") == 0
    consumer.close()


def test_a_frozen_group_takes_no_offsets_of_a_transaction(
    kafka_broker_factory: Callable[..., KafkaForTests],
) -> None:
    own = kafka_broker_factory()
    topic = own.new_topic()
    own.produce(topic, "1", "2")
    consumer = own.consumer(topic, group_id="g", enable_auto_commit=False)
    own.consume_exactly(consumer, 2)
    consumer.commit(offsets=[own_position(topic, 1)], asynchronous=False)
    producer = own.producer(transactional_id="t")
    producer.init_transactions()
    producer.begin_transaction()

    def commit() -> None:
        member = consumer.consumer_group_metadata()
        producer.send_offsets_to_transaction([own_position(topic, 2)], member)
        producer.commit_transaction()

    with own.freeze_group("g"):
        done = threading.Thread(target=commit)
        done.start()
        assert own.lag("g") == 1
    done.join(90)
    assert not done.is_alive()
    own.assert_lag("g", 0)
    consumer.close()


def test_nobody_joins_a_frozen_share_group(
    kafka_broker_factory: Callable[..., KafkaForTests],
) -> None:
    own = kafka_broker_factory()
    assert own.broker is not None
    topic = own.new_topic()
    member = str(uuid4())
    join = ShareGroupHeartbeatRequest("s", member, 0, None, [topic])
    with own.freeze_group("s"), Connection("127.0.0.1", own.broker.port) as joining:
        with pytest.raises(NoAnswerError):
            joining.request(join, timeout_ms=300)
    with Connection("127.0.0.1", own.broker.port) as joining:
        assert joining.request(join).member_epoch >= 1


def own_position(topic: str, offset: int) -> Any:
    from confluent_kafka import TopicPartition

    return TopicPartition(topic, 0, offset)


def test_another_kafka_takes_no_faults(kafka: KafkaForTests) -> None:
    other = KafkaForTests(kafka.bootstrap_servers)
    with pytest.raises(NotEmbeddedError, match="is not embedded"):
        other.control.clear()


def test_unknown_names_are_refused(kafka_broker_factory: Callable[..., KafkaForTests]) -> None:
    own = kafka_broker_factory()
    with pytest.raises(ValueError, match="there is no API 'prodoce'"):
        own.control.inject("prodoce")
    with pytest.raises(ValueError, match="there is no error 'NOPE'"):
        own.control.inject("produce", error="NOPE")


async def test_aiokafka_fixtures(
    kafka_topic: str,
    kafka_async_producer: Callable[..., Any],
    kafka_async_consumer: Callable[..., Any],
) -> None:
    async with kafka_async_producer() as producer:
        await producer.send_and_wait(kafka_topic, b"x")
    async with kafka_async_consumer(kafka_topic) as consumer:
        assert (await consumer.getone()).value == b"x"


def test_the_second_door(pytester: pytest.Pytester, kafka: KafkaForTests) -> None:
    """With --kafka-bootstrap-servers the fixtures use the given Kafka."""
    pytester.makepyfile(
        """
        def test_it(kafka, kafka_topic):
            assert kafka.broker is None
            kafka.produce(kafka_topic, "x")
            assert [r.value for r in kafka.records(kafka_topic)] == [b"x"]
        """
    )
    result = pytester.runpytest_subprocess(
        f"--kafka-bootstrap-servers={kafka.bootstrap_servers}", "-p", "no:randomly"
    )
    result.assert_outcomes(passed=1)


def test_the_second_door_by_a_variable(
    pytester: pytest.Pytester, kafka: KafkaForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_TEST_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    pytester.makepyfile(
        f"""
        import pytest

        from ottla.testing import NotEmbeddedError

        def test_it(kafka, kafka_broker_factory):
            assert kafka.bootstrap_servers == "{kafka.bootstrap_servers}"
            with pytest.raises(NotEmbeddedError, match="is not embedded"):
                kafka.control
            with pytest.raises(NotEmbeddedError), kafka.freeze_group("g"):
                pass
            own = kafka_broker_factory()
            assert own.bootstrap_servers != kafka.bootstrap_servers
            own.control.clear()
        """
    )
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=1)


A_HUNDRED = """
    import pytest

    @pytest.mark.parametrize("n", range({count}))
    def test_isolated(kafka, kafka_topic, kafka_consumer, n):
        kafka.produce(kafka_topic, str(n))
        consumer = kafka_consumer(kafka_topic, enable_auto_commit=False)
        (message,) = kafka.consume_exactly(consumer, 1, quiet_s=0)
        assert message.value() == str(n).encode()
        consumer.commit(asynchronous=False)
"""


def test_a_hundred_isolated_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(A_HUNDRED.format(count=100))
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=100)


def test_the_time_to_a_first_record_is_measured() -> None:
    """As docs/testing.md says; Apache Kafka, which needs Java, is left to people."""
    words = ["-m", "benchmarks.first_record", "--rounds", "1", "embedded", "mock"]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines()[2:]]
    assert [title.strip() for title, *_ in rows] == [
        "Ottla, the `kafka` fixture",
        "librdkafka's mock cluster",
    ]
    for _, ready, read, spent in rows:
        assert 0 < float(ready) < float(read)
        assert float(spent) > 0


def test_each_worker_of_xdist_has_a_broker(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, pathlib, pytest

        @pytest.mark.parametrize("n", range(8))
        def test_it(kafka, kafka_topic, n):
            kafka.produce(kafka_topic, "x")
            worker = os.environ["PYTEST_XDIST_WORKER"]
            pathlib.Path(f"{worker}-{kafka.broker.port}").touch()
        """
    )
    pytester.runpytest_subprocess("-n", "2", "-p", "no:randomly").assert_outcomes(passed=8)
    brokers = [path.name.split("-") for path in pytester.path.glob("gw*-*")]
    assert len({port for _, port in brokers}) == len({worker for worker, _ in brokers}) == 2


def test_unittest(pytester: pytest.Pytester) -> None:
    program = pytester.makepyfile(
        """
        import unittest

        from ottla.testing import KafkaForTests

        class OrdersTest(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.kafka = cls.enterClassContext(KafkaForTests.start())

            def test_an_order_arrives(self):
                topic = self.kafka.new_topic()
                self.kafka.produce(topic, "a chair")
                self.assertEqual([r.value for r in self.kafka.records(topic)], [b"a chair"])

        unittest.main()
        """
    )
    result = pytester.run(sys.executable, program)
    assert result.ret == 0, result.stderr.str()


def test_a_group_that_has_committed_goes_on_there(kafka: KafkaForTests, kafka_topic: str) -> None:
    """Also with the assignment that spares librdkafka's wait, eager, cooperative and KIP-848."""
    kafka.produce(kafka_topic, "1", "2", "3")
    for config in (
        {},
        {"partition_assignment_strategy": "cooperative-sticky"},
        {"group_protocol": "consumer"},
    ):
        group = f"group-{uuid4().hex[:12]}"
        first = kafka.consumer(kafka_topic, group_id=group, enable_auto_commit=False, **config)
        (message,) = first.consume(1, 90)
        first.commit(message, asynchronous=False)
        first.close()
        second = kafka.consumer(kafka_topic, group_id=group, **config)
        assert [m.value() for m in kafka.consume_exactly(second, 2)] == [b"2", b"3"]
        second.close()


def test_a_broker_that_asks_for_a_password(
    kafka_broker_factory: Callable[..., KafkaForTests],
) -> None:
    login = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_ada="s3cret";'
    own = kafka_broker_factory(
        {
            "listeners": "SASL_PLAINTEXT://localhost:0",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": login,
        },
        client={
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "ada",
            "sasl.password": "s3cret",
        },
    )
    topic = own.new_topic()
    own.produce(topic, "x")
    assert [r.value for r in own.records(topic)] == [b"x"]
    own.consume_exactly(own.consumer(topic), 1)


def test_strict_and_lenient_protocol(kafka_broker_factory: Callable[..., KafkaForTests]) -> None:
    """Strict brokers refuse what Kafka 4 has dropped; others take clients of 2018."""
    oldest = {}
    for protocol in ("strict", "full"):
        own = kafka_broker_factory({"ottla.protocol": protocol})
        assert own.broker is not None
        with Connection("127.0.0.1", own.broker.port) as connection:
            oldest[protocol] = connection.api_versions()[1][0]  # of Fetch
    assert oldest["full"] == 0
    assert oldest["strict"] > 0

"""Money is moved in transactions while the broker dies again and again: none appears, none goes."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from tests.crash.harness import PARTITIONS, PATIENT, TOPIC, BrokerProcess, create_topic


class Bank:
    """One teller; each transfer takes from one account and gives to another."""

    def __init__(self, bootstrap_servers: str, seed: int) -> None:
        self._rng = random.Random(seed)
        self._bootstrap_servers = bootstrap_servers
        self._stopping = threading.Event()
        self.has_new = threading.Event()
        #: Transfers that were certainly committed, or certainly not.
        self.committed: set[int] = set()
        self.aborted: set[int] = set()
        self.tellers = 0
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(90)
        assert not self._thread.is_alive()

    def _new_teller(self) -> Producer:
        """Fences its predecessor, whose last transfer is thereby decided."""
        self.tellers += 1
        producer = Producer(
            PATIENT
            | {
                "bootstrap.servers": self._bootstrap_servers,
                "transactional.id": "teller",
                "transaction.timeout.ms": 10_000,
                "linger.ms": 0,
            }
        )
        while True:
            try:
                producer.init_transactions(20)
                return producer
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise

    def _work(self) -> None:
        producer = self._new_teller()
        number = 0
        while not self._stopping.is_set():
            number += 1
            is_meant = self._rng.random() < 0.8
            try:
                self._transfer(producer, number, is_meant)
            except KafkaException:
                producer = self._new_teller()

    def _transfer(self, producer: Producer, number: int, is_meant: bool) -> None:
        amount = self._rng.randrange(1, 1000)
        source, target = self._rng.sample(range(PARTITIONS), 2)
        producer.begin_transaction()
        for partition, delta in ((source, -amount), (target, amount)):
            producer.produce(TOPIC, b"%d:%d" % (number, delta), partition=partition)
        try:
            if is_meant:
                self._until_answered(producer.commit_transaction)
                self.committed.add(number)
                self.has_new.set()
            else:
                self.aborted.add(number)
                self._until_answered(producer.abort_transaction)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            self._until_answered(producer.abort_transaction)
            self.aborted.add(number)

    @staticmethod
    def _until_answered(end: object) -> None:
        while True:
            try:
                end(30)  # type: ignore[operator]
                return
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise


def read_committed(bootstrap_servers: str) -> dict[int, list[int]]:
    """Transfer to the deltas that a careful reader sees, from the beginning to the end."""
    consumer = Consumer(
        PATIENT
        | {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "auditor",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(TOPIC, i, 0) for i in range(PARTITIONS)])
    found: dict[int, list[int]] = {}
    ended: set[int] = set()
    while len(ended) < PARTITIONS:
        message = consumer.poll(30)
        assert message is not None, "the end of a partition cannot be read"
        error = message.error()
        if error is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            partition = message.partition()
            assert partition is not None
            ended.add(partition)
            continue
        value = message.value()
        assert value is not None
        number, delta = (int(part) for part in value.split(b":"))
        found.setdefault(number, []).append(delta)
    consumer.close()
    return found


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    process = BrokerProcess(tmp_path)
    process.start()
    yield process
    process.close()


@pytest.mark.timeout(600)
def test_the_balance_never_changes(broker: BrokerProcess) -> None:
    kills = int(os.environ.get("OTTLA_KILLS", "5"))
    seed = int(os.environ.get("OTTLA_CRASH_SEED", "1"))
    rng = random.Random(seed)
    create_topic(broker.bootstrap_servers)
    bank = Bank(broker.bootstrap_servers, seed)
    bank.start()
    for _ in range(kills):
        bank.has_new.clear()
        assert bank.has_new.wait(60), broker.log_text()[-2000:]
        threading.Event().wait(rng.uniform(0, 0.3))
        broker.kill()
        what = rng.choice(("page cache kept", "unsynced lost", "unsynced torn"))
        if what != "page cache kept":
            broker.lose_power(rng if what == "unsynced torn" else None)
        broker.start()
    bank.has_new.clear()
    assert bank.has_new.wait(60), broker.log_text()[-2000:]
    bank.stop()
    found = read_committed(broker.bootstrap_servers)
    halves = Counter(len(deltas) for deltas in found.values())
    assert set(halves) == {2}, f"transfers of other than two halves: {halves}"
    assert sum(sum(deltas) for deltas in found.values()) == 0
    assert bank.committed <= found.keys(), sorted(bank.committed - found.keys())[:5]
    assert not bank.aborted & found.keys(), sorted(bank.aborted & found.keys())[:5]

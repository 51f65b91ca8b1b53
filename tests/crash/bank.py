"""Tellers who move money in transactions, and an auditor who reads what was committed."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from tests.crash.harness import PARTITIONS, PATIENT, TOPIC

#: Takes what librdkafka says of a teller who was shut out: that is meant to happen.
_NOBODY = logging.getLogger("bank")
_NOBODY.addHandler(logging.NullHandler())
_NOBODY.propagate = False


class Bank:
    """Each transfer takes from one account and gives to another. Tellers work at the same time;
    two of one transactional id are rivals, who shut one another out now and then."""

    def __init__(
        self,
        bootstrap_servers: str,
        seed: int,
        topic: str = TOPIC,
        tellers: Sequence[str] = ("teller",),
    ) -> None:
        self._topic = topic
        self._step = len(tellers)
        self._bootstrap_servers = bootstrap_servers
        self._stopping = threading.Event()
        self.has_new = threading.Event()
        #: Transfers that were certainly committed, or certainly not.
        self.committed: set[int] = set()
        self.aborted: set[int] = set()
        self.tellers = 0
        self._names = tellers
        self._threads = [
            threading.Thread(
                target=self._work,
                args=(name, number, tellers.count(name) > 1, random.Random(seed * 10 + number)),
                daemon=True,
            )
            for number, name in enumerate(tellers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(90)
            assert not thread.is_alive()

    def settle(self) -> None:
        """Markers of the last transfers stand in all partitions. A commit is answered once it is
        decided; where nodes are several, each partition hears of it by itself, later."""
        for name in set(self._names):
            self._new_teller(name)

    def _new_teller(self, name: str) -> Producer:
        """Fences its predecessor, whose last transfer is thereby decided."""
        self.tellers += 1
        producer = Producer(
            PATIENT
            | {
                "bootstrap.servers": self._bootstrap_servers,
                "transactional.id": name,
                "transaction.timeout.ms": 10_000,
                "linger.ms": 0,
            },
            logger=_NOBODY,
        )
        while True:
            try:
                producer.init_transactions(20)
                return producer
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise

    def _work(self, name: str, number: int, has_rival: bool, rng: random.Random) -> None:
        producer = self._new_teller(name)
        while not self._stopping.is_set():
            number += self._step
            try:
                self._transfer(producer, number, rng)
            except KafkaException:
                # Rivals who came back at once would get nothing done.
                self._stopping.wait(rng.uniform(0.2, 1) if has_rival else 0)
                producer = self._new_teller(name)

    def _transfer(self, producer: Producer, number: int, rng: random.Random) -> None:
        is_meant = rng.random() < 0.8
        amount = rng.randrange(1, 1000)
        source, target = rng.sample(range(PARTITIONS), 2)
        producer.begin_transaction()
        for partition, delta in ((source, -amount), (target, amount)):
            producer.produce(self._topic, b"%d:%d" % (number, delta), partition=partition)
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


def read_committed(bootstrap_servers: str, topic: str = TOPIC) -> dict[int, list[int]]:
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
    consumer.assign([TopicPartition(topic, i, 0) for i in range(PARTITIONS)])
    found: dict[int, list[int]] = {}
    ended: set[int] = set()
    while len(ended) < PARTITIONS:
        message = consumer.poll(90)
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


def check_bank(bank: Bank, bootstrap_servers: str, topic: str = TOPIC) -> None:
    """Every transfer is there whole or not at all, as the teller was told."""
    found = read_committed(bootstrap_servers, topic)
    torn = {number: deltas for number, deltas in found.items() if len(deltas) != 2}
    assert not torn, f"transfers of other than two halves: {torn} of {len(found)}"
    assert sum(sum(deltas) for deltas in found.values()) == 0
    assert bank.committed <= found.keys(), sorted(bank.committed - found.keys())[:5]
    assert not bank.aborted & found.keys(), sorted(bank.aborted & found.keys())[:5]

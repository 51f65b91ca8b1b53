"""The bank of tests/crash on three nodes of Apache Kafka, of which one after another is killed:
the judge's own answer to the same program, and the same check of every balance."""

from __future__ import annotations

import os
import random

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.conftest import ORACLE_PROPERTIES
from tests.crash.bank import Bank, check_bank
from tests.crash.harness import PARTITIONS, PATIENT, TOPIC

from ottla.client import Cluster
from ottla.engine.apache import ApacheKafka

pytestmark = [
    pytest.mark.apache,
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("OTTLA_CONFORMANCE") != "1",
        reason="[apache-kafka-not-asked-for] run `make conformance`",
    ),
]
NODES = 3
KILLS = 4


@pytest.mark.timeout(900)
def test_the_balance_never_changes_while_leaders_are_killed() -> None:
    rng = random.Random(1)
    with ApacheKafka(brokers=NODES, properties=ORACLE_PROPERTIES) as kafka:
        admin = AdminClient(PATIENT | {"bootstrap.servers": kafka.bootstrap_servers})
        wanted = NewTopic(TOPIC, num_partitions=PARTITIONS, replication_factor=NODES)
        admin.create_topics([wanted])[TOPIC].result(90)
        bank = Bank(kafka.bootstrap_servers, seed=1)
        bank.start()
        for _ in range(KILLS):
            _wait_for_a_transfer(bank)
            with Cluster(kafka.bootstrap_servers) as cluster:
                victim = cluster.partition(TOPIC, rng.randrange(PARTITIONS)).leader_id
            kafka.node(victim).kill()
            _wait_for_a_transfer(bank)
            kafka.restart(victim)
        _wait_for_a_transfer(bank)
        bank.stop()
        bank.settle()
        check_bank(bank, kafka.bootstrap_servers)
        assert len(bank.committed) > KILLS


def _wait_for_a_transfer(bank: Bank) -> None:
    bank.has_new.clear()
    assert bank.has_new.wait(90), "the teller does not get on"

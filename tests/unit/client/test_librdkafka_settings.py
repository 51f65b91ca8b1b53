import pytest

from ottla.client.errors import SettingsError
from ottla.client.librdkafka_settings import librdkafka_settings

SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


def test_java_names_become_librdkafkas() -> None:
    assert librdkafka_settings(
        {
            "fetch.max.wait.ms": "10",
            "key.deserializer": "org.apache.kafka.x.Y",
            "buffer.memory": "33554432",
            "partition.assignment.strategy": "a.b.StickyAssignor, a.b.RoundRobinAssignor",
            "auto.offset.reset": "none",
        }
    ) == {
        "fetch.wait.max.ms": "10",
        "queue.buffering.max.kbytes": "32768",
        "partition.assignment.strategy": "roundrobin",
        "auto.offset.reset": "error",
    }


def test_credentials_come_out_of_the_jaas_line() -> None:
    line = f'{SCRAM} required username="al" password="a\\"b";'
    assert librdkafka_settings({"sasl.jaas.config": line}) == {
        "sasl.username": "al",
        "sasl.password": 'a"b',
    }


def test_a_java_key_store_is_refused_with_what_to_do() -> None:
    with pytest.raises(SettingsError, match="PEM"):
        librdkafka_settings({"ssl.truststore.location": "x.jks"})

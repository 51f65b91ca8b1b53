"""Configuration: layers, refusals, effective values, descriptions and changes."""

from __future__ import annotations

from pathlib import Path

import pytest

import ottla
from ottla.broker.config import (
    OPERATION_APPEND,
    OPERATION_DELETE,
    OPERATION_SET,
    OPERATION_SUBTRACT,
    BrokerConfig,
    alter,
    check_group,
)
from ottla.broker.config_definitions import BROKER, GROUP, TOPIC
from ottla.broker.config_sources import from_environment, parse_properties, parse_settings
from ottla.broker.config_types import ConfigError, ConfigSource, Update

CLASSIC = """
############################# Server Basics #############################
broker.id=0
listeners = PLAINTEXT://:9092
num.network.threads=3
log.dirs=/tmp/kafka-logs
num.partitions: 2
log.retention.hours=1
zookeeper.connect=localhost:2181
zookeeper.connection.timeout.ms=18000
my.own.key=with\\
    continuation \\u00e9
"""


def test_a_classic_file_works_and_its_odd_keys_are_named_in_one_warning() -> None:
    config = BrokerConfig.from_layers([parse_properties(CLASSIC)])
    assert config.node_id == 0
    assert config.number("num.partitions") == 2
    assert config.log_directory == "/tmp/kafka-logs"
    assert config.topic_value("retention.ms", {}) == 3_600_000
    warning = config.warning()
    assert warning is not None
    assert "my.own.key" in warning
    assert "zookeeper.connect, " in warning
    assert "num.network.threads" in warning
    assert "num.partitions" not in warning


def test_properties_follow_the_java_rules() -> None:
    text = "a=1\n! note\nb : 2\nc 3\nd\\=e=f\\tg\nlong=one,\\\n   two\nempty=\na=4\n"
    assert parse_properties(text) == {
        "a": "4",
        "b": "2",
        "c": "3",
        "d=e": "f\tg",
        "long": "one,two",
        "empty": "",
    }


def test_defaults_suit_one_machine() -> None:
    config = BrokerConfig()
    assert config.number("group.initial.rebalance.delay.ms") == 0
    assert config.number("offsets.topic.num.partitions") <= 8
    assert config.number("offsets.topic.replication.factor") == 1
    assert config.flag("auto.create.topics.enable")
    assert config.is_fsync
    assert config.node_id == 1
    assert config.warning() is None


def test_every_default_is_a_value_its_key_allows() -> None:
    for key in [*BROKER.values(), *TOPIC.values(), *GROUP.values()]:
        key.parse(key.default)


def test_every_topic_synonym_is_a_broker_key_with_the_same_meaning() -> None:
    config = BrokerConfig()
    for name, key in TOPIC.items():
        for synonym in key.synonyms:
            assert synonym in BROKER, synonym
        assert config.topic_text(name, {}) == key.default


def test_later_layers_win() -> None:
    config = BrokerConfig.from_layers(
        [
            {"num.partitions": "2", "log.segment.bytes": "1000"},
            from_environment({"KAFKA_NUM_PARTITIONS": "3", "KAFKA_NODE_ID": "7"}),
            parse_settings(["num.partitions=4"]),
        ]
    )
    assert config.number("num.partitions") == 4
    assert config.number("log.segment.bytes") == 1000
    assert config.node_id == 7


def test_environment_of_the_well_known_images_is_understood() -> None:
    settings = from_environment(
        {
            "KAFKA_CFG_AUTO_CREATE_TOPICS_ENABLE": "false",
            "KAFKA_ZOOKEEPER_CONNECT": "zookeeper:2181",
            "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://localhost:29092",
            "KAFKA_HEAP_OPTS": "-Xmx1G",
            "KAFKA_CREATE_TOPICS": "a:1:1,b:3:1:compact",
            "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
            "KAFKA_PORT": "tcp://10.0.0.1:9092",
            "KAFKA_MY_OWN__KEY": "x",
            "PATH": "/bin",
        }
    )
    assert settings == {
        "auto.create.topics.enable": "false",
        "zookeeper.connect": "zookeeper:2181",
        "advertised.listeners": "PLAINTEXT://localhost:29092",
        "my.own-key": "x",
        "ottla.create.topics": "a:1:1,b:3:1:compact",
    }


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("num.partitions", "zero", "a whole number"),
        ("num.partitions", "0", "[1,...]"),
        ("auto.create.topics.enable", "yes", "true or false"),
        ("compression.type", "brotli", "zstd"),
        ("log.cleanup.policy", "delete,burn", "[compact, delete]"),
        ("log.cleaner.min.cleanable.ratio", "1.5", "[0,...,1]"),
        ("socket.request.max.bytes", "99999999999", "2147483647"),
        ("offsets.topic.replication.factor", "3", "Apache Kafka as the engine"),
        ("default.replication.factor", "2", "Apache Kafka as the engine"),
        ("compression.gzip.level", "0", "or -1"),
    ],
)
def test_a_wrong_value_is_refused_with_key_value_and_what_is_allowed(
    name: str, text: str, allowed: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        BrokerConfig({name: text})
    for part in (name, text, allowed):
        assert part in str(refusal.value)


def test_a_password_is_never_shown() -> None:
    config = BrokerConfig({"ssl.key.password": "secret"})
    entry = next(e for e in config.describe_broker() if e.name == "ssl.key.password")
    assert entry.value is None
    assert entry.is_sensitive
    assert all(synonym.value is None for synonym in entry.synonyms)


def test_the_finest_unit_of_a_family_wins() -> None:
    settings = {"log.retention.hours": "1", "log.retention.minutes": "5", "log.roll.hours": "2"}
    config = BrokerConfig(settings)
    assert config.topic_value("retention.ms", {}) == 300_000
    assert config.topic_value("segment.ms", {}) == 7_200_000
    assert BrokerConfig({"log.retention.hours": "-1"}).topic_value("retention.ms", {}) == -1


def test_former_addresses_become_listeners() -> None:
    config = BrokerConfig({"host.name": "127.0.0.1", "port": "9999", "advertised.port": "1"})
    assert config.text("listeners") == "PLAINTEXT://127.0.0.1:9999"
    assert config.text("advertised.listeners") == "PLAINTEXT://:1"


def test_per_listener_keys_are_known() -> None:
    config = BrokerConfig({"listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": "x"})
    assert config.unknown == []


def test_topic_overrides_are_checked() -> None:
    config = BrokerConfig()
    config.check_topic({"retention.ms": "-1", "cleanup.policy": "compact,delete"})
    for overrides in (
        {"retention.millis": "1"},
        {"retention.ms": "-2"},
        {"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "5"},
        {"remote.storage.enable": "true"},
    ):
        with pytest.raises(ConfigError):
            config.check_topic(overrides)


def test_a_topic_is_described_with_source_and_synonyms() -> None:
    config = BrokerConfig({"log.retention.minutes": "10"})
    entries = {e.name: e for e in config.describe_topic({"segment.bytes": "4096"})}
    assert set(entries) == set(TOPIC)
    retention = entries["retention.ms"]
    assert (retention.value, retention.source) == ("600000", ConfigSource.STATIC_BROKER_CONFIG)
    assert [(s.name, s.value) for s in retention.synonyms] == [
        ("log.retention.minutes", "10"),
    ]
    segment = entries["segment.bytes"]
    assert segment.source is ConfigSource.DYNAMIC_TOPIC_CONFIG
    assert segment.synonyms[0] == ("segment.bytes", "4096", ConfigSource.DYNAMIC_TOPIC_CONFIG)
    assert entries["flush.ms"].is_default


def test_dynamic_layers_stand_above_static_ones() -> None:
    config = BrokerConfig({"log.retention.ms": "1000"})
    config.check_dynamic({"log.retention.ms": "2000"})
    config.set_dynamic({"log.retention.ms": "2000"}, {})
    assert config.topic_value("retention.ms", {}) == 2000
    config.set_dynamic({"log.retention.ms": "2000"}, {"log.retention.ms": "3000"})
    assert config.topic_value("retention.ms", {}) == 3000
    entry = next(e for e in config.describe_broker() if e.name == "log.retention.ms")
    assert [s.value for s in entry.synonyms] == ["3000", "2000", "1000", "168"]
    read_only = next(n for n, k in BROKER.items() if k.update is Update.READ_ONLY)
    for settings in ({read_only: "1"}, {"nobody.knows": "1"}, {"log.retention.ms": "x"}):
        with pytest.raises(ConfigError):
            config.check_dynamic(settings)


def test_incremental_changes() -> None:
    changed = alter(
        TOPIC,
        {"retention.ms": "1", "segment.bytes": "100"},
        {"cleanup.policy": "delete"},
        [
            ("retention.ms", OPERATION_DELETE, None),
            ("cleanup.policy", OPERATION_APPEND, "compact"),
            ("segment.bytes", OPERATION_SET, "200"),
        ],
    )
    assert changed == {"cleanup.policy": "delete,compact", "segment.bytes": "200"}
    changed = alter(TOPIC, changed, {}, [("cleanup.policy", OPERATION_SUBTRACT, "delete")])
    assert changed["cleanup.policy"] == "compact"
    for operation in (
        ("segment.bytes", OPERATION_APPEND, "1"),
        ("segment.bytes", OPERATION_SET, None),
        ("cleanup.policy", 9, "x"),
    ):
        with pytest.raises(ConfigError):
            alter(TOPIC, {}, {}, [operation])


def test_groups_fall_back_to_the_broker() -> None:
    config = BrokerConfig({"group.consumer.session.timeout.ms": "50000"})
    entries = {e.name: e for e in config.describe_group({"share.delivery.count.limit": "3"})}
    assert entries["consumer.session.timeout.ms"].value == "50000"
    assert entries["share.delivery.count.limit"].source is ConfigSource.GROUP_CONFIG
    check_group({"consumer.session.timeout.ms": "45000"})
    with pytest.raises(ConfigError):
        check_group({"nobody.knows": "1"})
    with pytest.raises(ConfigError):
        parse_settings(["no equals"])


def test_keys_said_to_be_without_use_are_used_nowhere() -> None:
    """And what is used is not said to be without use: the warning would mislead."""
    package = Path(ottla.__file__).parent
    rooms = ("broker", "coordinator", "handlers", "server", "storage")
    sources = [p for room in rooms for p in (package / room).rglob("*.py")]
    text = "".join(p.read_text() for p in sources if not p.name.endswith("_keys.py"))
    used = [key.name for key in BROKER.values() if not key.has_use and f'"{key.name}"' in text]
    assert used == []

"""The manifests and settings of examples/scaling: each by its schema, all by one another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from confluent_kafka import Producer
from confluent_kafka.admin import ConfigResource, ResourceType
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ottla.client.librdkafka_settings import librdkafka_settings
from ottla.client.properties_files import read_properties
from ottla.testing import KafkaForTests

HERE = Path(__file__).parents[2] / "examples" / "scaling"
CLUSTER = "strimzi.io/cluster"


class Strict(BaseModel):
    """Keys that are not written here are misspelt. Names are those of Strimzi's v1 API."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Metadata(Strict):
    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    labels: dict[str, str] = {}


class Amounts(Strict):
    cpu: str | None = None
    memory: str = Field(pattern=r"^\d+[MG]i$")


class Resources(Strict):
    requests: Amounts
    limits: Amounts


class Volume(Strict):
    id: int
    type: Literal["persistent-claim", "ephemeral"]
    size: str = Field(pattern=r"^\d+Gi$")
    kraft_metadata: Literal["shared"] = Field(alias="kraftMetadata")
    delete_claim: bool = Field(alias="deleteClaim")


class Storage(Strict):
    type: Literal["jbod"]
    volumes: list[Volume] = Field(min_length=1)


class PoolSpec(Strict):
    replicas: int = Field(gt=0)
    roles: list[Literal["broker", "controller"]] = Field(min_length=1)
    resources: Resources
    jvm_options: dict[Literal["-Xms", "-Xmx"], str] | None = Field(None, alias="jvmOptions")
    storage: Storage
    template: dict[Literal["pod"], dict[str, Any]] | None = None


class Authentication(Strict):
    type: Literal["scram-sha-512", "tls"]


class Authorization(Strict):
    type: Literal["simple"]


class Listener(Strict):
    name: str = Field(pattern=r"^[a-z0-9]{1,11}$")
    port: int = Field(ge=9092)
    type: Literal["internal", "route", "loadbalancer", "nodeport", "ingress", "cluster-ip"]
    tls: bool
    authentication: Authentication | None = None


class KafkaPart(Strict):
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    metadata_version: str = Field(alias="metadataVersion", pattern=r"^\d+\.\d+-IV\d+$")
    listeners: list[Listener] = Field(min_length=1)
    authorization: Authorization | None = None
    config: dict[str, int | bool | str]


class EntityOperator(Strict):
    topic_operator: dict[str, Any] = Field(alias="topicOperator")
    user_operator: dict[str, Any] = Field(alias="userOperator")


class KafkaSpec(Strict):
    kafka: KafkaPart
    entity_operator: EntityOperator = Field(alias="entityOperator")


class TopicSpec(Strict):
    partitions: int = Field(gt=0)
    replicas: int = Field(gt=0)
    config: dict[str, int | str | bool] = {}


class AclResource(Strict):
    type: Literal["topic", "group", "cluster", "transactionalId"]
    name: str | None = None
    pattern_type: Literal["literal", "prefix"] | None = Field(None, alias="patternType")


class Acl(Strict):
    resource: AclResource
    operations: list[
        Literal[
            "Read", "Write", "Create", "Delete", "Alter", "Describe", "ClusterAction",
            "AlterConfigs", "DescribeConfigs", "IdempotentWrite", "All",
        ]
    ]  # fmt: skip


class UserAuthorization(Authorization):
    acls: list[Acl]


class UserSpec(Strict):
    authentication: Authentication
    authorization: UserAuthorization


class Document(Strict):
    api_version: Literal["kafka.strimzi.io/v1"] = Field(alias="apiVersion")
    metadata: Metadata


class NodePool(Document):
    kind: Literal["KafkaNodePool"]
    spec: PoolSpec


class Kafka(Document):
    kind: Literal["Kafka"]
    spec: KafkaSpec


class Topic(Document):
    kind: Literal["KafkaTopic"]
    spec: TopicSpec


class User(Document):
    kind: Literal["KafkaUser"]
    spec: UserSpec


Any_ = TypeAdapter[NodePool | Kafka | Topic | User](
    Annotated[NodePool | Kafka | Topic | User, Field(discriminator="kind")]
)


@pytest.fixture(scope="module")
def manifest() -> list[NodePool | Kafka | Topic | User]:
    text = (HERE / "strimzi.yaml").read_text()
    return [Any_.validate_python(document) for document in yaml.safe_load_all(text)]


def test_the_manifest_is_strimzis_and_belongs_together(
    manifest: list[NodePool | Kafka | Topic | User],
) -> None:
    (kafka,) = [d for d in manifest if isinstance(d, Kafka)]
    pools = [d for d in manifest if isinstance(d, NodePool)]
    for document in manifest:
        if document is not kafka:
            assert document.metadata.labels[CLUSTER] == kafka.metadata.name
    by_role = {role: pool for pool in pools for role in pool.spec.roles}
    assert by_role["controller"].spec.replicas % 2 == 1, "a quorum is odd"
    brokers = by_role["broker"].spec.replicas
    config = kafka.spec.kafka.config
    for key, value in config.items():
        if key.endswith("replication.factor"):
            assert int(value) <= brokers, key
        if key.endswith((".min.isr", "insync.replicas")):
            assert int(value) < brokers, f"{key}: the death of one broker would stop writes"
    for topic in manifest:
        if isinstance(topic, Topic):
            assert topic.spec.replicas <= brokers


def test_every_broker_setting_of_the_manifest_is_kafkas(
    manifest: list[NodePool | Kafka | Topic | User], bootstrap_servers: str
) -> None:
    admin = KafkaForTests(bootstrap_servers).admin
    (broker,) = [str(b) for b in list(admin.list_topics(timeout=90).brokers)[:1]]
    resource = ConfigResource(ResourceType.BROKER, broker)
    known = admin.describe_configs([resource])[resource].result(90)
    (kafka,) = [d for d in manifest if isinstance(d, Kafka)]
    assert kafka.spec.kafka.config.keys() - known.keys() == set()


def test_the_managed_services_file_makes_a_client() -> None:
    settings = librdkafka_settings(read_properties(str(HERE / "managed-service.properties")))
    assert settings["sasl.username"] == "API-KEY"
    assert settings["sasl.password"] == "API-SECRET"
    Producer({**settings, "log_level": 0}).purge()


def test_the_managed_services_topics_can_be_made(bootstrap_servers: str, unique: str) -> None:
    kafka = KafkaForTests(bootstrap_servers)
    (topic,) = json.loads((HERE / "managed-topics.json").read_text())["topics"]
    config = {k: v for k, v in topic["config"].items() if k != "min.insync.replicas"}
    kafka.new_topic(topic["partitions"], config, unique)
    assert len(kafka.admin.list_topics(unique, timeout=90).topics[unique].partitions) == 12

"""TLS, SASL and ACLs with real clients against a broker that `ottla secure` configured."""

from __future__ import annotations

import base64
import json
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewTopic
from tests.support.processes import running

from ottla.cli import main
from ottla.cli.certificates import Authority
from ottla.client.properties_files import read_properties
from ottla.embedded import Broker

PASSWORDS = {"ada": "ada's secret", "bob": 'b"o,b=', "root": "top"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, broker.pem, client.pem (CN=ada) and stranger.pem (another authority)."""
    folder = tmp_path_factory.mktemp("keys")
    authority = Authority.create()
    authority.save(folder)
    names = ["localhost", "127.0.0.1", "::1"]
    (folder / "broker.pem").write_bytes(authority.issue("broker", names, is_server=True))
    (folder / "client.pem").write_bytes(authority.issue("ada", [], is_server=False))
    stranger = Authority.create().issue("eve", [], is_server=False)
    (folder / "stranger.pem").write_bytes(stranger)
    return folder


def quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


@pytest.fixture(scope="module")
def broker(keys: Path) -> Iterator[Broker]:
    """SASL_SSL with every mechanism, ACLs on, root a super user, short sessions."""
    users = " ".join(f'user_{n}="{quoted(p)}"' for n, p in PASSWORDS.items())
    with Broker(
        config={
            "listeners": "SASL_SSL://localhost:0",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f"PlainLoginModule required {users};",
            "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config": (
                'OAuthBearerLoginModule required allowUnsecuredTokens="true";'
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(keys / "broker.pem"),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:root",
            "connections.max.reauth.ms": "3000",
        }
    ) as running:
        yield running


def login(broker: Broker, keys: Path, user: str, mechanism: str = "PLAIN") -> dict[str, Any]:
    return {
        "bootstrap.servers": broker.bootstrap_servers,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": mechanism,
        "sasl.username": user,
        "sasl.password": PASSWORDS[user],
        "ssl.ca.location": str(keys / "ca.pem"),
        "log_level": 0,
    }


def add_scram_user(broker: Broker, keys: Path, user: str) -> None:
    admin = AdminClient(login(broker, keys, "root"))
    for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
        info = ScramCredentialInfo(mechanism, 4096)
        change = UserScramCredentialUpsertion(user, info, PASSWORDS[user].encode())
        for future in admin.alter_user_scram_credentials([change]).values():
            future.result(90)


def allow(broker: Broker, keys: Path, user: str, kind: str, name: str, *operations: str) -> None:
    admin = AdminClient(login(broker, keys, "root"))
    acls = [
        AclBinding(
            ResourceType[kind],
            name,
            ResourcePatternType.LITERAL,
            f"User:{user}",
            "*",
            AclOperation[operation],
            AclPermissionType.ALLOW,
        )
        for operation in operations
    ]
    for future in admin.create_acls(acls).values():
        future.result(90)


def make_topic(broker: Broker, keys: Path, name: str) -> None:
    admin = AdminClient(login(broker, keys, "root"))
    admin.create_topics([NewTopic(name, 1)])[name].result(90)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_produce_and_consume_as_an_allowed_user(broker: Broker, keys: Path, mechanism: str) -> None:
    topic = f"mine-{mechanism.lower()}"
    make_topic(broker, keys, topic)
    add_scram_user(broker, keys, "ada")
    allow(broker, keys, "ada", "TOPIC", topic, "READ", "WRITE")
    allow(broker, keys, "ada", "GROUP", topic, "READ")
    settings = login(broker, keys, "ada", mechanism)
    producer = Producer({**settings, "enable.idempotence": True})
    producer.produce(topic, b"hello")
    assert producer.flush(90) == 0
    consumer = Consumer({**settings, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    message = consumer.poll(90)
    assert message is not None
    assert message.value() == b"hello"
    consumer.close()


def test_others_may_not(broker: Broker, keys: Path) -> None:
    make_topic(broker, keys, "secrets")
    failures: list[str] = []
    producer = Producer(login(broker, keys, "bob"))
    producer.produce("secrets", b"x", on_delivery=lambda error, _: failures.append(error.name()))
    producer.flush(90)
    assert failures == ["TOPIC_AUTHORIZATION_FAILED"]
    admin = AdminClient(login(broker, keys, "bob"))
    with pytest.raises(KafkaException, match="AUTHORIZATION_FAILED"):
        admin.delete_topics(["secrets"])["secrets"].result(90)
    assert "secrets" not in admin.list_topics(timeout=90).topics
    assert "secrets" in AdminClient(login(broker, keys, "root")).list_topics(timeout=90).topics


def test_acls_are_described_and_deleted(broker: Broker, keys: Path) -> None:
    allow(broker, keys, "ada", "TOPIC", "listed", "READ", "WRITE")
    admin = AdminClient(login(broker, keys, "root"))
    listed = AclBindingFilter(
        ResourceType.TOPIC,
        "listed",
        ResourcePatternType.ANY,
        None,
        None,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    assert len(admin.describe_acls(listed).result(90)) == 2
    deleted = admin.delete_acls([listed])[listed].result(90)
    assert {acl.operation for acl in deleted} == {AclOperation.READ, AclOperation.WRITE}
    assert admin.describe_acls(listed).result(90) == []


def test_wrong_passwords_and_plain_sockets_are_refused(broker: Broker, keys: Path) -> None:
    for change in (
        {"sasl.password": "wrong"},
        {"sasl.password": "wrong", "sasl.mechanism": "SCRAM-SHA-256"},
        {"sasl.mechanism": "GSSAPI", "security.protocol": "SASL_PLAINTEXT"},
        {"security.protocol": "PLAINTEXT"},
    ):
        mechanism = change.get("sasl.mechanism")
        if mechanism == "GSSAPI":
            change = {"security.protocol": "SASL_PLAINTEXT"}
        admin = AdminClient({**login(broker, keys, "ada"), **change})
        with pytest.raises(KafkaException):
            admin.list_topics(timeout=2)


def unsecured_token(user: str, life_s: float) -> tuple[str, float]:
    def segment(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    expiry = time.time() + life_s
    return f"{segment({'alg': 'none'})}.{segment({'sub': user, 'exp': expiry})}.", expiry


def test_sessions_end_and_clients_authenticate_again(broker: Broker, keys: Path) -> None:
    """Tokens that live two seconds; the client goes on for five without an error (KIP-368)."""
    make_topic(broker, keys, "long")
    allow(broker, keys, "tess", "TOPIC", "long", "READ", "WRITE")
    settings = login(broker, keys, "root", "OAUTHBEARER")
    del settings["sasl.username"], settings["sasl.password"]
    asked: list[float] = []

    def refresh(_: str) -> tuple[str, float]:
        asked.append(time.monotonic())
        return unsecured_token("tess", 2)

    errors: list[Any] = []
    producer = Producer({**settings, "oauth_cb": refresh, "error_cb": errors.append})
    delivered: list[Any] = []
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        producer.produce("long", b"x", on_delivery=lambda error, _: delivered.append(error))
        producer.poll(0.2)
    assert producer.flush(90) == 0
    assert set(delivered) == {None}
    assert len(asked) >= 2


def test_kafka_python_and_aiokafka_log_in(broker: Broker, keys: Path) -> None:
    from kafka import KafkaAdminClient

    add_scram_user(broker, keys, "ada")
    context = ssl.create_default_context(cafile=str(keys / "ca.pem"))
    for mechanism in ("PLAIN", "SCRAM-SHA-512"):
        admin = KafkaAdminClient(
            bootstrap_servers=broker.bootstrap_servers,
            security_protocol="SASL_SSL",
            sasl_mechanism=mechanism,
            sasl_plain_username="ada",
            sasl_plain_password=PASSWORDS["ada"],
            ssl_context=context,
        )
        admin.describe_cluster()
        admin.close()


async def test_aiokafka_logs_in(broker: Broker, keys: Path) -> None:
    from aiokafka import AIOKafkaProducer

    make_topic(broker, keys, "async")
    context = ssl.create_default_context(cafile=str(keys / "ca.pem"))
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap_servers,
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_plain_username="root",
        sasl_plain_password=PASSWORDS["root"],
        ssl_context=context,
    )
    await producer.start()
    try:
        await producer.send_and_wait("async", b"x")
    finally:
        await producer.stop()


def test_client_certificates_become_principals(keys: Path) -> None:
    with Broker(
        config={
            "listeners": "SSL://localhost:0",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(keys / "broker.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(keys / "ca.pem"),
            "ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^CN=(.*?)$/$1/U,DEFAULT",
            "authorizer.class.name": "StandardAuthorizer",
            "super.users": "User:ADA",
        }
    ) as broker:
        base = {
            "bootstrap.servers": broker.bootstrap_servers,
            "security.protocol": "SSL",
            "ssl.ca.location": str(keys / "ca.pem"),
            "log_level": 0,
        }

        def with_key(name: str) -> AdminClient:
            path = str(keys / name)
            return AdminClient({**base, "ssl.certificate.location": path, "ssl.key.location": path})

        known = with_key("client.pem")
        known.create_topics([NewTopic("t", 1)])["t"].result(90)
        for stranger in (with_key("stranger.pem"), AdminClient(base)):
            with pytest.raises(KafkaException):
                stranger.list_topics(timeout=2)


def test_what_ottla_secure_makes_works_as_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "secure"
    assert main.main(["secure", str(folder), "--user", "ada", "--port", "0"]) == 0
    assert "ottla up --config" in capsys.readouterr().out
    assert main.main(["secure", str(folder)]) == 1
    assert (folder / "ca.key").stat().st_mode & 0o077 == 0
    config = read_properties(str(folder / "server.properties"))
    config["listeners"] = "SASL_SSL://localhost:0"
    client = read_properties(str(folder / "admin.properties"))
    password = client["sasl.jaas.config"].split('password="')[1].split('"')[0]
    assert password not in (folder / "server.properties").read_text()
    with Broker(config=config) as broker:
        admin = AdminClient(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": "admin",
                "sasl.password": password,
                "ssl.ca.location": str(folder / "ca.pem"),
            }
        )
        admin.create_topics([NewTopic("t", 1)])["t"].result(90)
        from ottla.client.cluster import Cluster
        from ottla.client.errors import CannotConnectError
        from ottla.client.security import secured
        from ottla.client.settings import Settings

        with Cluster(broker.bootstrap_servers, secured(Settings(), client)) as cluster:
            assert "t" in [t.name for t in cluster.metadata().topics]
        wrong = {**client, "sasl.jaas.config": client["sasl.jaas.config"].replace(password, "x")}
        with (
            pytest.raises(CannotConnectError, match="refuses the login"),
            Cluster(broker.bootstrap_servers, secured(Settings(), wrong)) as cluster,
        ):
            cluster.metadata()


def test_secrets_are_neither_told_nor_kept(tmp_path: Path) -> None:
    """A real process, users of both kinds, right and wrong passwords; then all that it left."""
    secrets = {"root": "root-Geheimnis-1", "ada": "ada-Geheimnis-2", "": "wrong-Geheimnis-3"}
    config = tmp_path / "server.properties"
    config.write_text(
        "listeners=SASL_PLAINTEXT://127.0.0.1:0\n"
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256\n"
        "listener.name.sasl_plaintext.plain.sasl.jaas.config=PlainLoginModule required"
        f' user_root="{secrets["root"]}";\n'
    )
    data = tmp_path / "data"
    words = ["up", "--bare", "--config", str(config), "--data-dir", str(data)]
    with running(
        [sys.executable, "-m", "ottla.cli.main", *words, "--set", "ottla.metrics.port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = []
        while "Ctrl-C" not in (told[-1:] or [""])[0]:
            told.append(process.stdout.readline())
            assert told[-1], "".join(told)
        (address,) = re.findall(r"^ +broker +(\S+)$", "".join(told), re.MULTILINE)

        def user(name: str, password: str, mechanism: str) -> AdminClient:
            return AdminClient(
                {
                    "bootstrap.servers": address,
                    "security.protocol": "SASL_PLAINTEXT",
                    "sasl.mechanism": mechanism,
                    "sasl.username": name,
                    "sasl.password": password,
                    "log_level": 0,
                }
            )

        root = user("root", secrets["root"], "PLAIN")
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
        change = UserScramCredentialUpsertion("ada", info, secrets["ada"].encode())
        for future in root.alter_user_scram_credentials([change]).values():
            future.result(90)
        user("ada", secrets["ada"], "SCRAM-SHA-256").list_topics(timeout=90)
        for name, mechanism in (("root", "PLAIN"), ("ada", "SCRAM-SHA-256")):
            with pytest.raises(KafkaException):
                user(name, secrets[""], mechanism).list_topics(timeout=2)
        process.terminate()
        told.append(process.stdout.read())
    kept = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert any(b"SCRAM-SHA-256" in content or b"ada" in content for content in kept.values())
    for secret in secrets.values():
        for shown in (secret.encode(), base64.b64encode(secret.encode())):
            assert shown not in "".join(told).encode()
            assert not [path for path, content in kept.items() if shown in content]

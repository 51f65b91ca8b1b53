"""Write-up 1: two services."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tour.run import shows
from tour.stage import Stage, free_port

ROOT = Path(__file__).parents[2]
DEPLOYMENT = ROOT / "examples" / "services-deployment"
PERSON = '{"name": "Ada", "email": "ada@example.org", "password": "correct horse"}'
LOGIN = '{"email": "ada@example.org", "password": "correct horse"}'
JSON = "-H 'content-type: application/json'"


@shows("1.1")
def producer_service(stage: Stage) -> str:
    port = free_port()
    with stage.leaves_running(
        f"ottla demo services producer --producer-port {port} "
        f"--database-url sqlite:///{stage.scratch}/one.db"
    ):
        stage.waits_for_http(f"http://127.0.0.1:{port}/health/ready")
        user = json.loads(stage.types(f"curl -s localhost:{port}/users {JSON} -d '{PERSON}'"))
        token = stage.types(f"curl -s localhost:{port}/tokens {JSON} -d '{LOGIN}'")
        stage.sees(token.count(".") >= 2, "no signed token came back")
        for topic, key in (("new-user-created", "null"), ("issued-token", user["id"])):
            stage.types(
                "kafka-console-consumer --bootstrap-server localhost:9092 "
                f"--topic {topic} --from-beginning --max-messages 1 "
                "--formatter-property print.key=true",
                shows=rf"^{re.escape(key)}\t\{{",
            )
    return "a user registered, a signed token issued; both events published, the token's by user"


@shows("1.2")
def consumer_service(stage: Stage) -> str:
    producer_port, consumer_port = free_port(), free_port()
    with stage.leaves_running(
        f"ottla demo services --producer-port {producer_port} --consumer-port {consumer_port} "
        f"--database-url sqlite:///{stage.scratch}/two.db"
    ):
        stage.waits_for_http(f"http://127.0.0.1:{consumer_port}/health/ready")
        with stage.leaves_running(f"curl -sN localhost:{consumer_port}/events") as live:
            person = PERSON.replace("ada@", "grace@")
            made = stage.types(f"curl -s localhost:{producer_port}/users {JSON} -d '{person}'")
            login = LOGIN.replace("ada@", "grace@")
            stage.types(f"curl -s localhost:{producer_port}/tokens {JSON} -d '{login}'")
            live.wait_for("issued-token")
            live.wait_for("new-user-created")
        user = json.loads(made)["id"]
        stage.types(f"curl -s localhost:{consumer_port}/users/{user}", shows="grace@example.org")
        stage.types(
            "kafka-consumer-groups --bootstrap-server localhost:9092 --all-groups --describe",
            shows="issued-token",
        )
    return "both events consumed by groups and pushed live; a question answered by the producer"


@shows("1.3")
def failures(stage: Stage) -> str:
    producer_port, consumer_port = free_port(), free_port()
    with stage.leaves_running(
        f"ottla demo services --producer-port {producer_port} --consumer-port {consumer_port} "
        f"--database-url sqlite:///{stage.scratch}/three.db --failure-rate 1 --retry-profile fast"
    ):
        stage.waits_for_http(f"http://127.0.0.1:{consumer_port}/health/ready")
        person = PERSON.replace("ada@", "linus@")
        stage.types(f"curl -s localhost:{producer_port}/users {JSON} -d '{person}'")
        listed = stage.repeats("ottla dlq list", until=r"new-user-created\S*dlt")
    topic = re.search(r"new-user-created\S*dlt", listed)
    assert topic is not None
    shown = stage.types(f"ottla dlq show {topic[0]}", lines=14)
    stage.sees("5" in shown, "the dead letter does not tell its five tries")
    return f"failed five times, held in retry topics, and lies in {topic[0]} with its history"


@shows("1.4")
def scale(stage: Stage) -> str:
    ports = [free_port() for _ in range(3)]
    database = f"--database-url sqlite:///{stage.scratch}/four.db"
    table = (
        "kafka-consumer-groups --bootstrap-server localhost:9092 --describe "
        "--group consumer-service-users"
    )

    def shared_by(members: int) -> str:
        return stage.repeats(
            table, until=lambda text: len(owners_of("new-user-created", text)) == members
        )

    with stage.leaves_running(
        f"ottla demo services --members 4 --producer-port {ports[0]} "
        f"--consumer-port {ports[1]} {database}"
    ):
        stage.waits_for_http(f"http://127.0.0.1:{ports[1]}/health/ready")
        described = shared_by(4)
        stage.sees(described.count(" new-user-created ") == 8, "the topic has not 8 partitions")
        with stage.leaves_running(
            f"ottla demo services consumer --members 4 --consumer-port {ports[2]} {database} "
            f"--producer-url http://127.0.0.1:{ports[0]}"
        ):
            shared_by(8)
        shared_by(4)
        stage.types(
            "kafka-consumer-groups --bootstrap-server localhost:9092 --all-groups --describe",
            shows="consumer-service-users",
        )
    stage.types("ottla lab keys --fast", shows="✓ within its partition each key is in order")
    return "8 partitions shared by 4 consumers, by 8, and by 4 again; each key in order"


@shows("1.5")
def configuration(stage: Stage) -> str:
    port = free_port()
    file = stage.scratch / "server.properties"
    lines = (
        "broker.id=0",
        f"listeners=PLAINTEXT://localhost:{port}",
        "num.network.threads=3",
        f"log.dirs={stage.scratch}/kafka-logs",
        "num.partitions=8",
        "zookeeper.connect=localhost:2181",
        "zookeeper.connection.timeout.ms=18000",
        "group.initial.rebalance.delay.ms=0",
    )
    file.write_text("\n".join(lines) + "\n")
    with stage.leaves_running(
        "ottla up --bare --name tour-config --config server.properties"
    ) as up:
        up.wait_for("Ctrl-C stops everything")
        topic = stage.unique("tour-config")
        stage.types(f"kafka-topics --bootstrap-server localhost:{port} --create --topic {topic}")
        stage.types(
            f"kafka-topics --bootstrap-server localhost:{port} --describe --topic {topic}",
            shows="PartitionCount: 8",
        )
        warnings = [line for line in up.output.splitlines() if "zookeeper.connect" in line]
    stage.sees(len(warnings) == 1, f"{len(warnings)} warnings name zookeeper.connect, not one")
    return "the file works as it is; one warning names the keys without a use"


@shows("1.6")
def deployment(stage: Stage) -> str:
    stage.types(f"ls {DEPLOYMENT} {DEPLOYMENT}/copilot {DEPLOYMENT}/workflows")
    stage.types(
        "OTTLA_TEST_BOOTSTRAP_SERVERS=localhost:9092 python -m pytest -q -p no:randomly "
        f"-c {ROOT}/pyproject.toml {ROOT}/tests/apps/test_services_deployment.py",
        shows=r"^\d+ passed",
    )
    built = "no Docker Compose here: nothing was built"
    if "Compose version" in stage.types("docker compose version 2>&1", status=None, lines=2):
        stage.types(
            "TOKEN_SECRET=x POSTGRES_PASSWORD=x docker compose "
            f"-f {DEPLOYMENT}/compose.yaml config --quiet"
        )
        built = "Docker Compose reads its file, too"
    return (
        "image, compose file, manifests and workflows fit their schemas and one another; the "
        f"compose file's commands find each other as processes; {built}"
    )


def owners_of(topic: str, table: str) -> set[str]:
    """Member ids in what kafka-consumer-groups prints: GROUP TOPIC PARTITION … CONSUMER-ID …"""
    rows = [line.split() for line in table.splitlines()]
    return {row[6] for row in rows if len(row) > 6 and row[1] == topic} - {"-"}

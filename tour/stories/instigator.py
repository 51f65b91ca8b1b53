"""Write-up 4: Instigator."""

from __future__ import annotations

import json
import re

from tour.run import shows
from tour.stage import Stage, free_port

ADMIN_COMMANDS = (
    "configuration", "connection_stat_reset", "connections", "dirs", "dump", "environment",
    "get_trace_mask", "is_read_only", "monitor", "ruok", "server_stats", "set_trace_mask",
    "stat_reset", "stats", "watch_summary", "watches", "watches_by_path",
)  # fmt: skip


@shows("4.1")
def three_nodes(stage: Stage) -> str:
    """The controller has a node of its own here, so that two of three brokers may die."""
    from ottla.engine.apache import ApacheKafka

    create = "kafka-topics --create --zookeeper zoo3:2181 --replication-factor 3 --partitions 1"
    with ApacheKafka(brokers=3, controllers=1, progress=stage.says) as kafka:
        cluster = stage.beside("apache", kafka.bootstrap_servers)
        compact = "--config cleanup.policy=compact"
        cluster.types(f"{create} --topic testing --config min.insync.replicas=2 {compact}")
        cluster.types(f"{create} --topic daring --config min.insync.replicas=1 {compact}")
        stage.sees(write(kafka.bootstrap_servers, "testing") == "", "three nodes refuse a write")
        kafka.node(1).kill()
        stage.says("broker 1 is killed")
        survives = write(kafka.bootstrap_servers, "testing")
        stage.sees(survives == "", f"one death stops writes: {survives}")
        kafka.node(2).kill()
        stage.says("broker 2 is killed")
        goes_on = write(kafka.bootstrap_servers, "daring")
        stage.sees(goes_on == "", f"min.insync.replicas=1 does not go on: {goes_on}")
        refused = write(kafka.bootstrap_servers, "testing", timeout_s=5)
        stage.sees(refused != "", "min.insync.replicas=2 was not kept with one broker left")
    return (
        "one death: writes go on; two: refused with min.insync.replicas=2, go on with 1. "
        "So three copies tolerate two deaths only with min.insync.replicas=1"
    )


def write(servers: str, topic: str, timeout_s: int = 60) -> str:
    """Write one record with acks=all; empty, or why it could not be written."""
    from confluent_kafka import KafkaError, Message, Producer

    outcome: list[str] = []

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        outcome.append("" if error is None else error.str())

    settings = {"bootstrap.servers": servers, "message.timeout.ms": timeout_s * 1_000}
    producer = Producer({**settings, "acks": "all", "log_level": 0})
    producer.produce(topic, "value", key="key", on_delivery=on_delivery)
    producer.flush(timeout_s + 5)
    return outcome[0] if outcome else "no answer"


@shows("4.2")
def producer_service(stage: Stage) -> str:
    topic, port = stage.unique("SampleOne"), free_port(5000)
    with stage.leaves_running(
        f"ottla demo instigator producer --topic {topic} --interval 0.1 --producer-port {port}"
    ):
        stage.waits_for_http(f"http://127.0.0.1:{port}/")
        stage.types(f"curl -s http://localhost:{port}/start_producer")
        stage.types(
            "kafka-console-consumer --bootstrap-server localhost:9092 "
            f"--topic {topic} --from-beginning --max-messages 3",
            shows="Processed a total of 3 messages",
        )
        stage.types(f"curl -s http://localhost:{port}/stop_producer")
        before, after = (stage.types(f"curl -s http://localhost:{port}/") for _ in range(2))
        stage.sees(count_in(before) == count_in(after), "it produces on after /stop_producer")
    return f"started, {count_in(after)} messages, stopped"


@shows("4.3")
def consumer_service(stage: Stage) -> str:
    topic, port = stage.unique("SampleOne"), free_port(5001)
    stage.types(
        f"seq 20 | kafka-console-producer --bootstrap-server localhost:9092 --topic {topic}"
    )
    with stage.leaves_running(
        f"ottla demo instigator consumer --topic {topic} --group {topic} --consumer-port {port}"
    ):
        stage.waits_for_http(f"http://127.0.0.1:{port}/")
        stage.types(f"curl -s http://localhost:{port}/start_consumer")
        stage.repeats(f"curl -s http://localhost:{port}/", until=r"\b20\b")
        stage.types(f"curl -s http://localhost:{port}/stop_consumer")
    return "started, all 20 messages consumed, stopped"


@shows("4.5")
def burrow(stage: Stage) -> str:
    stage.door("Burrow")
    topic = stage.unique("tour-lag")
    stage.types(f"ottla demo hello --topic {topic} --group {topic} --exit", lines=2)
    clusters = json.loads(stage.types("curl -s http://localhost:8000/v3/kafka"))
    cluster = clusters["clusters"][0]
    address = f"http://localhost:8000/v3/kafka/{cluster}"
    stage.repeats(f"curl -s {address}/consumer", until=topic)
    status = stage.repeats(f"curl -s {address}/consumer/{topic}/lag", until='"status": ?"OK"')
    lag = re.search(r'"totallag": ?(\d+)', status)
    return f"cluster {cluster}: the group is OK, total lag {lag[1] if lag else '?'}"


@shows("4.6")
def admin_commands(stage: Stage) -> str:
    address = stage.door("Admin commands 1")
    for command in ADMIN_COMMANDS:
        answer = stage.types(f"curl -s {address}/commands/{command}", lines=1)
        stage.sees(json.loads(answer)["command"] == command, f"{command} is not answered")
    return f"all {len(ADMIN_COMMANDS)} commands of the text are answered"


@shows("4.7")
def metrics(stage: Stage) -> str:
    topic = stage.unique("tour-metrics")
    stage.types(f"ottla demo hello --topic {topic} --group {topic} --exit", lines=2)
    address = stage.door("Metrics").removesuffix("/metrics")
    cluster = stage.repeats(f"curl -s {address}/metrics", until=rf"consumergroup.*{topic}")
    broker = stage.types(f"curl -s {stage.door('broker metrics')}", lines=2)
    for name in (
        "kafka_brokers",
        "kafka_topic_partition_current_offset",
        "kafka_consumergroup_lag",
    ):
        stage.sees(bool(re.search(rf"^{name}\b", cluster, re.MULTILINE)), f"{name} is missing")
    stage.sees("kafka_server_brokertopicmetrics_bytesin_total" in broker, "no broker metrics")
    names = set(re.findall(r"^# TYPE (kafka_\S+)", cluster + broker, re.MULTILINE))
    return f"{len(names)} metrics with Kafka's usual names: kafka_exporter's and JMX's"


def count_in(text: str) -> int:
    """The largest number in an answer: how many messages there were."""
    return max((int(number) for number in re.findall(r"\b\d{1,6}\b", text)), default=0)

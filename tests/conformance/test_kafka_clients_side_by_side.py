"""Kafka's tools that read and write records, and ours: the same bytes in, the same bytes out."""

from __future__ import annotations

import re
import shlex
import subprocess
import uuid
from collections.abc import Sequence

import pytest
from tests.conformance.test_kafka_tools_side_by_side import BIN, JAVA_OPTIONS, masked, ours

from ottla.engine.apache import ApacheKafka

TOOLS = "org.apache.kafka.tools"
CLASSES = {
    "kafka-cluster": f"{TOOLS}.ClusterTool",
    "kafka-console-consumer": f"{TOOLS}.consumer.ConsoleConsumer",
    "kafka-console-producer": f"{TOOLS}.ConsoleProducer",
    "kafka-consumer-perf-test": f"{TOOLS}.ConsumerPerformance",
    "kafka-e2e-latency": f"{TOOLS}.EndToEndLatency",
    "kafka-producer-perf-test": f"{TOOLS}.ProducerPerformance",
    "kafka-verifiable-consumer": f"{TOOLS}.VerifiableConsumer",
    "kafka-verifiable-producer": f"{TOOLS}.VerifiableProducer",
}
#: Kafka puts it among the records; ours goes to stderr.
DEPRECATION = re.compile(r"^(?:Option|Warning:) --\S+ is deprecated .*\n", re.MULTILINE)
#: What is typed into a producer, as `printf` would write it.
HEADERS = "h1:v1,h2:v2\tk1\tone\nh3:\tk2\ttwo\nNIL\tNIL\tNIL\n"
KEYED = "k1:one\nk2:two:and more\n:empty key\nk4:\n"


def both(
    kafka: ApacheKafka, line: str, *, text: str = "", topics: Sequence[str] = ("", "")
) -> list[tuple[int, str]]:
    """Status and output of Kafka's tool and of ours, `{topic}` in the line being another each."""
    said = []
    for is_ours, topic in zip((False, True), topics, strict=True):
        tool, *words = shlex.split(line.replace("{topic}", topic))
        action = [words.pop(0)] if tool == "kafka-cluster" else []
        command = (
            [str(BIN / tool)]
            if is_ours
            else kafka.distribution.command(CLASSES[tool], JAVA_OPTIONS)
        )
        done = subprocess.run(
            [*command, *action, "--bootstrap-server", kafka.bootstrap_servers, *words],
            input=text,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        said.append((done.returncode, masked(line, DEPRECATION.sub("", done.stdout))))
    return said


@pytest.fixture(scope="module")
def typed(apache_kafka: ApacheKafka) -> None:
    """Topics with records of many shapes."""
    for name in ("sc-typed", "sc-numbers", "sc-floats"):
        ours(apache_kafka, ["kafka-topics", "--create", "--topic", name])
    to_typed = ["kafka-console-producer", "--topic", "sc-typed"]
    properties = ("parse.key=true", "parse.headers=true", "null.marker=NIL")
    words = [word for one in properties for word in ("--reader-property", one)]
    ours(apache_kafka, [*to_typed, *words], HEADERS)
    ours(apache_kafka, to_typed, "zürich\n\nthe last\n")
    ours(apache_kafka, ["kafka-console-producer", "--topic", "sc-numbers"], "abcdefgh\n")
    ours(apache_kafka, ["kafka-console-producer", "--topic", "sc-floats"], "abcd\n>Lmm\n")


FROM_START = "kafka-console-consumer --topic sc-typed --from-beginning --max-messages"
ONE_NUMBER = "kafka-console-consumer --topic sc-numbers --from-beginning --max-messages 1"
ALL_PARTS = " ".join(
    f"--formatter-property print.{part}=true"
    for part in ("timestamp", "partition", "offset", "headers", "key", "epoch", "delivery")
)


@pytest.mark.slow
@pytest.mark.usefixtures("typed")
@pytest.mark.parametrize(
    "line",
    [
        "kafka-cluster cluster-id",
        "kafka-cluster list-endpoints",
        "kafka-cluster list-endpoints --include-fenced-brokers",
        f"{FROM_START} 6",
        f"{FROM_START} 2",
        f"{FROM_START} 6 {ALL_PARTS}",
        (
            f"{FROM_START} 6 {ALL_PARTS} --formatter-property key.separator=' | ' "
            "--formatter-property null.literal=NIL --formatter-property headers.separator=';'"
        ),
        f"{FROM_START} 6 --formatter-property print.value=false",
        f"{FROM_START} 6 --property print.key=true --property line.separator=@",
        f"{FROM_START} 3 --formatter org.apache.kafka.tools.consumer.NoOpMessageFormatter",
        f"{FROM_START} 3 --formatter org.apache.kafka.tools.consumer.LoggingMessageFormatter",
        f"{FROM_START} 3 --enable-systest-events",
        f"{FROM_START} 99 --timeout-ms 3000",
        "kafka-console-consumer --topic sc-typed --partition 0 --offset 4 --max-messages 2",
        "kafka-console-consumer --topic sc-typed --partition 0 --offset earliest --max-messages 2",
        "kafka-console-consumer --include sc-num.* --from-beginning --max-messages 1",
        "kafka-console-consumer --topic sc-typed --partition 0 --timeout-ms 2000",
        f"{ONE_NUMBER} --value-deserializer org.apache.kafka.common.serialization.LongDeserializer",
        (
            f"{ONE_NUMBER} --formatter-property "
            "value.deserializer=org.apache.kafka.common.serialization.DoubleDeserializer"
        ),
        (
            "kafka-console-consumer --topic sc-floats --from-beginning --max-messages 2 "
            "--value-deserializer org.apache.kafka.common.serialization.FloatDeserializer"
        ),
    ],
)
def test_readers_print_alike(apache_kafka: ApacheKafka, line: str) -> None:
    theirs, mine = both(apache_kafka, line)
    assert mine == theirs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("", "one\ntwo\n\nzürich\n"),
        ("--reader-property parse.key=true --reader-property key.separator=:", KEYED),
        ("--property parse.key=true --property key.separator=: --sync", KEYED),
        (
            (
                "--reader-property parse.key=true --reader-property parse.headers=true "
                "--reader-property null.marker=NIL"
            ),
            HEADERS,
        ),
        (
            (
                "--reader-property parse.key=true --reader-property ignore.error=true "
                "--compression-codec zstd"
            ),
            "no key here\nk\tv\n",
        ),
        ("--reader-property parse.key=true", "k\tv\nno key here\nk\tv\n"),
        ("--compression-codec --request-required-acks all --batch-size 100", "last without end"),
    ],
)
def test_writers_send_alike(apache_kafka: ApacheKafka, options: str, text: str) -> None:
    topics = [f"sc-sent-{uuid.uuid4().hex}" for _ in range(2)]
    for topic in topics:
        ours(apache_kafka, ["kafka-topics", "--create", "--topic", topic])
    line = f"kafka-console-producer --topic {{topic}} {options}"
    theirs, mine = both(apache_kafka, line, text=text, topics=topics)
    assert mine == theirs
    reader = ["kafka-console-consumer", "--from-beginning", "--timeout-ms", "2000", "--topic"]
    columns = [w for p in ("key", "headers") for w in ("--property", f"print.{p}=true")]
    sent = [ours(apache_kafka, [*reader, topic, *columns]).stdout for topic in topics]
    assert sent[1] == sent[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        (
            "kafka-producer-perf-test --topic {topic} --num-records 2000 --record-size 50 "
            "--throughput -1"
        ),
        (
            "kafka-producer-perf-test --topic {topic} --num-records 500 --record-size 50 "
            "--throughput -1 --warmup-records 100"
        ),
        "kafka-consumer-perf-test --topic sc-perf --num-records 2000",
        "kafka-consumer-perf-test --topic sc-perf --num-records 2000 --hide-header",
        (
            "kafka-consumer-perf-test --topic sc-perf --num-records 2000 --show-detailed-stats "
            "--reporting-interval 100000"
        ),
        "kafka-verifiable-producer --topic {topic} --max-messages 3",
        (
            "kafka-verifiable-producer --topic {topic} --max-messages 3 --value-prefix 7 "
            "--repeating-keys 2"
        ),
        (
            "kafka-verifiable-consumer --topic sc-perf --group-id {topic} --max-messages 20 "
            "--reset-policy earliest"
        ),
    ],
)
def test_measuring_tools_print_the_same_columns(apache_kafka: ApacheKafka, line: str) -> None:
    """Numbers apart, which are times and rates."""
    if "sc-perf" in line:
        filling = "kafka-producer-perf-test --topic sc-perf --num-records 2000 --record-size 9"
        ours(apache_kafka, [*filling.split(), "--throughput", "-1"])
    topics = [f"sc-measured-{uuid.uuid4().hex}" for _ in range(2)]
    theirs, mine = both(apache_kafka, line, topics=topics)

    def shape(said: tuple[int, str]) -> tuple[int, str]:
        text = re.sub(r"sc-measured-\w+", "T", said[1])
        return said[0], re.sub(r"-?(\bNaN|\d+([.,:]\d+)*)(E-?\d+)?", "N", text)

    assert shape(mine) == shape(theirs)

"""Our Kafka-named tools print what Apache Kafka's own print, on the same cluster.

Status and standard output are compared byte for byte, after masking what can
never be equal: ids and times. What goes to stderr is in our own words.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.conformance.programs import toolchains
from tests.unit.inspect.test_remote_log_records import WRITTEN

from ottla.batch.record_batch import Record, build_batch
from ottla.engine.apache import ApacheKafka

BIN = Path(sys.executable).parent
JAVA_OPTIONS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=OFF")

#: Tool → class of Kafka's.
CLASSES = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-share-groups": "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
    "kafka-streams-groups": "org.apache.kafka.tools.streams.StreamsGroupCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
}
#: Beginnings of command lines whose answers come in an order that changes from run to run in Java.
UNORDERED = ("kafka-acls", "kafka-delete-records", "kafka-configs --describe --entity-type groups")

PREPARATION, LINES, STREAMS_LINES = (
    [line for line in part.splitlines() if line and not line.startswith("#")]
    for part in (Path(__file__).parent / "kafka_tools_lines.txt")
    .read_text()
    .split("# and then what is compared")
)

#: What tools are told in JSON, `{files}/NAME` in a line.
FILES = {
    "deletions.json": '{"version": 1, "partitions": ['
    '{"topic": "st-deleted", "partition": 0, "offset": 0},'
    '{"topic": "st-deleted", "partition": 1, "offset": 99}]}',
    "topics.json": '{"version": 1, "topics": [{"topic": "st-plain"}]}',
    "same.json": '{"version": 1, "partitions": ['
    '{"topic": "st-plain", "partition": 0, "replicas": [1]}]}',
    "elsewhere.json": '{"version": 1, "partitions": ['
    '{"topic": "st-plain", "partition": 0, "replicas": [1], "log_dirs": ["/none"]},'
    '{"topic": "st-nope", "partition": 0, "replicas": [1, 9]}]}',
}

MASKS = {
    r"TopicId: [\w-]{22}": "TopicId: ID",
    r"\b1[6-9]\d{11}\b": "TIME",
    r"HighWatermark:( +)\d+": r"HighWatermark:\1N",
    r"Epoch: \d+$": "Epoch: N",
}


def ours(kafka: ApacheKafka, words: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    tool, *arguments = words
    return subprocess.run(
        [BIN / tool, "--bootstrap-server", kafka.bootstrap_servers, *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def prepared(apache_kafka: ApacheKafka, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Topics, groups and rules to look at, made by our own tools; returns where `FILES` are."""
    for line in PREPARATION:
        if line.startswith("kafka-consumer-groups"):
            numbers = "".join(f"{n}\n" for n in range(100))
            ours(apache_kafka, ["kafka-console-producer", "--topic", "st-plain"], numbers)
        done = ours(apache_kafka, shlex.split(line))
        assert done.returncode == 0, done.stdout + done.stderr
    files = tmp_path_factory.mktemp("tools")
    for name, text in FILES.items():
        (files / name).write_text(text)
    return files


@pytest.fixture(scope="module")
def members(apache_kafka: ApacheKafka, prepared: Path) -> Iterator[None]:
    """A classic and a KIP-848 group with one member each, stable for the whole module."""
    del prepared
    from confluent_kafka import Consumer

    consumers = []
    for group, protocol in (("st-classic", "classic"), ("st-modern", "consumer")):
        consumer = Consumer(
            {
                "bootstrap.servers": apache_kafka.bootstrap_servers,
                "group.id": group,
                "group.protocol": protocol,
                "client.id": "member",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "max.poll.interval.ms": 3_600_000,  # nobody polls while the tools run
            }
        )
        consumer.subscribe(["st-plain"])
        message = consumer.poll(90)
        assert message is not None
        consumer.commit(message, asynchronous=False)
        consumers.append(consumer)
    yield
    for consumer in consumers:
        consumer.close()


def masked(line: str, text: str) -> str:
    for pattern, mask in MASKS.items():
        text = re.sub(pattern, mask, text, flags=re.MULTILINE)
    # Kafka prints the stack after some of its sentences; ours have none.
    lines = [line for line in text.splitlines() if not re.match(r"\tat |java\.lang\.", line)]
    if line.startswith(UNORDERED):
        lines = sorted(line.strip() for line in lines if line.strip())
    return "\n".join(lines).rstrip()


@pytest.fixture(scope="module")
def streams_applications(
    apache_kafka: ApacheKafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Two applications of Kafka Streams: st-app-gone has run, st-app-live runs."""
    classpath = toolchains.java_classpath("org.apache.kafka:kafka-streams:4.3.1")
    program = ["java", "-Xmx256m", "-cp", classpath, str(toolchains.HERE / "StreamsGroup.java")]

    def start(name: str) -> subprocess.Popen[str]:
        state = tmp_path_factory.mktemp(name)
        started = subprocess.Popen(
            [*program, apache_kafka.bootstrap_servers, name, str(state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert started.stdout is not None
        assert started.stdout.readline() == "running\n"
        return started

    def describes(group: str, view: str, wanted: str) -> bool:
        words = ["kafka-streams-groups", "--describe", "--group", group, view]
        return re.search(wanted, ours(apache_kafka, words).stdout) is not None

    gone, live = start("st-app-gone"), start("st-app-live")
    for number in range(2):
        wait_until(partial(describes, "st-app-live", "--verbose", rf"live-in +{number} +5 "))
    wait_until(lambda: describes("st-app-live", "--state", "Stable"))
    gone.communicate(timeout=60)
    wait_until(lambda: describes("st-app-gone", "--state", "Empty"))
    yield
    live.communicate(timeout=60)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)  # polling the condition


@pytest.mark.slow
@pytest.mark.usefixtures("streams_applications")
@pytest.mark.parametrize("line", STREAMS_LINES)
def test_streams_groups_are_shown_as_kafka_shows_them(
    apache_kafka: ApacheKafka, tmp_path: Path, line: str
) -> None:
    test_output_and_status_are_kafkas(apache_kafka, tmp_path, line)


@pytest.mark.slow
@pytest.mark.usefixtures("members")
@pytest.mark.parametrize("line", LINES)
def test_output_and_status_are_kafkas(apache_kafka: ApacheKafka, prepared: Path, line: str) -> None:
    words = shlex.split(line.format(files=prepared))
    tool, *arguments = words
    theirs = subprocess.run(
        [
            *apache_kafka.distribution.command(CLASSES[tool], JAVA_OPTIONS),
            *("--bootstrap-server", apache_kafka.bootstrap_servers),
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    mine = ours(apache_kafka, words)
    assert masked(line, mine.stdout) == masked(line, theirs.stdout), mine.stderr
    assert mine.returncode == theirs.returncode


@pytest.fixture(scope="module")
def every_kind_of_record(
    apache_kafka: ApacheKafka, members: None, streams_applications: None
) -> None:
    """Groups of each kind, transactions of both outcomes, and a topic with segments to look at."""
    del members, streams_applications
    from confluent_kafka import Producer

    ours(apache_kafka, ["kafka-topics", "--create", "--topic", "st-shared"])
    ours(apache_kafka, ["kafka-console-producer", "--topic", "st-shared"], "a\nb\nc\n")
    earliest = ["--group", "st-share", "--add-config", "share.auto.offset.reset=earliest"]
    ours(apache_kafka, ["kafka-configs", "--alter", *earliest])
    shared = ["kafka-console-share-consumer", "--topic", "st-shared", "--group", "st-share"]
    for more in ("--release", "--reject"):
        done = ours(apache_kafka, [*shared, "--max-messages", "2", "--timeout-ms", "30000", more])
        assert done.stdout == "a\nb\n", done.stderr
    small = ["--config", f"segment.bytes={1024 * 1024}"]
    ours(apache_kafka, ["kafka-topics", "--create", "--topic", "st-dumped", *small])
    common = {"bootstrap.servers": apache_kafka.bootstrap_servers}
    transactional = Producer(common | {"transactional.id": "st-transactions"})
    transactional.init_transactions()
    for number in range(40):
        transactional.begin_transaction()
        headers = [("kind", b"test"), ("none", None)]
        transactional.produce("st-dumped", f"zürich {number}", f"k{number}", headers=headers)
        transactional.produce("st-dumped", None, "gone")
        transactional.flush()
        if number % 3:
            transactional.commit_transaction()
        else:
            transactional.abort_transaction()
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        plain = Producer(common | {"compression.type": codec, "batch.size": 40_000})
        for number in range(300):
            plain.produce("st-dumped", f"{number} " * 20)
        plain.flush()
    several_segments = Producer(common | {"enable.idempotence": True})
    for number in range(25_000):
        several_segments.produce("st-dumped", f"{number} " * 20)
        several_segments.poll(0)
    several_segments.flush()


def dumped(kafka: ApacheKafka, words: list[str]) -> list[subprocess.CompletedProcess[str]]:
    """What Kafka's kafka-dump-log and ours say."""
    theirs = kafka.distribution.command("org.apache.kafka.tools.DumpLogSegments", JAVA_OPTIONS)
    return [
        subprocess.run([*command, *words], capture_output=True, text=True, timeout=60, check=False)
        for command in (theirs, [str(BIN / "kafka-dump-log")])
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("every_kind_of_record")
@pytest.mark.parametrize(
    ("pattern", "options", "shown"),
    [
        ("__cluster_metadata-0/*.log", "--cluster-metadata-decoder", "TOPIC_RECORD"),
        ("__cluster_metadata-0/*.checkpoint", "--cluster-metadata-decoder", "SnapshotHeader"),
        (
            "__consumer_offsets-*/*.log",
            "--offsets-decoder",
            " ".join(f'"type":"{kind}"' for kind in (*range(1, 4), *range(5, 9), *range(10, 16)))
            + " "
            + " ".join(f'"type":"{kind}"' for kind in (17, *range(19, 24))),
        ),
        ("__transaction_state-*/*.log", "--transaction-log-decoder", "transactionalId"),
        ("__share_group_state-*/*.log", "--share-group-state-decoder", "stateBatches"),
        ("st-dumped-0/*.log", "", "isTransactional: true"),
        ("st-dumped-0/*.log", "--print-data-log", "zürich endTxnMarker headerKeys: [kind,none]"),
        ("st-dumped-0/*.log", "--deep-iteration", "keySize:"),
        ("st-dumped-0/*.log", "--print-data-log --skip-record-metadata", "payload: zürich"),
        ("st-dumped-0/*.log", "--print-data-log --max-bytes 5000", "payload:"),
        ("st-dumped-0/*.index", "", "position:"),
        ("st-dumped-0/*.index", "--index-sanity-check", "passed sanity check"),
        ("st-dumped-0/*.index", "--verify-index-only", "Dumping"),
        ("st-dumped-0/*.timeindex", "", "timestamp:"),
        ("st-dumped-0/*.timeindex", "--index-sanity-check", "passed sanity check"),
        ("st-dumped-0/*.timeindex", "--verify-index-only", "Dumping"),
        ("st-dumped-0/*.txnindex", "", "lastStableOffset"),
        ("*-*/*.snapshot", "", "producerId"),
    ],
)
def test_files_are_dumped_alike(
    apache_kafka: ApacheKafka, tmp_path: Path, pattern: str, options: str, shown: str
) -> None:
    # Of copies, because the logs go on growing.
    for partition in {path.parent for path in apache_kafka.directory.rglob(pattern)}:
        shutil.copytree(partition, tmp_path / partition.name)
    copies = sorted(path for path in tmp_path.rglob(pattern) if path.stat().st_size)
    theirs, mine = dumped(apache_kafka, ["--files", ",".join(map(str, copies)), *options.split()])
    assert mine.stdout.splitlines() == theirs.stdout.splitlines()
    assert mine.returncode == theirs.returncode
    for text in shown.split():
        assert text in theirs.stdout


@pytest.mark.slow
def test_records_of_tiered_storage_are_dumped_alike(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    records = [Record(0, 0, None, bytes.fromhex(data)) for data, _ in WRITTEN]
    path = tmp_path / "00000000000000000000.log"
    path.write_bytes(build_batch(records))
    theirs, mine = dumped(apache_kafka, ["--files", str(path), "--remote-log-metadata-decoder"])
    assert "RemotePartitionDeleteMetadata{" in theirs.stdout
    assert mine.stdout == theirs.stdout


@pytest.mark.slow
def test_share_consumers_print_alike(apache_kafka: ApacheKafka) -> None:
    """Given back, accepted, rejected: the deliveries are counted in both."""
    tool = "kafka-console-share-consumer"
    theirs = [
        *apache_kafka.distribution.command(
            "org.apache.kafka.tools.consumer.ConsoleShareConsumer", JAVA_OPTIONS
        ),
        *("--bootstrap-server", apache_kafka.bootstrap_servers),
    ]
    mine = [str(BIN / tool), "--bootstrap-server", apache_kafka.bootstrap_servers]
    shown = []
    for name, command in (("st-share-a", theirs), ("st-share-b", mine)):
        ours(apache_kafka, ["kafka-topics", "--create", "--topic", name])
        reset = ["--alter", "--group", name, "--add-config", "share.auto.offset.reset=earliest"]
        ours(apache_kafka, ["kafka-configs", *reset])
        ours(apache_kafka, ["kafka-console-producer", "--topic", name], "a\nb\nc\n")
        said = []
        for more in ("--max-messages 3 --release", "--max-messages 1", "--max-messages 2 --reject"):
            words = f"--topic {name} --group {name} {more} --timeout-ms 20000".split()
            for column in ("delivery", "offset", "partition", "timestamp", "key", "epoch"):
                words += ["--formatter-property", f"print.{column}=true"]
            done = subprocess.run(
                [*command, *words], capture_output=True, text=True, timeout=60, check=False
            )
            said.append((done.returncode, masked(tool, done.stdout)))
        shown.append(said)
    assert shown[1] == shown[0]

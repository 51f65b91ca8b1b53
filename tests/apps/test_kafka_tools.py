"""The Kafka-named tools do their work, typed as the write-ups type them."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer
from tests.apps.typed_lines import Shell, environment_for
from tests.support.processes import running

from ottla.batch.record_batch import Record, build_batch


@pytest.fixture
def environment(bootstrap_servers: str) -> dict[str, str]:
    return environment_for(bootstrap_servers)


@pytest.fixture
def shell(environment: dict[str, str]) -> Shell:
    return Shell(environment)


def test_the_write_ups_commands_do_what_it_shows(shell: Shell, unique: str) -> None:
    created = shell(
        f"kafka-topics --create --topic {unique} --partitions 1 --replication-factor 1 "
        "--if-not-exists --zookeeper zookeeper:2181"
    )
    assert created.splitlines()[-1] == f"Created topic {unique}."
    assert "--zookeeper is not used" in shell.said

    assert unique in shell("kafka-topics --list --zookeeper zookeeper:2181").splitlines()

    described = shell(f"kafka-topics --describe {unique} --zookeeper zookeeper:2181")
    assert re.match(
        rf"Topic: {unique}\tTopicId: [\w-]{{22}}\t"
        r"PartitionCount: 1\tReplicationFactor: 1\tConfigs:",
        described,
    )
    row = rf"^\tTopic: {unique}\tPartition: 0\tLeader: (\d+)\tReplicas: \1\tIsr: \1\b"
    assert re.search(row, described, re.MULTILINE)
    assert len(described.splitlines()) == 2

    produced = shell(
        "seq 100 | kafka-console-producer --request-required-acks 1 "
        f"--broker-list $KAFKA_BOOTSTRAP_SERVERS --topic {unique} && echo 'Produced 100 messages.'"
    )
    assert produced == "Produced 100 messages.\n"
    assert "--broker-list is an old name" in shell.said

    consumed = shell(
        "kafka-console-consumer --bootstrap-server $KAFKA_BOOTSTRAP_SERVERS "
        f"--topic {unique} --from-beginning --max-messages 100"
    )
    assert consumed.splitlines() == [str(number) for number in range(1, 101)]
    assert "Processed a total of 100 messages" in shell.said


def test_a_group_goes_on_where_it_stopped_and_shows_its_lag(shell: Shell, unique: str) -> None:
    shell(f"seq 10 | kafka-console-producer.sh --topic {unique}")
    consume = f"kafka-console-consumer.sh --topic {unique} --group {unique} --from-beginning"
    assert shell(f"{consume} --max-messages 4").split() == ["1", "2", "3", "4"]
    rows = shell(f"kafka-consumer-groups.sh --describe --group {unique}").splitlines()
    assert rows[1].split()[:6] == [
        *("GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG")
    ]
    assert rows[2].split()[:6] == [unique, unique, "0", "4", "10", "6"]
    assert shell(f"{consume} --max-messages 6").split() == [str(n) for n in range(5, 11)]

    shell(
        f"kafka-consumer-groups --reset-offsets --group {unique} --all-topics "
        "--shift-by -3 --execute"
    )
    assert shell(f"{consume} --max-messages 3").split() == ["8", "9", "10"]
    shell(f"kafka-consumer-groups --delete --group {unique}")
    assert unique not in shell("kafka-consumer-groups --list").split()


def test_keys_headers_and_tombstones_survive_the_way_through(shell: Shell, unique: str) -> None:
    shell(
        f"kafka-console-producer --topic {unique} --reader-property parse.key=true "
        "--reader-property parse.headers=true --reader-property null.marker=NULL",
        text="h1:v1,h2:v2\tk1\tsome text\nh1:\tk2\tNULL\n",
    )
    printed = shell(
        f"kafka-console-consumer --topic {unique} --from-beginning --max-messages 2 "
        "--formatter-property print.key=true --formatter-property print.headers=true "
        "--formatter-property print.offset=true --formatter-property print.partition=true"
    )
    assert printed == (
        "Partition:0\tOffset:0\th1:v1,h2:v2\tk1\tsome text\nPartition:0\tOffset:1\th1:\tk2\tnull\n"
    )


def test_offsets_configurations_and_deletions(shell: Shell, unique: str, tmp_path: Path) -> None:
    shell(f"kafka-topics --create --topic {unique} --partitions 1 --config retention.ms=7777777")
    shell(f"seq 10 | kafka-console-producer --topic {unique}")
    assert shell(f"kafka-get-offsets --topic {unique}") == f"{unique}:0:10\n"

    described = f"kafka-configs --describe --entity-type topics --entity-name {unique}"
    assert "  retention.ms=7777777 sensitive=false" in shell(described)
    shell(f"kafka-configs --alter --topic {unique} --add-config 'cleanup.policy=[compact,delete]'")
    assert "  cleanup.policy=compact,delete " in shell(described)

    deletions = tmp_path / "deletions.json"
    deletions.write_text(
        f'{{"partitions": [{{"topic": "{unique}", "partition": 0, "offset": 4}}]}}'
    )
    assert f"partition: {unique}-0\tlow_watermark: 4" in shell(
        f"kafka-delete-records --offset-json-file {deletions}"
    )
    assert shell(f"kafka-get-offsets --topic {unique} --time earliest") == f"{unique}:0:4\n"

    shell(f"kafka-topics --alter --topic {unique} --partitions 3")
    assert "PartitionCount: 3" in shell(f"kafka-topics --describe --topic {unique}")
    shell(f"kafka-topics --delete --topic {unique}")
    gone = shell(f"kafka-topics --describe --topic {unique}", status=1)
    assert gone.strip() == (
        f"Error while executing topic command : Topic '{unique}' does not exist as expected"
    )


def test_a_time_out_ends_the_consumer_in_order(shell: Shell, unique: str) -> None:
    shell(f"kafka-topics --create --topic {unique}")
    assert shell(f"kafka-console-consumer --topic {unique} --timeout-ms 300") == ""
    assert "Processed a total of 0 messages" in shell.said


def test_ctrl_c_ends_the_consumer_with_130(environment: dict[str, str], unique: str) -> None:
    with running(
        ["kafka-console-consumer", "--topic", unique, "--partition", "0", "--from-beginning"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as consumer:
        subprocess.run(
            ["kafka-console-producer", "--topic", unique],
            input="one\n",
            env=environment,
            text=True,
            timeout=90,
            check=True,
        )
        assert consumer.stdout is not None
        assert consumer.stdout.readline() == "one\n"
        consumer.send_signal(signal.SIGINT)
        _, said = consumer.communicate(timeout=90)
    assert consumer.returncode == 130
    assert "Processed a total of 1 messages" in said
    assert "Traceback" not in said


def test_a_reader_that_leaves_is_no_error(shell: Shell, unique: str) -> None:
    shell(f"seq 1000 | kafka-console-producer --topic {unique}")
    line = f"kafka-console-consumer --topic {unique} --from-beginning --max-messages 1000 | head -1"
    assert shell(line) == "1\n"
    assert "Traceback" not in shell.said


@pytest.mark.parametrize(
    "line",
    [
        "kafka-topics --help",
        "kafka-topics --list",
        "kafka-dump-log --files {data} --print-data-log",
        "ottla",
        "ottla complete -- ottla ''",
        "ottla topics",
    ],
)
def test_a_reader_that_has_gone_before_we_speak_is_no_error(
    line: str, environment: dict[str, str], tmp_path: Path
) -> None:
    data = tmp_path / "00000000000000000000.log"
    data.write_bytes(build_batch([Record(0, 0, b"k", b"v", ())]))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        ["bash", "-c", line.format(data=data)],
        env=environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) in ((0, b""), (2, b""))


@pytest.mark.parametrize(
    "tool",
    [
        "kafka-topics --list",
        "kafka-consumer-groups --list",
        "kafka-console-consumer --topic t",
        "echo | kafka-console-producer --topic t",
        "kafka-get-offsets",
        "kafka-configs --describe --topic t",
    ],
)
def test_without_a_broker_one_sentence_says_so(tool: str, environment: dict[str, str]) -> None:
    shell = Shell({**environment, "KAFKA_BOOTSTRAP_SERVERS": "localhost:1"})
    assert shell(f"set -o pipefail; {tool}", status=1) == ""
    assert shell.said.startswith("No broker answers at localhost:1 (connection refused);")
    assert len(shell.said.splitlines()) == 1


@pytest.mark.parametrize(
    "line",
    [
        "kafka-topics",
        "kafka-topics --bogus",
        "kafka-topics --create",
        "kafka-topics --list --bootstrap-server nonsense",
        "kafka-console-producer",
        "kafka-console-consumer",
        "kafka-consumer-groups --describe",
        "kafka-configs --describe",
        "kafka-acls",
        "kafka-log-dirs",
        "kafka-delete-records --offset-json-file /nowhere/at/all",
        "kafka-metadata-quorum",
    ],
)
def test_a_wrong_command_line_is_one_sentence(line: str, shell: Shell) -> None:
    assert shell(line, status=1) == ""
    assert len(shell.said.splitlines()) == 1, shell.said


@pytest.mark.parametrize("line", ["kafka-topics --help", "kafka-acls --help"])
def test_help_fits_into_80_columns(line: str, shell: Shell) -> None:
    text = shell(f"COLUMNS=80 {line}")
    assert text.startswith("usage: kafka-")
    assert max(map(len, text.splitlines())) <= 80


def test_keys_go_to_the_partitions_that_java_chooses(shell: Shell, unique: str) -> None:
    shell(f"kafka-topics --create --topic {unique} --partitions 3")
    shell(
        f"kafka-console-producer --topic {unique} --reader-property parse.key=true "
        "--reader-property key.separator=:",
        "".join(f"{key}:{key}\n" for key in "abcdefgh"),
    )
    # What Apache Kafka's own console producer does with these keys.
    for partition, keys in enumerate(("fg", "ach", "bde")):
        read = f"kafka-console-consumer --topic {unique} --partition {partition} --from-beginning"
        assert shell(f"{read} --max-messages {len(keys)}").split() == list(keys)


def test_one_record_after_the_other_is_timed(shell: Shell, unique: str) -> None:
    lines = shell(f"kafka-e2e-latency $KAFKA_BOOTSTRAP_SERVERS {unique} 20 all 100").splitlines()
    assert lines[0].startswith("WARNING: Positional argument usage is deprecated")
    assert lines[1] == (
        f'Topic "{unique}" does not exist. Will create topic with 1 partition(s) and '
        "replication factor = 1"
    )
    assert re.fullmatch(r"0\t[\d.]+", lines[2])
    assert re.fullmatch(r"Avg latency: \d+\.\d{4} ms", lines[3])
    assert re.fullmatch(r"Percentiles: 50th = \d+, 99th = \d+, 99.9th = \d+", lines[4])


def test_the_verifiable_clients_tell_every_event(shell: Shell, unique: str) -> None:
    shell(f"kafka-topics --create --topic {unique} --partitions 1")
    produced = shell(f"kafka-verifiable-producer --topic {unique} --max-messages 3 --acks -1")
    events = [json.loads(line) for line in produced.splitlines()]
    assert [event["name"] for event in events] == [
        "startup_complete",
        *["producer_send_success"] * 3,
        "shutdown_complete",
        "tool_data",
    ]
    assert [(event["value"], event["offset"]) for event in events[1:4]] == [
        ("0", 0),
        ("1", 1),
        ("2", 2),
    ]
    assert (events[-1]["sent"], events[-1]["acked"]) == (3, 3)

    consumed = shell(
        f"kafka-verifiable-consumer --topic {unique} --group-id {unique} --max-messages 3"
    )
    told = [json.loads(line) for line in consumed.splitlines()]
    names = [event["name"] for event in told]
    assert names[:2] == ["startup_complete", "partitions_assigned"]
    assert names[-3:] == ["partitions_revoked", "shutdown_complete", "shutdown_requested"]
    assert sum(event["count"] for event in told if event["name"] == "records_consumed") == 3
    committed = [event for event in told if event["name"] == "offsets_committed"]
    assert committed[-1]["offsets"] == [{"topic": unique, "partition": 0, "offset": 3}]
    assert committed[-1]["success"] is True


def test_partitions_are_reassigned(shell: Shell, unique: str, tmp_path: Path) -> None:
    shell(f"kafka-topics --create --topic {unique} --partitions 1 --replication-factor 1")
    (tmp_path / "topics.json").write_text(f'{{"version": 1, "topics": [{{"topic": "{unique}"}}]}}')
    tool = "kafka-reassign-partitions"
    proposed = shell(
        f"{tool} --generate --broker-list 1 --topics-to-move-json-file {tmp_path}/topics.json"
    ).splitlines()
    assert proposed[0] == "Current partition replica assignment"
    assert proposed[3] == "Proposed partition reassignment configuration"
    assert json.loads(proposed[4])["partitions"] == [
        {"topic": unique, "partition": 0, "replicas": [1], "log_dirs": ["any"]}
    ]
    (tmp_path / "plan.json").write_text(proposed[4])
    started = shell(f"{tool} --execute --reassignment-json-file {tmp_path}/plan.json")
    last = f"Successfully started partition reassignment for {unique}-0"
    assert started.splitlines()[-1] == last
    verify = f"{tool} --verify --reassignment-json-file {tmp_path}/plan.json"
    deadline = time.monotonic() + 90
    # On several nodes the replica may have to come from another one.
    while "is still in progress" in (verified := shell(verify)):
        assert time.monotonic() < deadline
    assert f"Reassignment of partition {unique}-0 is completed." in verified.splitlines()


def test_a_transaction_is_ended_by_force(shell: Shell, unique: str, bootstrap_servers: str) -> None:
    producer = Producer(
        {"bootstrap.servers": bootstrap_servers, "transactional.id": unique, "log_level": 0}
    )
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(unique, "lost")
    producer.flush(90)
    shell(f"kafka-transactions forceTerminateTransaction --transactionalId {unique}")
    listed = shell("kafka-transactions list")
    assert re.search(rf"^{unique}\s.*\sEmpty\s", listed, re.MULTILINE), listed
    with pytest.raises(KafkaException, match="fenced"):
        producer.commit_transaction(20)


def test_records_of_internal_topics_are_printed_as_java_prints_them(
    shell: Shell, unique: str, tmp_path: Path
) -> None:
    """Bytes and texts are those of Apache Kafka 4.3.1's own formatters."""
    key = "00000001670000000000000001000000000000000200000004"
    value = (
        "000000000000000000000000000000000000000000050000000000000000000000000000000002"
        "000000000000000500000000000000060200010001000400000002"
    )
    remote = (
        "01020008746f7069632d61000000000000000100000000000000020000000300000000040000018bcfe5"
        "68030000"
    )
    lines = [
        {"key_base64": _base64(key), "value_base64": _base64(value), "partition": 0},
        {"key_base64": _base64(key), "value": None, "partition": 0},
        {"value_base64": _base64(remote), "partition": 1},
    ]
    shell(f"ottla topics create {unique} -p 2")
    text = "".join(json.dumps(line) + "\n" for line in lines)
    shell(f"ottla produce {unique} -i json --keep-partitions -q", text=text)
    read = f"kafka-console-consumer --topic {unique} --offset earliest --partition"
    share = "org.apache.kafka.tools.consumer.group.share.ShareGroupStateMessageFormatter"
    name = (
        '{"key":{"type":0,"data":{"groupId":"g","topicId":"AAAAAAAAAAEAAAAAAAAAAg","partition":4}}'
    )
    assert shell(f"{read} 0 --max-messages 2 --formatter {share}") == (
        f'{name},"value":{{"version":0,"data":{{"snapshotEpoch":0,"stateEpoch":0,"leaderEpoch":0,'
        '"startOffset":5,"deliveryCompleteCount":2,"createTimestamp":0,"writeTimestamp":0,'
        '"stateBatches":[{"firstOffset":5,"lastOffset":6,"deliveryState":2,"deliveryCount":1}]}}}'
        f'{name},"value":null}}'
    )
    storage = "org.apache.kafka.server.log.remote.metadata.storage.serialization"
    formatter = f"'{storage}.RemoteLogMetadataSerde$RemoteLogMetadataFormatter'"
    assert shell(f"{read} 1 --max-messages 1 --formatter {formatter}") == (
        "partition: 1, offset: 0, value: RemotePartitionDeleteMetadata{topicPartition="
        "AAAAAAAAAAEAAAAAAAAAAg:topic-a-3, state=DELETE_PARTITION_MARKED, "
        "eventTimestampMs=1700000000003, brokerId=4}\n"
    )


def _base64(data: str) -> str:
    return base64.b64encode(bytes.fromhex(data)).decode()


def test_committed_offsets_can_be_read_as_records(shell: Shell, unique: str) -> None:
    shell(f"kafka-topics --create --topic {unique} --partitions 1")
    shell(f"seq 3 | kafka-console-producer --topic {unique}")
    shell(
        f"kafka-console-consumer --topic {unique} --group {unique} --from-beginning "
        "--max-messages 3"
    )
    text = shell(
        "kafka-console-consumer --topic __consumer_offsets --from-beginning --timeout-ms 2000 "
        "--formatter org.apache.kafka.tools.consumer.OffsetsMessageFormatter"
    )
    # As in Kafka's formatter nothing stands between the records.
    records = [json.loads(record) for record in text.replace("}{", "}\n{").splitlines()]
    of_group = [record for record in records if record["key"]["data"]["group"] == unique]
    assert of_group[-1]["key"]["data"] == {"group": unique, "topic": unique, "partition": 0}
    assert of_group[-1]["value"]["data"]["offset"] == 3


def test_a_share_groups_records_are_given_back_counted_and_rejected(
    shell: Shell, unique: str
) -> None:
    shell(f"kafka-topics --create --topic {unique}")
    key = "share.auto.offset.reset=earliest"
    shell(f"kafka-configs --alter --group {unique} --add-config {key}")
    shell(f"seq 3 | kafka-console-producer --topic {unique}")
    consume = f"kafka-console-share-consumer --topic {unique} --group {unique} --timeout-ms 9000"
    counted = "--formatter-property print.delivery=true"
    lines = [f"Delivery:{{}}\t{n}" for n in (1, 2, 3)]
    assert shell(f"{consume} --max-messages 3 --release {counted}").splitlines() == [
        line.format(1) for line in lines
    ]
    assert shell(f"{consume} --max-messages 1 {counted}").splitlines() == [lines[0].format(2)]
    assert "Processed a total of 1 messages" in shell.said
    rest = shell(f"{consume} --max-messages 2 --reject {counted}").splitlines()
    assert [line.split("\t")[1] for line in rest] == ["2", "3"]


def test_client_metrics_are_made_shown_and_deleted(shell: Shell, unique: str) -> None:
    tool = "kafka-client-metrics"
    shell(f"{tool} --alter --name {unique} --metrics a.,b. --interval 5000 --match client_id=x")
    assert unique in shell(f"{tool} --list").splitlines()
    assert shell(f"{tool} --describe --name {unique}").splitlines()[1:] == [
        "  interval.ms=5000",
        "  match=client_id=x",
        "  metrics=a.,b.",
    ]
    refused = shell(f"{tool} --alter --name {unique} --interval 1", status=1)
    assert refused.startswith("Error while executing client metrics command : ")
    shell(f"{tool} --delete --name {unique}")
    assert unique not in shell(f"{tool} --list").splitlines()


def test_streams_groups_are_listed_or_it_is_said_why_there_are_none(
    shell: Shell, unique: str
) -> None:
    tool = "kafka-streams-groups"
    assert unique not in shell(f"{tool} --list").splitlines()
    if "note: this cluster serves no streams groups" in shell.said:
        assert "group.protocol=classic" in shell.said
        error = "UnsupportedVersionException: The node does not support STREAMS_GROUP_DESCRIBE"
    else:
        error = f"GroupIdNotFoundException: Group {unique} not found."
    for action in ("--describe", "--reset-offsets --all-input-topics --to-earliest --dry-run"):
        refused = shell(f"{tool} {action} --group {unique}", status=1)
        assert refused.startswith("\nError: Executing streams group command failed due to ")
        assert error in refused
    kept = shell(f"{tool} --delete --group {unique}")
    assert f"Group '{unique}' does not exist or is not a streams group." in kept
    shell(f"{tool} --describe", status=1)
    assert "takes one of these options: [all-groups], [group]" in shell.said


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("topics", ["--list"]),
        ("consumer_groups", ["--list"]),
        ("groups", ["--list"]),
        ("share_groups", ["--list"]),
        ("client_metrics", ["--list"]),
        ("reassign_partitions", ["--list"]),
        ("transactions", ["list"]),
    ],
)
def test_what_only_asks_starts_without_loading_clients(
    module: str, words: list[str], environment: dict[str, str]
) -> None:
    """A list is there in a tenth of a second because of what is not imported."""
    program = (
        f"import sys; from ottla.cli.kafka_tools import {module} as tool; tool.run({words}); "
        "heavy = {'confluent_kafka', 'asyncio', 'prompt_toolkit', 'textual', 'duckdb', 'numpy'}; "
        "print(sorted(heavy & {*sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"


def test_no_delegation_token_without_authentication(shell: Shell) -> None:
    said = shell("kafka-delegation-tokens --describe", status=1)
    assert said == "Calling describe token operation for current user.\n"
    assert "clients that authenticate" in shell.said
    shell("kafka-delegation-tokens --renew --hmac AAAA", status=1)
    assert "renew-time-period" in shell.said

"""The verbs of `ottla` that look at a cluster, change it, and move records."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.apps.typed_lines import Shell, environment_for
from tests.support.processes import running

from ottla.embedded import Broker
from ottla.engine.ports import free_ports


@pytest.fixture
def environment(bootstrap_servers: str) -> dict[str, str]:
    return environment_for(bootstrap_servers)


@pytest.fixture
def shell(environment: dict[str, str]) -> Shell:
    return Shell(environment)


def test_topics_are_made_described_enlarged_trimmed_and_deleted(shell: Shell, unique: str) -> None:
    assert shell(f"ottla topics create {unique} -p 2 --config retention.ms=99999") == (
        f"Created topic {unique} with 2 partitions.\n"
    )
    shell(f"seq 10 | ottla produce {unique} -p 1 -q")
    (row,) = json.loads(shell(f"ottla topics list '{unique}' -o json"))
    assert row.pop("replicas") in (1, 3), "one node, or three"
    assert row == {"topic": unique, "partitions": 2, "records": 10}
    described = shell(f"ottla topics describe {unique}")
    assert "configuration: " in described
    assert "retention.ms=99999" in described
    assert shell(f"ottla topics add-partitions {unique} 4") == f"Topic {unique} has 4 partitions.\n"
    trimmed = shell(f"ottla topics trim {unique} -p 1 --before 7 --yes")
    assert trimmed == f"{unique}-1 starts at offset 7.\n"
    rows = json.loads(shell(f"ottla offsets {unique} -o json"))
    assert [(row["start"], row["end"]) for row in rows] == [(0, 0), (7, 10), (0, 0), (0, 0)]
    assert "Nothing deleted" in shell(f"ottla topics delete {unique}", status=1)
    assert shell(f"ottla topics delete {unique} --yes") == f"Deleted {unique}.\n"
    shell(f"ottla topics describe {unique}", status=1)
    assert shell.said == "There is no such topic; `ottla topics` lists them.\n"


def test_records_go_round_without_loss(shell: Shell, unique: str, tmp_path: Path) -> None:
    source, copy = f"{unique}-a", f"{unique}-b"
    shell(f"ottla topics create {source} {copy} -p 2")
    shell(
        f"ottla produce {source} -s : -H source=test -H source=b -H 'sign=é' -q",
        text="k1:one\nk2:two\n",
    )
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\x00\xfe\n")
    shell(f"ottla produce {source} -f {binary} -k raw -q")
    shell(f"ottla produce {source} -m '' --empty-as-null -k gone -q")
    shell(f"ottla consume {source} -e -o json | ottla produce {copy} -i json --keep-partitions -q")

    def records(topic: str) -> list[dict[str, Any]]:
        lines = shell(f"ottla consume {topic} -e -o json").splitlines()
        found = [json.loads(line) for line in lines]
        for record in found:
            del record["topic"]
        return sorted(found, key=str)

    assert records(copy) == records(source)
    assert len(records(copy)) == 4
    headers = next(record["headers"] for record in records(copy) if record["key"] == "k1")
    assert [header["value"] for header in headers] == ["test", "b", "é"]


def test_consume_formats_filters_and_ends(shell: Shell, unique: str) -> None:
    shell(f"ottla topics create {unique} -p 1")
    lines = "".join(
        json.dumps({"id": n, "user": {"name": f"u{n % 3}"}, "tags": ["a", n]}) + "\n"
        for n in range(20)
    )
    shell(f"ottla produce {unique} -q -k key", text=lines)
    consume = f"ottla consume {unique} -e"
    assert shell(f"{consume} -F '%p:%o %k' -n 2") == "0:0 key\n0:1 key\n"
    assert shell(f"{consume} -j user.name=u1 -j 'id>15' -F %o").split() == ["16", "19"]
    assert shell(f"{consume} -j 'tags[1]=7' -F %o") == "7\n"
    assert shell(f"{consume} -v '/\"id\": (3|4),/' -F %o").split() == ["3", "4"]
    assert shell(f"{consume} --from 17 --to 19 -F %o").split() == ["17", "18"]
    assert shell(f"{consume} --tail 3 -F %o").split() == ["17", "18", "19"]
    assert shell(f"{consume} --from 1h -F %o -n 1") == "0\n"
    assert shell(f"{consume} -k nothing") == ""
    head, row = shell(f"{consume} -o csv -j 'id=4'").splitlines()
    assert head == "topic,partition,offset,timestamp,key,value,headers"
    assert row.startswith(f"{unique},0,4,")


def test_a_group_is_followed_moved_and_deleted(shell: Shell, unique: str) -> None:
    shell(f"seq 10 | ottla produce {unique} -q")
    assert shell(f"ottla consume {unique} -g {unique} -n 4").split() == ["1", "2", "3", "4"]
    (row,) = json.loads(shell(f"ottla groups describe {unique} -o json"))
    assert (row["committed"], row["end"], row["lag"]) == (4, 10, 6)
    shell(f"ottla groups seek {unique} --to -1 --yes")
    assert shell(f"ottla consume {unique} -g {unique} -n 1") == "4\n"
    assert unique in shell("ottla groups -o csv")
    assert shell(f"ottla groups delete {unique} --yes") == f"Deleted {unique}.\n"


def test_configurations_are_shown_set_and_unset(shell: Shell, unique: str) -> None:
    shell(f"ottla topics create {unique}")
    shell(f"ottla configs set {unique} cleanup.policy=compact")
    rows = [
        json.loads(line) for line in shell(f"ottla configs show {unique} -o jsonl").splitlines()
    ]
    assert {"key": "cleanup.policy", "value": "compact"}.items() <= rows[0].items()
    shell(f"ottla configs unset {unique} cleanup.policy")
    assert "cleanup.policy" not in shell(f"ottla configs show {unique}")


def test_search_finds_as_grep_does(shell: Shell, unique: str) -> None:
    shell(f"ottla produce {unique} -q", text="alpha\nbeta 17\ngamma 18\n")
    assert "beta 17" in shell(f"ottla search beta {unique}")
    assert shell(f"ottla search '/1[78]/' {unique} --count") == f"{unique}: 2\n"
    assert shell(f"ottla search gamma {unique} -o csv").splitlines()[1].endswith(",,gamma 18,")
    assert shell(f"ottla search omega {unique}", status=1) == ""


def test_sql_sees_topics_as_tables(shell: Shell, unique: str, tmp_path: Path) -> None:
    lines = "".join(f'{{"id": {n}, "country": "{"DF"[n % 2]}", "x": {n}.5}}\n' for n in range(10))
    shell(f"ottla produce {unique} -q", text=lines + "no json\n")
    query = f"SELECT country, count(*) n, sum(x) s FROM {unique} WHERE country IS NOT NULL "
    counted = shell(f'ottla sql "{query} GROUP BY country ORDER BY country" -o jsonl')
    assert [json.loads(line) for line in counted.splitlines()] == [
        {"country": "D", "n": 5, "s": 22.5},
        {"country": "F", "n": 5, "s": 27.5},
    ]
    assert shell.said == f"note: {unique}: 1 value is not JSON\n"
    offsets = shell(
        f'ottla sql "SELECT offset FROM {unique} WHERE offset >= 8 ORDER BY offset" -o csv'
    )
    assert offsets.split() == ["offset", "8", "9", "10"]
    parquet = tmp_path / "topic.parquet"
    shell(f"ottla sql \"COPY (SELECT * FROM {unique}) TO '{parquet}'\"")
    assert parquet.stat().st_size > 0
    shell(f'ottla sql "SELECT nope FROM {unique}"', status=1)
    assert "nope" in shell.said
    shell('ottla sql "SELECT * FROM nope"', status=1)
    assert shell.said == "There is no topic nope; `ottla topics` lists them.\n"


def test_sql_takes_whatever_is_in_a_topic(shell: Shell, unique: str, tmp_path: Path) -> None:
    shell(f"ottla topics create {unique} -p 2")
    shell(f"ottla produce {unique} -p 0 -X compression.type=zstd -H a=é -q", text='{"n": 1}\n' * 3)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\x00a")
    shell(f"ottla produce {unique} -p 1 -f {binary} -k raw -q")
    shell(f"ottla produce {unique} -p 1 -m '' --empty-as-null -k gone -q")
    query = f"SELECT partition, offset, key, value, headers ->> '$.a' AS a, n FROM {unique}"
    rows = [
        tuple(json.loads(line).values())
        for line in shell(f'ottla sql "{query} ORDER BY 1, 2" -o jsonl').splitlines()
    ]
    assert rows[:3] == [(0, n, None, '{"n": 1}', "é", 1) for n in range(3)]
    assert rows[3:] == [
        (1, 0, "raw", r"\xFF\x00a", None, None),
        (1, 1, "gone", None, None, None),
    ]
    assert "1 value is not JSON" in shell.said
    joined = f"SELECT count(*) c FROM {unique} a JOIN {unique} b USING (partition)"
    assert shell(f'ottla sql "{joined}" -o csv').split() == ["c", "13"]
    late = f"SELECT count(*) c FROM {unique} WHERE timestamp > now() - INTERVAL 1 HOUR"
    assert shell(f'ottla sql "{late} AND partition = 0" -o csv').split() == ["c", "3"]
    assert shell(f"ottla sql \"COPY {unique} TO '{tmp_path}/all.csv'\"").split() == ["Count", "5"]
    copied = (tmp_path / "all.csv").read_text()
    assert len(copied.splitlines()) == 6
    assert r"raw,\xFF\x00a" in copied
    assert '{""n"": 1}' in copied


def test_a_followed_query_sees_what_comes(environment: dict[str, str], unique: str) -> None:
    shell = Shell(environment)
    shell(f"ottla produce {unique} -m '{{}}' -q")
    words = ["ottla", "sql", "--follow", "--every", "0.1", "-o", "csv"]
    query = f"SELECT count(*) c FROM {unique}"
    with running([*words, query], env=environment, stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        lines = iter(following.stdout.readline, b"")
        assert next(line for line in lines if line != b"c\n") == b"1\n"
        shell(f"ottla produce {unique} -m '{{}}' -q")
        assert next(line for line in lines if line not in (b"c\n", b"1\n")) == b"2\n"
        following.send_signal(signal.SIGINT)
        following.stdout.read()
    assert following.returncode == 130


def test_a_followed_query_waits_for_the_first_record(
    environment: dict[str, str], unique: str
) -> None:
    shell = Shell(environment)
    shell(f"ottla topics create {unique}")
    shell(f'ottla sql "SELECT n FROM {unique}"', status=1)
    assert f"No JSON was read from {unique}" in shell.said
    words = ["ottla", "sql", "--follow", "--every", "0.1", "-o", "csv", f"SELECT n FROM {unique}"]
    with running(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        assert b"Referenced column" in following.stderr.readline()
        shell(f"ottla produce {unique} -m '{{\"n\": 7}}' -q")
        assert [following.stdout.readline() for _ in range(2)] == [b"n\n", b"7\n"]
        following.send_signal(signal.SIGINT)
        following.stdout.read()
        following.stderr.read()
    assert following.returncode == 130


@pytest.mark.parametrize(
    "words", ["topics --watch 0.1 list {}", "groups lag {} -w 0.1", "offsets {} -w 0.1"]
)
def test_a_live_view_shows_what_comes_until_ctrl_c(
    environment: dict[str, str], unique: str, words: str
) -> None:
    shell = Shell(environment)
    shell(f"seq 3 | ottla produce {unique} -q")
    shell(f"ottla consume {unique} -g {unique} -n 1")
    line = ["ottla", *words.format(unique).split(), "-o", "jsonl"]
    with running(line, env=environment, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        rows = (json.loads(line) for line in iter(watching.stdout.readline, "") if line.strip())
        first = next(rows)
        assert first["per_second"] is None
        shell(f"seq 3 | ottla produce {unique} -q")
        column = next(name for name in ("records", "lag") if name in first)
        assert next(row for row in rows if row[column] == first[column] + 3)
        watching.send_signal(signal.SIGINT)
        watching.stdout.read()
    assert watching.returncode == 130


def test_plan_measures_and_answers(shell: Shell) -> None:
    planned = shell(
        "ottla plan partitions --rate 5000 --size 100 --consumer-ms 1 "
        "--seconds 0.2 --rounds 1 -o json"
    )
    plan = json.loads(planned)
    assert plan["partitions"] >= 5
    assert plan["consumer_with_its_work"] < 1000


def test_the_doctor_finds_a_healthy_cluster_and_a_missing_one(shell: Shell) -> None:
    verdicts = [json.loads(line)["verdict"] for line in shell("ottla doctor --json").splitlines()]
    assert "bad" not in verdicts
    assert shell("ottla doctor -o csv").splitlines()[0] == "verdict,sentence,remedy"
    assert all(row["verdict"] != "bad" for row in json.loads(shell("ottla doctor -o json")))
    shell.environment["KAFKA_BOOTSTRAP_SERVERS"] = "localhost:1"
    assert "No connection: localhost:1" in shell("ottla doctor -q", status=1)


def test_the_doctor_sees_where_clients_are_sent(environment: dict[str, str]) -> None:
    shell = Shell(environment)
    other = environment["KAFKA_BOOTSTRAP_SERVERS"].partition(",")[0]

    def sentences(advertised: str, status: int) -> str:
        (port,) = free_ports(1)
        config = {
            "listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "advertised.listeners": f"PLAINTEXT://{advertised}",
        }
        with Broker(config=config):
            shell.environment["KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{port}"
            return shell("ottla doctor --json", status=status)

    assert "another Kafka answers" in sentences(other, 1)
    assert "does not resolve" in sentences("kafka.invalid:9092", 1)


def test_contexts_are_named_used_and_removed(
    shell: Shell, bootstrap_servers: str, tmp_path: Path
) -> None:
    shell.environment["OTTLA_CONTEXTS"] = str(tmp_path / "contexts.json")
    del shell.environment["KAFKA_BOOTSTRAP_SERVERS"]
    shell(f"ottla context add here {bootstrap_servers}")
    shell("ottla context add away localhost:1 -X client.id=me")
    shell("ottla topics")
    shell("ottla topics -c away", status=1)
    shell("ottla context use away")
    shell("ottla topics", status=1)
    shell("ottla context remove away")
    assert "away" not in shell("ottla context -o csv")


def test_completion_knows_verbs_flags_topics_and_values(shell: Shell, unique: str) -> None:
    shell(f"ottla topics create {unique}")
    assert shell("ottla complete -- ottla top") == "topics\n"
    assert shell(f"ottla complete -- ottla topics describe {unique[:8]}").split() == [unique]
    assert "--max-messages" in shell("ottla complete -- kafka-console-consumer --max")
    line = f"ottla complete -- ottla topics create {unique} --config cleanup.policy="
    assert "cleanup.policy=compact" in shell(line).split()
    assert "complete -F" in shell("ottla completion bash")

    typed = f"ottla configs set {unique} cleanup.policy=c"
    script = "source <(ottla completion bash); COMP_POINT=${#COMP_LINE}; _ottla_complete; "
    shell.environment["COMP_LINE"] = typed
    replies = shell(script + 'printf "%s\\n" "${COMPREPLY[@]}"')
    assert replies.split() == ["compact", "compact,delete"]

    def words(line: str) -> list[str]:
        return shell(f"ottla complete -- {line}").split()

    assert unique in words(f"ottla configs set {unique[:6]}")
    assert "retention.ms=" in words(f"ottla configs set {unique} ret")
    shell(f"ottla configs set {unique} retention.ms=77")
    assert words(f"ottla configs set {unique} retention.ms=") == ["retention.ms=77"]
    other = words("ottla configs set nobody retention.ms=")
    assert other in ([], ["retention.ms=604800000"]), "not what some topic has"
    assert words("ottla configs set --group g share.auto.offset.reset=e") == [
        "share.auto.offset.reset=earliest"
    ]
    assert "consumer_byte_rate=" in words("kafka-configs --alter --user u --add-config con")
    assert words("kafka-configs --alter --entity-type groups --add-config share.isolation.l") == [
        "share.isolation.level="
    ]
    assert words("kafka-configs --topic t --add-config retention.ms=1,cleanup.policy=comp") == [
        "retention.ms=1,cleanup.policy=compact",
        "retention.ms=1,cleanup.policy=compact,delete",
    ]


def test_the_shell_takes_verbs_tools_and_pipes(shell: Shell, unique: str) -> None:
    lines = (
        f"topics create {unique}\nproduce {unique} -m hello -q\nconsume {unique} -e | tr a-z A-Z\n"
    )
    assert shell("ottla shell", text=lines).splitlines()[-1] == "HELLO"
    listed = shell(f"ottla shell -e 'bin/kafka-topics.sh --list --zookeeper x --topic {unique}'")
    assert listed == f"{unique}\n"
    shell("ottla shell -e nonsense", status=2)


def test_kafka_server_start_has_its_counterparts(shell: Shell) -> None:
    assert "not needed" in shell("zookeeper-server-start /usr/local/etc/kafka/zookeeper.properties")
    assert len(shell("kafka-storage.sh random-uuid").strip()) == 22
    shell("kafka-server-start --nonsense", status=1)
    for tool in ("kafka-server-start", "kafka-server-stop", "kafka-storage"):
        assert shell(f"{tool} --help").startswith(f"usage: {tool}")


def test_kafkas_tools_in_the_shell_take_the_properties_of_the_context(
    shell: Shell, bootstrap_servers: str, tmp_path: Path
) -> None:
    shell.environment["OTTLA_CONTEXTS"] = str(tmp_path / "contexts.json")
    del shell.environment["KAFKA_BOOTSTRAP_SERVERS"]
    shell(f"ottla context add here {bootstrap_servers}")
    shell(f"ottla context add locked {bootstrap_servers} -X security.protocol=NONSENSE")
    shell("ottla shell -c here -e 'kafka-topics --list'")
    shell("ottla shell -c locked -e 'kafka-topics --list'", status=1)
    assert "NONSENSE" in shell.said
    shell("ottla shell -c locked -e 'kafka-topics --list | cat; exit 3'", status=3)
    assert "NONSENSE" in shell.said
    shell("ottla shell -c locked -e 'topics | cat; exit 3'", status=3)
    assert "NONSENSE" in shell.said

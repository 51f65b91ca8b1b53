"""Write-up 2: Kafka explained, the all-in-one platform."""

from __future__ import annotations

import json
import re

from tour.run import shows
from tour.stage import Stage
from tour.terminal import at_terminal

TOPIC = "my-topic-golang-test1"
#: For four nodes of Apache Kafka, on a slow machine.
LAB_LIMIT_S = 400.0


@shows("2.1")
def console(stage: Stage) -> str:
    page = stage.types(f"curl -s -L {stage.door('Console')}/", lines=2)
    stage.sees("<html" in page, "no page came")
    outside = re.findall(r'(?:src|href)="(https?://[^"]+)', page)
    stage.sees(not outside, f"the page wants {outside[:1]} from elsewhere")
    return f"{stage.door('Console')} answers with a page that needs nothing from elsewhere"


@shows("2.2")
def command_line(stage: Stage) -> str:
    stage.types(
        f"kafka-topics --create --topic {TOPIC} --partitions 1 --replication-factor 1 "
        "--if-not-exists --zookeeper zookeeper:2181"
    )
    stage.types("kafka-topics --list --zookeeper zookeeper:2181", shows=f"^{TOPIC}$")
    stage.types(
        f"kafka-topics --describe {TOPIC} --zookeeper zookeeper:2181",
        shows=rf"Topic: {TOPIC}\b.*PartitionCount: 1",
    )
    stage.types(
        "seq 100 | kafka-console-producer --request-required-acks 1 "
        f"--broker-list localhost:9092 --topic {TOPIC} && echo 'Produced 100 messages.'",
        shows="Produced 100 messages",
    )
    output = stage.types(
        "kafka-console-consumer --bootstrap-server localhost:9092 "
        f"--topic {TOPIC} --from-beginning --max-messages 100"
    )
    numbers = [line for line in output.splitlines() if line.isdigit()]
    stage.sees(numbers == [str(n) for n in range(1, 101)], "not the 100 numbers in their order")
    return "topics created, listed, described; 100 messages in and the same 100 out, in order"


@shows("2.3")
def shell(stage: Stage) -> str:
    topic, key = stage.unique("shell"), "cleanup.policy"
    with at_terminal(stage, "kafka-shell --bootstrap-servers localhost:9092") as terminal:
        terminal.shows("Tab completes")

        def types(line: str, shows: str) -> None:
            terminal.presses(f"{line}\r")
            terminal.shows(shows)
            stage.says(f"› {line}")

        types(f"kafka-topics --create --topic {topic} --partitions 2", "Created topic")
        types(f"produce {topic} -m 'from inside'", "1 record")
        types(f"consume {topic} -e | tr a-z A-Z", "FROM INSIDE")
        terminal.presses(f"topics describe {topic[:9]}")
        terminal.shows(f"{topic} +2 partitions")
        terminal.presses("\t")
        terminal.shows(topic[9:])
        terminal.presses("\r")
        terminal.shows("PARTITION ")
        terminal.presses(f"topics create x --config {key}=com")
        terminal.shows(f"{key}=compact,delete")
        terminal.presses("\x03")
        terminal.presses("kafka-topics --cr")  # what was typed before is offered in grey
        terminal.shows(rf"eate --topic {topic}")
        terminal.presses("\x03")
        terminal.presses(f"consume {topic}\r")
        terminal.shows("from inside")
        terminal.presses("\x03")  # ends what is live, not the shell
        terminal.shows("›")
        terminal.presses("exit\r")
        stage.sees(terminal.ends() == 0, "the shell did not end with status 0")
    return (
        "Kafka's tools, verbs and pipes; topics and values completed; a live view ended by Ctrl-C"
    )


@shows("2.5")
def partition_count(stage: Stage) -> str:
    wished = 200
    output = stage.types(
        f"ottla plan partitions --rate {wished}MB --seconds 1 --rounds 2 "
        "--bootstrap-servers localhost:9092"
    )
    measured = [
        re.search(rf"^{name} .*?([\d.,]+) MB/s", output, re.MULTILINE)
        for name in ("producer", "consumer")
    ]
    answer = re.search(r"^(\d+) partitions?$", output, re.MULTILINE)
    stage.sees(answer is not None and None not in measured, "the plan has no measurement")
    p, c = (float(found[1].replace(",", "")) for found in measured if found is not None)
    asked = max(wished / p, wished / c)
    stage.sees(
        answer is not None and abs(int(answer[1]) - asked) < 1.05,
        f"max({wished}/{p}, {wished}/{c}) is {asked:.2f}",
    )
    assert answer is not None
    return f"p = {p:.0f} MB/s, c = {c:.0f} MB/s: {answer[1]} partitions for {wished} MB/s"


@shows("2.6")
def acks(stage: Stage) -> str:
    output = stage.types(f"ottla lab acks --fast{where(stage)}", shows="^verdict: holds", lines=60)
    refused = re.findall(r"acks=0: all (\d+) are gone", output)
    told = f"acks=0 lost {refused[0]} refused records in silence, 1 and all were told"
    if stage.engine == "apache":
        with stage.leaves_running("ottla lab replication --fast") as lab:
            lab.wait_for("^verdict: holds", LAB_LIMIT_S)
            lost = lab.wait_for(r"acks=1: (\d+) acknowledged records died", LAB_LIMIT_S)
        return f"{told}; with followers paused and the leader killed, acks=1 lost {lost[1]}, all 0"
    if stage.engine != "embedded":
        return told
    lost = re.search(r"page-cache: answers do not wait.*?acks=all.*?(\d+) lost", output, re.DOTALL)
    assert lost is not None
    return (
        f"{told}; a killed process lost nothing acknowledged (1, all), a simulated power cut "
        f"under page-cache {lost[1]} records, under fsync none"
    )


@shows("2.7")
def groups(stage: Stage) -> str:
    output = stage.types(
        f"ottla lab groups --fast{where(stage)}", shows="^verdict: holds", lines=40
    )
    stage.sees("3 of 5 consumers had nothing to do" in output, "not 3 of 5 are idle")
    stopped = dict(re.findall(r"^(eager|cooperative|KIP-848) .* (\d+) ms", output, re.MULTILINE))
    pauses = ", ".join(f"{name} {pause} ms" for name, pause in stopped.items())
    return f"3 of 5 are idle; a second group reads all again; a rebalance's pauses: {pauses}"


@shows("2.8")
def commits(stage: Stage) -> str:
    output = stage.types(
        f"ottla lab delivery --fast{where(stage)}", shows="^verdict: holds", lines=30
    )
    seen = re.findall(r"^  . ((?:at|exactly) .*)$", output, re.MULTILINE)
    stage.sees(len(seen) == 3, "not all three strategies were shown")
    return "; ".join(seen)


def where(stage: Stage) -> str:
    """Labs start a broker of their own unless they are sent elsewhere."""
    return "" if stage.engine == "embedded" else " --bootstrap-servers localhost:9092"


@shows("2.9")
def rest_proxy(stage: Stage) -> str:
    stage.door("REST Proxy")
    topic = "topicgo1"
    stage.types(
        "kafka-topics --create --if-not-exists --topic topicgo1 --bootstrap-server localhost:9092"
    )
    stage.types('curl -s "http://localhost:8082/topics"', shows=topic)
    stage.types('curl -s "http://localhost:8082/topics/topicgo1"', shows='"name": ?"topicgo1"')
    stage.types('curl -s "http://localhost:8082/topics/topicgo1/partitions"', shows="partition")
    stage.types(
        'curl -s -X POST -H "Content-Type: application/vnd.kafka.json.v2+json" '
        '-H "Accept: application/vnd.kafka.v2+json" '
        '--data \'{"records":[{"value":{"msg":"success 4"}}]}\' '
        '"http://localhost:8082/topics/topicgo1"',
        shows="offsets",
    )
    created = stage.types(
        'curl -s -X POST -H "Content-Type: application/vnd.kafka.v2+json" --data '
        '\'{"name": "my_consumer_instance", "format": "json", "auto.offset.reset": "earliest"}\' '
        "http://localhost:8082/consumers/go_json_consumer"
    )
    stage.sees(
        json.loads(created)["instance_id"] == "my_consumer_instance", "no consumer was created"
    )
    instance = "http://localhost:8082/consumers/go_json_consumer/instances/my_consumer_instance"
    stage.types(
        'curl -s -X POST -H "Content-Type: application/vnd.kafka.v2+json" '
        f'--data \'{{"topics":["topicgo1"]}}\' {instance}/subscription'
    )
    read = f'curl -s -X GET -H "Accept: application/vnd.kafka.json.v2+json" {instance}/records'
    for _ in range(10):  # the first calls may come while the group is still joining
        if "success 4" in stage.types(read):
            break
    else:
        stage.sees(False, "the record did not come back")
    stage.types(f'curl -s -X DELETE -H "Content-Type: application/vnd.kafka.v2+json" {instance}')
    return "the text's eight curl lines: listed, produced, consumed, deleted"


@shows("2.10")
def uuids(stage: Stage) -> str:
    topic, group = stage.unique("topicgo1"), stage.unique("logger-group1")
    with stage.leaves_running(f"ottla demo uuid consumer --topic {topic} --group {group}") as log:
        stage.types(f"ottla demo uuid producer --topic {topic} --messages 5 --rate 0")
        found = log.wait_for(
            rf"message at topic:{topic} partition:\d+ offset:4  [0-9a-f-]{{36}} = (.+)"
        )
    stage.sees('"msg":success"' in found[1], "the value is not the write-up's")
    consumers = f"http://localhost:8082/consumers/{group}-rest"
    kind = '-H "Content-Type: application/vnd.kafka.v2+json"'
    create = '{"name": "c", "format": "json", "auto.offset.reset": "earliest"}'
    stage.types(f"curl -s -X POST {kind} --data '{create}' {consumers}")
    topics = f'{{"topics": ["{topic}"]}}'
    stage.types(f"curl -s -X POST {kind} --data '{topics}' {consumers}/instances/c/subscription")
    answer = stage.repeats(
        f'curl -s -H "Accept: application/vnd.kafka.json.v2+json" {consumers}/instances/c/records',
        until=r"offset",
    )
    stage.types(f"curl -s -X DELETE {kind} {consumers}/instances/c")
    return f"logged: key = {found[1]}; the REST consumer says {answer.strip()[:90]}"

"""Write-up 2 again: the log it draws, and ZooKeeper's roles, each in its modern place."""

from __future__ import annotations

import re
import time
from pathlib import Path

from tour.run import shows
from tour.stage import Stage, free_port

SNAPPY = 2
RECORDS = 400_000


@shows("2.4")
def log(stage: Stage) -> str:
    port, data = free_port(), stage.scratch / "log-data"
    servers = f"localhost:{port}"
    with stage.leaves_running(
        f"ottla up --bare --name tour-log --port {port} --data-dir {data} "
        "--set log.retention.check.interval.ms=300 --set log.cleaner.backoff.ms=300"
    ) as up:
        up.wait_for("Ctrl-C stops everything")
        here = stage.beside("embedded", servers)
        segments = append(here, data, servers)
        compact(here, servers)
        stored_as_received(here, data, servers)
    return (
        f"{segments} segments with sparse indexes; oldest deleted by size, unread; compacted to "
        "the last value of each key; a compressed batch lies on the disk as it was sent"
    )


def append(here: Stage, data: Path, servers: str) -> int:
    """Segments, their indexes and retention by size; returns the number of segments."""
    here.types(
        f"kafka-topics --bootstrap-server {servers} --create --topic log "
        "--config segment.bytes=1048576"
    )
    here.types(
        f"seq {RECORDS} | kafka-console-producer --bootstrap-server {servers} --topic log "
        "--compression-codec lz4"
    )
    files = sorted(file.name for file in (data / "log-0").iterdir())
    logs = [name for name in files if name.endswith(".log")]
    here.says(" ".join(files))
    here.sees(len(logs) > 2, f"{len(logs)} segments instead of several")
    here.sees(all(name.replace(".log", ".index") in files for name in logs), "indexes are missing")
    index = here.types(f"kafka-dump-log --files {data}/log-0/{logs[0]}".replace(".log", ".index"))
    entries = len(re.findall(r"offset: \d+ position: \d+", index))
    here.sees(1 < entries < RECORDS / len(logs) / 10, f"{entries} index entries are not sparse")
    here.types(
        f"kafka-dump-log --files {data}/log-0/{logs[0]}",
        shows="baseOffset: 0 .*compresscodec: lz4 .*isvalid: true",
        lines=4,
    )
    here.types(
        f"kafka-configs --bootstrap-server {servers} --alter --entity-type topics "
        "--entity-name log --add-config retention.bytes=1000"
    )
    earliest = f"kafka-get-offsets --bootstrap-server {servers} --topic log --time -2"
    last_base = int(logs[-1].removesuffix(".log"))
    here.repeats(earliest, until=rf"log:0:{last_base}\b")
    return len(logs)


def compact(here: Stage, servers: str) -> None:
    settings = "--config cleanup.policy=compact --config segment.ms=100"
    settings += " --config min.cleanable.dirty.ratio=0.01"
    here.types(f"kafka-topics --bootstrap-server {servers} --create --topic kept {settings}")
    produce = (
        f"kafka-console-producer --bootstrap-server {servers} --topic kept "
        "--reader-property parse.key=true --reader-property key.separator=:"
    )
    here.types(f"for n in $(seq 50); do echo a:$n; echo b:$n; done | {produce}")
    read = (
        f"kafka-console-consumer --bootstrap-server {servers} --topic kept --from-beginning "
        "--timeout-ms 1500 --formatter-property print.key=true"
    )

    def is_compacted(output: str) -> bool:
        values = re.findall(r"^([ab])\t(\d+)$", output, re.MULTILINE)
        return len(values) < 10 and ("a", "50") in values and ("b", "50") in values

    time.sleep(0.2)  # the segment's age, after which the next record begins another
    here.types(f"echo end:1 | {produce}")
    here.repeats(read, until=is_compacted, seconds=60)


def stored_as_received(here: Stage, data: Path, servers: str) -> None:
    """Only what Kafka writes, too, differs: the base offset and the leader epoch."""
    from ottla.batch.record_batch import Record, build_batch
    from ottla.client import Cluster
    from ottla.wire.messages.produce import (
        PartitionProduceData,
        ProduceRequest,
        TopicProduceData,
    )

    here.types(f"kafka-topics --bootstrap-server {servers} --create --topic exact")
    now = int(time.time() * 1_000)
    records = [Record(0, now, b"key", b"value " * 50) for _ in range(100)]
    sent = bytes(build_batch(records, compression=SNAPPY))
    with Cluster(servers) as cluster:
        part = PartitionProduceData(0, sent)
        topic = TopicProduceData(cluster.topic("exact").topic_id, "exact", [part])
        answer = cluster.leader("exact", 0).request(ProduceRequest(None, -1, 10_000, [topic]))
    outcome = answer.responses[0].partition_responses[0]
    here.sees(outcome.error_code == 0, f"the batch was refused: {outcome.error_message}")
    stored = (data / "exact-0" / f"{0:020}.log").read_bytes()
    here.says(f"{len(sent)} bytes sent, {len(stored)} bytes stored, records compressed by Snappy")
    here.sees(stored[8:12] + stored[16:] == sent[8:12] + sent[16:], "the stored batch differs")


@shows("2.11")
def roles(stage: Stage) -> str:
    port, data = free_port(), stage.scratch / "roles-data"
    servers = f"localhost:{port}"
    with stage.leaves_running(
        f"ottla up --bare --name tour-roles --port {port} --data-dir {data} --set "
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer "
        "--set super.users=User:ANONYMOUS"
    ) as up:
        up.wait_for("Ctrl-C stops everything")
        here = stage.beside("embedded", servers)
        tool = f"--bootstrap-server {servers}"
        here.types(f"kafka-topics {tool} --create --topic roles --config retention.ms=1000")
        here.types(
            f"kafka-metadata-quorum {tool} describe --status", shows=r"(?s)LeaderId: +1.*Voters"
        )
        here.types(
            f"kafka-configs {tool} --describe --entity-type topics --entity-name roles",
            shows="retention.ms=1000",
        )
        here.types(
            f"kafka-configs {tool} --alter --entity-type clients --entity-name slow "
            "--add-config producer_byte_rate=1024"
        )
        here.types(
            f"kafka-configs {tool} --describe --entity-type clients",
            shows="producer_byte_rate=1024",
        )
        here.types(
            f"kafka-acls {tool} --add --allow-principal User:alice --operation Read --topic roles"
        )
        here.types(f"kafka-acls {tool} --list", shows="User:alice.*READ")
    return (
        "controller and members: kafka-metadata-quorum; topic configuration and quotas: "
        "kafka-configs; ACLs: kafka-acls"
    )

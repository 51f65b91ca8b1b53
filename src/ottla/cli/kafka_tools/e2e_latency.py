"""`kafka-e2e-latency`: how long one record takes from the producer to the consumer."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from confluent_kafka import Message

    from ottla.cli.workers.consuming import RecordReader
    from ottla.cli.workers.producing import RecordSender

#: What the options are called that were words in this order before Kafka 4.2.
POSITIONS: Final = (
    "--bootstrap-server",
    "--topic",
    "--num-records",
    "--producer-acks",
    "--record-size",
    "--command-config",
)
REQUIRED: Final = POSITIONS[1:5]
#: How long a record may take, in seconds.
PATIENCE_S: Final = 60
REPORT_EVERY: Final = 1000


def build_parser() -> OptionParser:
    """The options of kafka-e2e-latency."""
    parser = OptionParser("kafka-e2e-latency", "Measure the way of single records through Kafka.")
    add_connection_options(parser)
    value = parser.value
    value("--topic", "topic to use; it is created when missing", metavar="TOPIC")
    value("--num-records", "how many records, one after the other", type_=int, metavar="N")
    value("--producer-acks", "acknowledgements to wait for: 1 or all", metavar="ACKS")
    value("--record-size", "bytes of each value", type_=int, metavar="BYTES")
    value("--record-key-size", "bytes of each key", type_=int, metavar="BYTES", default=0)
    value("--num-headers", "headers of each record", type_=int, metavar="N", default=0)
    value("--record-header-key-size", "bytes of a header's name", type_=int, default=0)
    value("--record-header-size", "bytes of a header; -1 for null", type_=int, default=0)
    return parser


def named(arguments: Sequence[str]) -> list[str]:
    """The command line with names before its values, as older Kafkas did without.

    Errors: `CommandError` for a number of words that fits neither way.
    """
    if not arguments or {*arguments} & {*POSITIONS[:5], "--help", "--version"}:
        return list(arguments)
    if len(arguments) not in (5, 6):
        raise CommandError(
            "Invalid number of arguments. Expected 5 or 6 positional arguments, but got "
            f"{len(arguments)}. Usage: bootstrap-server topic num-records producer-acks "
            "record-size [optional] command-config"
        )
    print(
        "WARNING: Positional argument usage is deprecated and will be removed in Apache Kafka "
        f"5.0. Please use named arguments instead: {', '.join(POSITIONS)}"
    )
    pairs = zip(POSITIONS, arguments, strict=False)
    return [word for pair in pairs for word in pair]


def _check(options: argparse.Namespace) -> None:
    for name in REQUIRED:
        if getattr(options, name[2:].replace("-", "_")) is None:
            raise CommandError(f'Missing required argument "[{name[2:]}]"')
    if options.producer_acks not in ("1", "all"):
        raise CommandError("Latency testing requires synchronous acknowledgement; use 1 or all.")
    if options.num_records <= 0 or options.record_size < 0 or options.record_key_size < 0:
        raise CommandError("--num-records must be above zero, and sizes not below it.")


def run(arguments: Sequence[str]) -> int:
    """Send records one by one, each as soon as the one before was read."""
    options, _ = build_parser().parse(named(arguments))
    _check(options)
    servers = bootstrap_servers(options.bootstrap_server)
    properties = client_properties(options.command_config)
    reading = properties | {
        "group.id": f"test-group-{int(time.time() * 1000)}",
        "enable.auto.commit": "false",
        "fetch.max.wait.ms": "0",
    }
    sending = properties | {"acks": options.producer_acks, "linger.ms": "0"}

    from ottla.cli.java_numbers import double_text
    from ottla.cli.workers.consuming import RecordReader
    from ottla.cli.workers.producing import RecordSender

    ends = _end_offsets(servers, properties, options.topic)
    latencies: list[float] = []
    chance = random.Random(0)
    with RecordReader(servers, reading) as reader, RecordSender(servers, sending, {}) as sender:
        reader.assign(options.topic, ends)
        for number in range(options.num_records):
            latencies.append(_round_trip(options, chance, reader, sender))
            if number % REPORT_EVERY == 0:
                print(f"{number}\t{double_text(round(latencies[-1], 6))}", flush=True)
    print(f"Avg latency: {sum(latencies) / len(latencies):.4f} ms")
    ordered = sorted(map(int, latencies))
    at = [ordered[int(len(ordered) * share)] for share in (0.5, 0.99, 0.999)]
    print(f"Percentiles: 50th = {at[0]}, 99th = {at[1]}, 99.9th = {at[2]}")
    return 0


def _end_offsets(servers: str, properties: dict[str, str], topic: str) -> dict[int, int]:
    """Where each partition ends; the topic is created when there is none."""
    from ottla.cli.workers.opening import open_cluster
    from ottla.cli.workers.topics import create_topic, list_topics, wait_for_topic
    from ottla.client.offsets import end_offsets

    with open_cluster(servers, properties) as cluster:
        if topic not in list_topics(cluster):
            print(
                f'Topic "{topic}" does not exist. Will create topic with 1 partition(s) and '
                "replication factor = 1"
            )
            create_topic(cluster, topic, partitions=1, replication_factor=1)
        partitions = wait_for_topic(cluster, topic).partitions
        ends = end_offsets(cluster, [(topic, partition.number) for partition in partitions])
    return {number: offset for (_, number), offset in ends.items()}


def _round_trip(
    options: argparse.Namespace, chance: random.Random, reader: RecordReader, sender: RecordSender
) -> float:
    """Milliseconds from sending one record until it was read."""

    def filler(size: int) -> bytes:
        return bytes([65 + chance.randrange(26)]) * size

    key, value = filler(options.record_key_size), filler(options.record_size)
    empty = options.record_header_size < 0
    headers = [
        (
            filler(options.record_header_key_size).decode(),
            None if empty else filler(options.record_header_size),
        )
        for _ in range(options.num_headers)
    ]
    begin = time.perf_counter()
    sender.send(options.topic, value, key=key, headers=headers)
    sender.flush()
    if sender.failures:
        raise CommandError("A record was refused, so there is nothing to measure.")
    message = reader.next(PATIENCE_S)
    elapsed_ms = (time.perf_counter() - begin) * 1000
    _compare(message, key, value, headers)
    return elapsed_ms


def _compare(
    message: Message | None,
    key: bytes,
    value: bytes,
    headers: list[tuple[str, bytes | None]],
) -> None:
    if message is None:
        raise CommandError(
            f"poll() timed out before finding a result (timeout:[{PATIENCE_S * 1000}ms])"
        )
    for part, read, sent in (
        ("value", message.value(), value),
        ("key", message.key(), key),
        ("headers", message.headers() or [], headers),
    ):
        if read != sent:
            raise CommandError(
                f"The message {part} read [{read!r}] did not match the message {part} sent "
                f"[{sent!r}]; is somebody else producing to this topic?"
            )


def main() -> int:
    """Entry point of kafka-e2e-latency."""
    return exit_status_of(lambda: run(sys.argv[1:]))

"""`kafka-verifiable-consumer`: a member of a group that tells all it does as JSON lines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
    renamed_value,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.kafka_tools.verifiable_events import Ending, print_event
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from confluent_kafka import Message, TopicPartition

    from ottla.cli.workers.consuming import RecordReader

#: Records taken at once, as Java's max.poll.records.
BATCH: Final = 500
#: How often waiting looks for a signal, in seconds.
TICK_S: Final = 0.5


def build_parser() -> OptionParser:
    """The options of kafka-verifiable-consumer."""
    parser = OptionParser("kafka-verifiable-consumer", "Consume a topic and tell of every event.")
    add_connection_options(parser)
    value, flag = parser.value, parser.flag
    value("--topic", "topic to consume", metavar="TOPIC")
    value("--group-id", "consumer group", metavar="GROUP")
    value("--group-protocol", "classic or consumer", default="classic")
    value("--group-remote-assignor", "the group's assignor, for the protocol consumer")
    value("--group-instance-id", "name of a static member", metavar="ID")
    value("--max-messages", "how many records; -1 for no end", type_=int, default=-1)
    value("--session-timeout", "the member's session time-out", metavar="MS")
    flag("--verbose", "tell of every record")
    flag("--enable-autocommit", "commit in the background instead of after every batch")
    value("--close-timeout", "accepted; librdkafka leaves at once", type_=int, metavar="MS")
    value("--reset-policy", "earliest, latest or none", default="earliest")
    value(
        "--assignment-strategy",
        "assignor, for the protocol classic",
        default="org.apache.kafka.clients.consumer.RangeAssignor",
    )
    value("--consumer.config", "deprecated: --command-config", metavar="FILE")
    parser.retire("--broker-list", "--broker-list is an old name; use --bootstrap-server")
    return parser


def _properties(options: argparse.Namespace) -> dict[str, str]:
    protocol = options.group_protocol.lower()
    if protocol not in ("classic", "consumer"):
        raise CommandError("kafka-verifiable-consumer: --group-protocol is classic or consumer")
    for name in ("topic", "group_id"):
        if not getattr(options, name):
            shown = name.replace("_", "-")
            raise CommandError(f"kafka-verifiable-consumer: argument --{shown} is required")
    properties = client_properties(renamed_value(options, "--consumer.config", "--command-config"))
    chosen = {
        "group.id": options.group_id,
        "group.protocol": protocol,
        "group.instance.id": options.group_instance_id,
        "session.timeout.ms": options.session_timeout,
        "enable.auto.commit": str(options.enable_autocommit).lower(),
        "auto.offset.reset": options.reset_policy,
    }
    if protocol == "consumer":
        chosen["group.remote.assignor"] = options.group_remote_assignor
    else:
        chosen["partition.assignment.strategy"] = options.assignment_strategy
    return properties | {key: value for key, value in chosen.items() if value is not None}


def run(arguments: Sequence[str]) -> int:
    """Consume until all are read or a signal comes."""
    parser = build_parser()
    if not arguments:
        parser.print_help()
        return 0
    options, _ = parser.parse(arguments)
    properties = _properties(options)
    servers = bootstrap_servers(options.bootstrap_server, options.broker_list[-1:])

    from ottla.cli.workers.consuming import RecordReader

    ending = Ending()
    with RecordReader(servers, properties) as reader:
        print_event("startup_complete")
        reader.subscribe(
            options.topic,
            on_assign=lambda _, found: _tell_partitions("partitions_assigned", found),
            on_revoke=lambda _, found: _tell_partitions("partitions_revoked", found),
        )
        _consume(options, reader, ending)
        if ending.is_wanted:
            print_event("shutdown_requested")
    print_event("shutdown_complete")
    if not ending.is_wanted:
        print_event("shutdown_requested")
    return ending.status


def _consume(options: argparse.Namespace, reader: RecordReader, ending: Ending) -> None:
    left = options.max_messages
    while left != 0 and not ending.is_wanted:
        messages = reader.next_many(BATCH if left < 0 else min(left, BATCH), TICK_S)
        if not messages:
            continue
        left -= len(messages) if left > 0 else 0
        ends = _tell_records(messages, is_verbose=options.verbose)
        if not options.enable_autocommit:
            _commit(reader, ends)


def _tell_partitions(name: str, partitions: list[TopicPartition]) -> None:
    print_event(
        name,
        partitions=[
            {"topic": partition.topic, "partition": partition.partition}
            for partition in sorted(partitions)
        ],
    )


def _tell_records(
    messages: list[Message], *, is_verbose: bool
) -> dict[tuple[str | None, int | None], int]:
    """Tell of a batch; returns the offset to go on from in each of its partitions."""
    by_partition: dict[tuple[str | None, int | None], list[Message]] = {}
    for message in messages:
        by_partition.setdefault((message.topic(), message.partition()), []).append(message)
    ends: dict[tuple[str | None, int | None], int] = {}
    summaries = []
    for (topic, partition), batch in by_partition.items():
        offsets = [message.offset() or 0 for message in batch]
        if is_verbose:
            for message in batch:
                print_event(
                    "record_data",
                    key=_text(message.key()),
                    value=_text(message.value()),
                    topic=topic,
                    partition=partition,
                    offset=message.offset(),
                )
        ends[topic, partition] = offsets[-1] + 1
        summaries.append(
            {
                "topic": topic,
                "partition": partition,
                "count": len(batch),
                "minOffset": offsets[0],
                "maxOffset": offsets[-1],
            }
        )
    print_event("records_consumed", count=len(messages), partitions=summaries)
    return ends


def _text(part: str | bytes | None) -> str | None:
    return part.decode(errors="replace") if isinstance(part, bytes) else part


def _commit(reader: RecordReader, ends: dict[tuple[str | None, int | None], int]) -> None:
    from confluent_kafka import KafkaException, TopicPartition

    offsets = [
        {"topic": topic, "partition": partition, "offset": offset}
        for (topic, partition), offset in ends.items()
    ]
    try:
        reader.consumer.commit(
            offsets=[
                TopicPartition(topic or "", partition or 0, offset)
                for (topic, partition), offset in ends.items()
            ],
            asynchronous=False,
        )
    except KafkaException as error:
        text = error.args[0].str()
        print_event("offsets_committed", offsets=offsets, error=text, success=False)
        return
    print_event("offsets_committed", offsets=offsets, success=True)


def main() -> int:
    """Entry point of kafka-verifiable-consumer."""
    return exit_status_of(lambda: run(sys.argv[1:]))

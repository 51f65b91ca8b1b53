"""`kafka-verifiable-producer`: rising numbers, with a JSON line for every answer.

Tests use it to compare what was acknowledged with what can be read.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

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
    from confluent_kafka import KafkaError, Message

    from ottla.cli.workers.producing import RecordSender


def build_parser() -> OptionParser:
    """The options of kafka-verifiable-producer."""
    parser = OptionParser("kafka-verifiable-producer", "Produce numbers and tell of each of them.")
    add_connection_options(parser)
    value = parser.value
    value("--topic", "topic to produce to", metavar="TOPIC")
    value("--max-messages", "how many records; -1 for no end", type_=int, default=-1)
    value("--throughput", "records a second at most; -1 for no limit", type_=int, default=-1)
    value("--acks", "acknowledgements to wait for: 0, 1 or -1", type_=int, default=-1)
    value("--producer.config", "deprecated: --command-config", metavar="FILE")
    value("--message-create-time", "ms since 1970 of the first record", type_=int, default=-1)
    value("--value-prefix", "number before every value, and a dot", type_=int)
    value("--repeating-keys", "keys are 0 up to this, and again", type_=int)
    parser.retire("--broker-list", "--broker-list is an old name; use --bootstrap-server")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Produce until all are sent or a signal comes; returns 0 also when some were refused."""
    parser = build_parser()
    if not arguments:
        parser.print_help()
        return 0
    options, _ = parser.parse(arguments)
    if not options.topic:
        raise CommandError("kafka-verifiable-producer: argument --topic is required")
    if options.acks not in (0, 1, -1):
        raise CommandError("kafka-verifiable-producer: --acks is 0, 1 or -1")
    servers = bootstrap_servers(options.bootstrap_server, options.broker_list[-1:])
    properties = {"acks": str(options.acks), "retries": "0"} | client_properties(
        renamed_value(options, "--producer.config", "--command-config")
    )

    from ottla.cli.workers.producing import RecordSender

    def on_refused(error: KafkaError, message: Message) -> None:
        kind, _, text = _java_exception(error).partition(": ")
        print_event(
            "producer_send_error",
            topic=message.topic(),
            **_key_and_value(message),
            exception=f"class {kind}",
            message=text,
        )

    ending = Ending()
    started = time.time()
    with RecordSender(
        servers, properties, {}, on_acknowledged=_tell_success, on_refused=on_refused
    ) as sender:
        print_event("startup_complete")
        tried = _send_all(options, sender, ending)
    print_event("shutdown_complete")
    print_event(
        "tool_data",
        sent=tried,
        acked=sender.sent,
        target_throughput=options.throughput,
        avg_throughput=sender.sent / (time.time() - started),
    )
    return ending.status


def _send_all(options: argparse.Namespace, sender: RecordSender, ending: Ending) -> int:
    """Send what is asked for; returns how many records that were."""
    from ottla.cli.workers.producing import Pace

    pace = Pace(options.throughput)
    started = time.time()
    timestamp_ms = options.message_create_time
    prefix = "" if options.value_prefix is None else f"{options.value_prefix}."
    number = 0
    while number != options.max_messages and not ending.is_wanted:
        key = None
        if options.repeating_keys:
            key = str(number % options.repeating_keys).encode()
        value = f"{prefix}{number}".encode()
        if timestamp_ms >= 0:
            sender.send(options.topic, value, key=key, timestamp_ms=timestamp_ms)
            timestamp_ms += int((time.time() - started) * 1000)
        else:
            sender.send(options.topic, value, key=key)
        number += 1
        pace.keep(number, sender)
    return number


def _key_and_value(message: Message) -> dict[str, str | None]:
    key, value = message.key(), message.value()
    return {
        "key": key.decode() if isinstance(key, bytes) else None,
        "value": value.decode() if isinstance(value, bytes) else None,
    }


def _tell_success(message: Message) -> None:
    print_event(
        "producer_send_success",
        **_key_and_value(message),
        offset=message.offset(),
        topic=message.topic(),
        partition=message.partition(),
    )


def _java_exception(error: KafkaError) -> str:
    from ottla.cli.workers.failures import java_text

    if error.code() > 0:
        return java_text(error.code())
    return f"org.apache.kafka.common.errors.TimeoutException: {error.str()}"


def main() -> int:
    """Entry point of kafka-verifiable-producer."""
    return exit_status_of(lambda: run(sys.argv[1:]))

"""`kafka-console-share-consumer`: records of a topic, as a member of a share group (KIP-932)."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
    key_value_pairs,
    merged_properties,
    renamed_value,
)
from ottla.cli.errors import INTERRUPTED, CommandError, exit_status_of, flush_to_reader, note
from ottla.cli.kafka_tools.console_consumer import DEFAULT_FORMATTER
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.cli.kafka_tools.message_formatters import MessageFormatter
    from ottla.cli.workers.share_consuming import ShareReader

DEFAULT_GROUP: Final = "console-share-consumer"
#: A member may learn of its partitions with its second heartbeat only, after 5 s at Apache
#: Kafka; no time-out ends the tool before its first record could have come.
JOINING_S: Final = 6.0


def build_parser() -> OptionParser:
    """The options of kafka-console-share-consumer."""
    parser = OptionParser(
        "kafka-console-share-consumer",
        "Read records of a topic in a share group and write them to standard output.",
    )
    add_connection_options(parser)
    value = parser.value
    value("--topic", "topic to read", metavar="TOPIC")
    value("--group", f"share group to join (default: {DEFAULT_GROUP})", metavar="GROUP")
    value("--max-messages", "end after this many records", type_=int)
    value("--timeout-ms", "end when no record comes for so long", type_=int)
    parser.flag("--release", "give every record back after printing it")
    parser.flag("--reject", "reject every record after printing it")
    parser.flag("--reject-message-on-error", "reject a record that cannot be printed, and go on")
    value("--key-deserializer", "Java class name of the key's deserializer", metavar="CLASS")
    value("--value-deserializer", "Java class name of the value's deserializer", metavar="CLASS")
    value("--formatter", "Java class name of the formatter", default=DEFAULT_FORMATTER)
    for name in ("--formatter-property", "--property"):
        parser.values(
            name,
            "KEY=VALUE for the formatter: as kafka-console-consumer, and print.delivery"
            + ("; deprecated: --formatter-property" if name == "--property" else ""),
        )
    value("--formatter-config", "properties file for the formatter", metavar="FILE")
    parser.values("--command-property", "KEY=VALUE for the consumer")
    parser.values("--consumer-property", "deprecated: --command-property")
    value("--consumer-config", "deprecated: --command-config", metavar="FILE")
    parser.flag("--enable-systest-events", "print shutdown_complete at the end")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Print records until told to stop; a time-out is an ordinary end."""
    options, rest = build_parser().parse(arguments)
    topic = options.topic or (rest[0] if rest else None)
    if not topic:
        raise CommandError("--topic is a required argument")
    if options.reject and options.release:
        raise CommandError("At most one of --reject and --release may be specified.")
    properties = client_properties(
        renamed_value(options, "--consumer-config", "--command-config"),
        renamed_value(options, "--consumer-property", "--command-property"),
    )
    group = properties.get("group.id")
    if group and options.group and group != options.group:
        raise CommandError(
            "The group ids provided in different places (directly using '--group', via "
            "'--command-property', or via '--command-config') do not match. "
            f"Detected group ids: '{group}', '{options.group}'"
        )
    properties["group.id"] = options.group or group or DEFAULT_GROUP
    formatter = _formatter(options)
    servers = bootstrap_servers(options.bootstrap_server)

    from ottla.cli.workers.share_consuming import ShareReader

    with ShareReader(servers, properties, topic) as reader:
        status = _print_records(reader, formatter, options)
    if options.enable_systest_events:
        print("shutdown_complete")
    return status


def _formatter(options: argparse.Namespace) -> MessageFormatter:
    from ottla.cli.kafka_tools.message_formatters import formatter_named

    properties = merged_properties(options.formatter_config)
    for kind in ("key", "value"):
        if getattr(options, f"{kind}_deserializer"):
            properties[f"{kind}.deserializer"] = getattr(options, f"{kind}_deserializer")
    properties.update(key_value_pairs(renamed_value(options, "--property", "--formatter-property")))
    return formatter_named(options.formatter, properties)


def _print_records(
    reader: ShareReader, formatter: MessageFormatter, options: argparse.Namespace
) -> int:
    """Write records until the wished number, silence, or Ctrl-C; each is acknowledged.

    What was acquired and not printed goes back to the group.
    """
    from confluent_kafka import AcknowledgeType

    verdict = AcknowledgeType.ACCEPT
    if options.reject or options.release:
        verdict = AcknowledgeType.REJECT if options.reject else AcknowledgeType.RELEASE
    limit = -1 if options.max_messages is None else options.max_messages
    patience_s = None
    if options.timeout_ms is not None and options.timeout_ms >= 0:
        patience_s = options.timeout_ms / 1000
    count, status, last = 0, 0, time.monotonic()
    output = sys.stdout.buffer
    try:
        while count != limit:
            flush_to_reader()
            for message in reader.next():
                if count == limit:
                    reader.acknowledge(message, AcknowledgeType.RELEASE)
                    continue
                last = time.monotonic()
                try:
                    output.write(formatter.format(message))
                    reader.acknowledge(message, verdict)
                except (CommandError, ValueError) as error:
                    if not options.reject_message_on_error:
                        raise
                    reader.acknowledge(message, AcknowledgeType.REJECT)
                    note(f"offset {message.offset()} of {message.topic()} rejected: {error}")
                count += 1
            silence_s = time.monotonic() - last
            if patience_s is not None and silence_s >= max(patience_s, 0 if count else JOINING_S):
                break
    except KeyboardInterrupt:
        status = INTERRUPTED
    try:
        output.flush()
    finally:
        print(f"Processed a total of {count} messages", file=sys.stderr)
    return status


def main() -> int:
    """Entry point of kafka-console-share-consumer."""
    return exit_status_of(lambda: run(sys.argv[1:]))

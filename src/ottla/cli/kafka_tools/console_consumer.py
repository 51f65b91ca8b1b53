"""`kafka-console-consumer`: records of topics become lines of standard output."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
    key_value_pairs,
    merged_properties,
    renamed_value,
)
from ottla.cli.errors import INTERRUPTED, CommandError, exit_status_of, flush_to_reader, note
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.cli.kafka_tools.message_formatters import MessageFormatter
    from ottla.cli.workers.consuming import RecordReader

DEFAULT_FORMATTER = "org.apache.kafka.tools.consumer.DefaultMessageFormatter"


def build_parser() -> OptionParser:
    """The options of kafka-console-consumer, today's and yesterday's."""
    parser = OptionParser(
        "kafka-console-consumer", "Read records from topics and write them to standard output."
    )
    add_connection_options(parser)
    value = parser.value
    value("--topic", "topic to read", metavar="TOPIC")
    value("--include", "regular expression of the topics to read", metavar="REGEX")
    value("--partition", "the one partition to read; without --offset from its end", type_=int)
    value("--offset", "offset to start at: a number, earliest or latest; needs --partition")
    parser.flag("--from-beginning", "start at the first record where no offset is committed")
    value("--max-messages", "end after this many records", type_=int)
    value("--timeout-ms", "end when no record comes for so long", type_=int)
    parser.flag("--skip-message-on-error", "go on after a record that cannot be printed")
    value("--group", "consumer group to join", metavar="GROUP")
    value("--isolation-level", "read_committed or read_uncommitted (default)")
    value("--key-deserializer", "Java class name of the key's deserializer", metavar="CLASS")
    value("--value-deserializer", "Java class name of the value's deserializer", metavar="CLASS")
    value("--formatter", "Java class name of the formatter", default=DEFAULT_FORMATTER)
    for name in ("--formatter-property", "--property"):
        parser.values(
            name,
            "KEY=VALUE for the formatter: print.timestamp, print.key, print.offset, "
            "print.epoch, print.partition, print.headers, print.value, key.separator, "
            "line.separator, headers.separator, null.literal, key.deserializer, "
            "value.deserializer, headers.deserializer"
            + ("; deprecated: --formatter-property" if name == "--property" else ""),
        )
    value("--formatter-config", "properties file for the formatter", metavar="FILE")
    parser.values("--command-property", "KEY=VALUE for the consumer")
    parser.values("--consumer-property", "deprecated: --command-property")
    value("--consumer.config", "deprecated: --command-config", metavar="FILE")
    parser.flag("--enable-systest-events", "print shutdown_complete at the end")
    parser.retire("--whitelist", "--whitelist is an old name; use --include")
    parser.retire("--broker-list", "--broker-list is an old name; use --bootstrap-server")
    for name in ("--new-consumer", "--old-consumer", "--delete-consumer-offsets"):
        parser.retire(name, f"{name} is not used: there is one consumer", takes_value=False)
    return parser


def _check(options: argparse.Namespace, topic: str | None) -> None:
    if bool(topic) == bool(options.include):
        raise CommandError("Exactly one of the following arguments is required: [topic], [include]")
    if options.partition is not None:
        if not topic:
            raise CommandError("The topic is required when partition is specified.")
        if options.from_beginning and options.offset is not None:
            raise CommandError("Options from-beginning and offset cannot be specified together.")
    elif options.offset is not None:
        raise CommandError("The partition is required when offset is specified.")


def _group(options: argparse.Namespace, properties: dict[str, str]) -> str | None:
    given = {group for group in (options.group, properties.get("group.id")) if group}
    if len(given) > 1:
        groups = ", ".join(f"'{group}'" for group in sorted(given))
        raise CommandError(
            "The group ids provided in different places (directly using '--group', via "
            "'--command-property', or via '--command-config') do not match. "
            f"Detected group ids: {groups}"
        )
    if given and options.partition is not None:
        raise CommandError("Options group and partition cannot be specified together.")
    return given.pop() if given else None


def _consumer_properties(options: argparse.Namespace) -> dict[str, str]:
    """The consumer's properties, in Kafka's names, with the defaults of the tool."""
    properties = client_properties(
        renamed_value(options, "--consumer.config", "--command-config"),
        renamed_value(options, "--consumer-property", "--command-property"),
    )
    reset = properties.get("auto.offset.reset")
    if options.from_beginning and reset not in (None, "earliest"):
        raise CommandError(
            f"Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', "
            "please remove one option"
        )
    if reset is None:
        properties["auto.offset.reset"] = "earliest" if options.from_beginning else "latest"
    if options.isolation_level or "isolation.level" not in properties:
        properties["isolation.level"] = options.isolation_level or "read_uncommitted"
    group = _group(options, properties)
    if group is None:
        # A group of this moment: nothing is worth committing for it.
        properties.setdefault("enable.auto.commit", "false")
        group = f"console-consumer-{random.randrange(100_000)}"
    properties["group.id"] = group
    return properties


def _start_offset(options: argparse.Namespace) -> int:
    from confluent_kafka import OFFSET_BEGINNING, OFFSET_END

    text = options.offset
    if text is None:
        return OFFSET_BEGINNING if options.from_beginning else OFFSET_END
    if text.lower() in ("earliest", "latest"):
        return OFFSET_BEGINNING if text.lower() == "earliest" else OFFSET_END
    if not text.isdigit():
        raise CommandError(
            f"The provided offset value '{text}' is incorrect. Valid values are 'earliest', "
            "'latest', or a non-negative long."
        )
    return int(text)


def _formatter(options: argparse.Namespace) -> MessageFormatter:
    from ottla.cli.kafka_tools.message_formatters import formatter_named

    properties = merged_properties(options.formatter_config)
    for kind in ("key", "value"):
        if getattr(options, f"{kind}_deserializer"):
            properties[f"{kind}.deserializer"] = getattr(options, f"{kind}_deserializer")
    properties.update(key_value_pairs(renamed_value(options, "--property", "--formatter-property")))
    return formatter_named(options.formatter, properties)


def run(arguments: Sequence[str]) -> int:
    """Print records until told to stop; a time-out is an ordinary end."""
    options, rest = build_parser().parse(arguments)
    if options.whitelist:
        options.include = options.whitelist[-1]
    topic = options.topic or (rest[0] if rest and not options.include else None)
    _check(options, topic)
    properties = _consumer_properties(options)
    formatter = _formatter(options)
    offset = _start_offset(options)
    servers = bootstrap_servers(options.bootstrap_server, options.broker_list[-1:])

    from ottla.cli.workers.consuming import RecordReader

    with RecordReader(servers, properties) as reader:
        if options.partition is not None:
            reader.assign(topic or "", {options.partition: offset})
        else:
            reader.subscribe(topic or f"^({options.include})$")
        status = print_records(reader, formatter, options)
    if options.enable_systest_events:
        print("shutdown_complete")
    return status


def print_records(
    reader: RecordReader, formatter: MessageFormatter, options: argparse.Namespace
) -> int:
    """Write records to stdout until the wished number, silence, or Ctrl-C.

    The count goes to stderr at the end, however it comes about.
    """
    count = 0
    limit = -1 if options.max_messages is None else options.max_messages
    silence_s = None
    if options.timeout_ms is not None and options.timeout_ms >= 0:
        silence_s = options.timeout_ms / 1000
    output = sys.stdout.buffer
    status = 0
    try:
        while count != limit:
            message = reader.next(silence_s, before_waiting=flush_to_reader)
            if message is None:
                break
            count += 1
            try:
                output.write(formatter.format(message))
            except (CommandError, ValueError) as error:
                if not options.skip_message_on_error:
                    raise
                note(f"offset {message.offset()} of {message.topic()} skipped: {error}")
    except KeyboardInterrupt:
        status = INTERRUPTED
    try:
        output.flush()
    finally:
        print(f"Processed a total of {count} messages", file=sys.stderr)
    return status


def main() -> int:
    """Entry point of kafka-console-consumer."""
    return exit_status_of(lambda: run(sys.argv[1:]))

"""`kafka-console-producer`: lines of standard input become records."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
    key_value_pairs,
    merged_properties,
    renamed_value,
)
from ottla.cli.errors import CommandError, exit_status_of, note
from ottla.cli.kafka_tools.line_reader import Line, LineReader
from ottla.cli.option_parser import OptionParser

#: option → librdkafka's setting, for the options that set nothing but that.
SETTINGS = {
    "batch_size": "batch.size",
    "max_partition_memory_bytes": "batch.size",
    "message_send_max_retries": "retries",
    "metadata_expiry_ms": "topic.metadata.refresh.interval.ms",
    "request_required_acks": "acks",
    "request_timeout_ms": "request.timeout.ms",
    "retry_backoff_ms": "retry.backoff.ms",
    "socket_buffer_size": "socket.send.buffer.bytes",
    "timeout": "linger.ms",
}


def build_parser() -> OptionParser:
    """The options of kafka-console-producer, today's and yesterday's."""
    parser = OptionParser(
        "kafka-console-producer", "Read lines from standard input and publish them to a topic."
    )
    add_connection_options(parser)
    value = parser.value
    value("--topic", "topic to produce to", metavar="TOPIC")
    parser.flag("--sync", "wait for each record before the next is sent")
    parser.optional_value(
        "--compression-codec", "none, gzip, snappy, lz4 or zstd; gzip when no value is given"
    )
    value("--batch-size", "bytes of a batch (16384)", type_=int)
    value("--message-send-max-retries", "tries again before a record is given up (3)", type_=int)
    value("--retry-backoff-ms", "wait before a further try (100)", type_=int)
    value("--timeout", "ms a record waits for company before it is sent (5)", type_=int)
    value("--request-required-acks", "0, 1 or -1 (all); default -1")
    value("--request-timeout-ms", "ms the broker may take to answer (1500)", type_=int)
    value("--metadata-expiry-ms", "ms after which metadata is asked for again", type_=int)
    value("--max-block-ms", "ms to wait for the topic's metadata (60000)", type_=int)
    value("--max-memory-bytes", "bytes of records waiting to be sent (33554432)", type_=int)
    value("--max-partition-memory-bytes", "deprecated: --batch-size", type_=int)
    value("--line-reader", "class that reads the lines; only Kafka's LineMessageReader")
    value("--socket-buffer-size", "bytes of the socket's send buffer (102400)", type_=int)
    for name in ("--reader-property", "--property"):
        parser.values(
            name,
            "KEY=VALUE for the line reader: parse.key, key.separator, parse.headers, "
            "headers.delimiter, headers.separator, headers.key.separator, ignore.error, "
            "null.marker" + ("; deprecated: --reader-property" if name == "--property" else ""),
        )
    value("--reader-config", "properties file for the line reader", metavar="FILE")
    parser.values("--command-property", "KEY=VALUE for the producer")
    parser.values("--producer-property", "deprecated: --command-property")
    value("--producer.config", "deprecated: --command-config", metavar="FILE")
    parser.retire("--broker-list", "--broker-list is an old name; use --bootstrap-server")
    for name in ("--old-producer", "--new-producer"):
        parser.retire(name, f"{name} is not used: there is one producer", takes_value=False)
    for name in ("--queue-size", "--queue-enqueuetimeout-ms"):
        parser.retire(name, f"{name} is not used: it belonged to the old producer")
    for name in ("--key-serializer", "--value-serializer", "--value-encoder", "--key-encoder"):
        parser.retire(name, f"{name} is not used: lines are sent as they are")
    return parser


def producer_defaults(options: argparse.Namespace) -> dict[str, Any]:
    """librdkafka's settings for what the options say, and Kafka's defaults otherwise."""
    settings: dict[str, Any] = {
        "linger.ms": 5,
        "request.timeout.ms": 1500,
        "retries": 3,
        "compression.type": "none",
    }
    for option, setting in SETTINGS.items():
        given = getattr(options, option)
        if given is not None:
            settings[setting] = given
    if options.compression_codec is not None:
        settings["compression.type"] = options.compression_codec or "gzip"
    if options.max_memory_bytes is not None:
        settings["queue.buffering.max.kbytes"] = max(1, options.max_memory_bytes // 1024)
    # A topic that does not appear within this time is given up.
    settings["topic.metadata.propagation.max.ms"] = options.max_block_ms or 60_000
    return settings


def run(arguments: Sequence[str]) -> int:
    """Produce every line of standard input; returns 1 when a record was refused."""
    parser = build_parser()
    options, rest = parser.parse(arguments)
    topic = options.topic or (rest[0] if rest else None)
    if not topic:
        raise CommandError('Missing required argument "[topic]": name the topic with --topic.')
    if options.line_reader and not options.line_reader.endswith("LineMessageReader"):
        raise CommandError(
            f"--line-reader {options.line_reader}: Java classes cannot be loaded here."
        )
    servers = bootstrap_servers(options.bootstrap_server, options.broker_list[-1:])
    properties = client_properties(
        renamed_value(options, "--producer.config", "--command-config"),
        renamed_value(options, "--producer-property", "--command-property"),
    )
    reader_properties = merged_properties(options.reader_config)
    reader_properties.update(
        key_value_pairs(renamed_value(options, "--property", "--reader-property"))
    )
    if options.max_partition_memory_bytes is not None:
        note("--max-partition-memory-bytes is deprecated; use --batch-size")
    reader = LineReader(reader_properties)

    from ottla.cli.workers.producing import RecordSender

    with RecordSender(servers, properties, producer_defaults(options)) as sender:
        for line in reader.lines(_prompted(sys.stdin.buffer)):
            _send(sender, topic, line)
            if options.sync:
                sender.flush()
    return 1 if sender.failures else 0


def _send(sender: Any, topic: str, line: Line) -> None:
    sender.send(topic, line.value, key=line.key, headers=line.headers)


def _prompted(stream: BinaryIO) -> Iterator[bytes]:
    """Lines of a stream, with Kafka's prompt in front of each on a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield from stream
        return
    while True:
        print(">", end="", flush=True)
        line = stream.readline()
        if not line:
            return
        yield line


def main() -> int:
    """Entry point of kafka-console-producer."""
    return exit_status_of(lambda: run(sys.argv[1:]))

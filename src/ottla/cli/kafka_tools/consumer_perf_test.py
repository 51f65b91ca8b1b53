"""`kafka-consumer-perf-test`: how fast records can be consumed here.

The columns are those of Kafka's tool; the consumer under them is librdkafka.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
    renamed_value,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.cli.workers.consuming import RecordReader

MEGABYTE: Final = 1024 * 1024
BATCH: Final = 1000
COLUMNS: Final = (
    "data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, "
    "fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
)
#: Java's letters for parts of a date → Python's.
DATE_LETTERS: Final = {
    "yyyy": "%Y",
    "yy": "%y",
    "MM": "%m",
    "dd": "%d",
    "HH": "%H",
    "mm": "%M",
    "ss": "%S",
}


def build_parser() -> OptionParser:
    """The options of kafka-consumer-perf-test."""
    parser = OptionParser("kafka-consumer-perf-test", "Measure how fast records are consumed.")
    add_connection_options(parser)
    value, flag = parser.value, parser.flag
    value("--topic", "topic to consume", metavar="TOPIC")
    value("--include", "regular expression of the topics to consume", metavar="REGEX")
    value("--num-records", "how many records", type_=int, metavar="N")
    value("--messages", "deprecated: --num-records", type_=int, metavar="N")
    value("--group", "consumer group; a new one without it", metavar="GROUP")
    value("--fetch-size", "bytes of a partition in one fetch (1048576)", type_=int)
    value("--socket-buffer-size", "bytes of the socket's receive buffer (2097152)", type_=int)
    flag("--from-latest", "start at the end where no offset is committed")
    parser.values("--command-property", "KEY=VALUE for the consumer")
    value("--consumer.config", "deprecated: --command-config", metavar="FILE")
    flag("--print-metrics", "accepted; librdkafka's consumer has no such metrics to print")
    flag("--show-detailed-stats", "a line every --reporting-interval")
    value("--timeout", "ms without a record after which it ends (10000)", type_=int)
    value("--reporting-interval", "ms between lines (5000)", type_=int, default=5000)
    value("--date-format", "Java's letters for dates", default="yyyy-MM-dd HH:mm:ss:SSS")
    flag("--hide-header", "no line of column names")
    parser.retire("--broker-list", "--broker-list is an old name; use --bootstrap-server")
    for name in ("--threads", "--num-fetch-threads"):
        parser.retire(name, f"{name} is not used any more")
    return parser


def date_text(seconds: float, java_format: str) -> str:
    """A moment in local time, formatted with Java's letters."""
    pattern = java_format
    for letters, python in DATE_LETTERS.items():
        pattern = pattern.replace(letters, python)
    moment = datetime.fromtimestamp(seconds, tz=UTC).astimezone()
    return moment.strftime(pattern.replace("SSS", f"{moment.microsecond // 1000:03d}"))


class Progress:
    """What was consumed, in all and since the last line."""

    def __init__(self) -> None:
        self.started = self.reported = time.time()
        self.records = self.bytes = 0
        self.joining_s = self.joining_in_window_s = 0.0
        self._last = (0, 0)

    def joined(self, *_: object) -> None:
        """The group assigned partitions: until now it was joining."""
        if not self.joining_s:
            self.joining_s = self.joining_in_window_s = time.time() - self.started

    def window(self, date_format: str) -> str:
        """A line of --show-detailed-stats."""
        now = time.time()
        elapsed = max(1e-9, now - self.reported)
        records, megabytes = self.records - self._last[0], (self.bytes - self._last[1]) / MEGABYTE
        fetching = elapsed - self.joining_in_window_s
        per_second = 1 / fetching if fetching > 0 else 0.0
        line = (
            f"{date_text(now, date_format)}, 0, {self.bytes / MEGABYTE:.4f}, "
            f"{megabytes / elapsed:.4f}, {self.records}, {records / elapsed:.4f}, "
            f"{self.joining_in_window_s * 1000:.0f}, {fetching * 1000:.0f}, "
            f"{megabytes * per_second:.4f}, {records * per_second:.4f}"
        )
        self._last = (self.records, self.bytes)
        self.reported, self.joining_in_window_s = now, 0.0
        return line

    def total(self, date_format: str) -> str:
        """The one line otherwise."""
        now = time.time()
        elapsed = max(1e-9, now - self.started)
        fetching = max(1e-9, elapsed - self.joining_s)
        megabytes = self.bytes / MEGABYTE
        return (
            f"{date_text(self.started, date_format)}, {date_text(now, date_format)}, "
            f"{megabytes:.4f}, {megabytes / elapsed:.4f}, {self.records}, "
            f"{self.records / elapsed:.4f}, {self.joining_s * 1000:.0f}, {fetching * 1000:.0f}, "
            f"{megabytes / fetching:.4f}, {self.records / fetching:.4f}"
        )


def run(arguments: Sequence[str]) -> int:
    """Consume, reporting on the way; fewer records than asked for are a warning."""
    options, _ = build_parser().parse(arguments)
    if bool(options.topic) == bool(options.include):
        raise CommandError("Exactly one of the following arguments is required: [topic], [include]")
    wanted = renamed_value(options, "--messages", "--num-records")
    if not wanted:
        raise CommandError(
            "Exactly one of the following arguments is required: [messages], [num-records]"
        )
    properties = client_properties(
        renamed_value(options, "--consumer.config", "--command-config"), options.command_property
    )
    properties |= {
        "group.id": options.group or f"perf-consumer-{random.randrange(100_000)}",
        "auto.offset.reset": "latest" if options.from_latest else "earliest",
        "max.partition.fetch.bytes": str(options.fetch_size or MEGABYTE),
        "receive.buffer.bytes": str(options.socket_buffer_size or 2 * MEGABYTE),
    }
    properties.setdefault("client.id", "perf-consumer-client")
    servers = bootstrap_servers(options.bootstrap_server, options.broker_list[-1:])

    from ottla.cli.workers.consuming import RecordReader

    if not options.hide_header:
        times = "time, threadId" if options.show_detailed_stats else "start.time, end.time"
        print(f"{times}, {COLUMNS}")
    with RecordReader(servers, properties) as reader:
        progress = Progress()
        reader.subscribe(options.topic or f"^({options.include})$", on_assign=progress.joined)
        _consume(reader, progress, wanted, options)
        if not options.show_detailed_stats:
            print(progress.total(options.date_format))
    return 0


def _consume(
    reader: RecordReader, progress: Progress, wanted: int, options: argparse.Namespace
) -> None:
    timeout_ms = 10_000 if options.timeout is None else options.timeout
    while progress.records < wanted:
        messages = reader.next_many(min(BATCH, wanted - progress.records), timeout_ms / 1000)
        if not messages:
            print(
                "WARNING: Exiting before consuming the expected number of records: timeout "
                f"({timeout_ms} ms) exceeded. You can use the --timeout option to increase the "
                "timeout."
            )
            return
        progress.records += len(messages)
        progress.bytes += sum(map(len, messages))
        progress.bytes += sum(len(message.key() or b"") for message in messages)
        if (
            options.show_detailed_stats
            and time.time() - progress.reported >= options.reporting_interval / 1000
        ):
            print(progress.window(options.date_format), flush=True)


def main() -> int:
    """Entry point of kafka-consumer-perf-test."""
    return exit_status_of(lambda: run(sys.argv[1:]))

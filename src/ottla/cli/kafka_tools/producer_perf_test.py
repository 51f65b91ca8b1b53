"""`kafka-producer-perf-test`: how fast records can be produced here.

The lines are those of Kafka's tool; the producer under them is librdkafka, so
rates are those of a C client rather than of the Java one.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
    renamed_value,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.cli.workers.producing import RecordSender

DEFAULT_TRANSACTION_MS: Final = 3000
#: Makes any byte one of A to Z.
LETTERS: Final = bytes(65 + number % 26 for number in range(256))
#: How long a transactional call may take, in seconds.
TRANSACTION_TIMEOUT_S: Final = 60


def build_parser() -> OptionParser:
    """The options of kafka-producer-perf-test."""
    parser = OptionParser("kafka-producer-perf-test", "Measure how fast records are produced.")
    add_connection_options(parser)
    value = parser.value
    value("--topic", "topic to produce to", metavar="TOPIC")
    value("--num-records", "how many records", type_=int, metavar="N")
    value("--throughput", "records a second at most; -1 for no limit", type_=float, metavar="N")
    value("--record-size", "bytes of each record, random letters", type_=int, metavar="N")
    value("--payload-file", "file to take records from, at random", metavar="FILE")
    parser.flag("--payload-monotonic", "records are the numbers 0, 1, 2, …")
    value("--payload-delimiter", r"what separates records in the file (\n)", default="\\n")
    for name, text in (
        ("--command-property", "KEY=VALUE … for the producer"),
        ("--producer-props", "deprecated: --command-property"),
    ):
        parser.add_argument(name, nargs="+", action="extend", default=[], metavar="K=V", help=text)
    value("--producer.config", "deprecated: --command-config", metavar="FILE")
    parser.flag("--print-metrics", "print the producer's metrics at the end")
    value("--transactional-id", "produce in transactions under this id", metavar="ID")
    value("--transaction-duration-ms", "commit so often (3000)", type_=int, metavar="MS")
    value("--warmup-records", "first records, left out of a second summary", type_=int, default=0)
    value("--reporting-interval", "ms between lines (5000)", type_=int, default=5000)
    value("--record-key-range", "keys are numbers below this", type_=int, metavar="N")
    value("--key-distribution", "none, range or random", default="none")
    value("--random-seed", "seed of payloads and keys", type_=int, default=0)
    return parser


def _check(options: argparse.Namespace) -> None:
    for name in ("topic", "num_records", "throughput"):
        if getattr(options, name) is None:
            raise CommandError(
                f"kafka-producer-perf-test: argument --{name.replace('_', '-')} is required"
            )
    payloads = (options.record_size, options.payload_file, options.payload_monotonic or None)
    if sum(payload is not None for payload in payloads) != 1:
        raise CommandError(
            "Give exactly one of --record-size, --payload-file or --payload-monotonic."
        )
    for name in ("num_records", "record_size", "transaction_duration_ms", "reporting_interval"):
        number = getattr(options, name)
        if number is not None and number <= 0:
            raise CommandError(f"--{name.replace('_', '-')} should be greater than zero.")
    if options.warmup_records >= options.num_records:
        raise CommandError(
            "The value for --warmup-records must be strictly fewer than the number of records "
            "in the test, --num-records."
        )
    if options.key_distribution not in ("none", "range", "random"):
        raise CommandError("--key-distribution is none, range or random.")
    if (options.key_distribution == "none") != (options.record_key_range is None):
        raise CommandError(
            "--record-key-range and a --key-distribution of range or random belong together."
        )


def payload_source(options: argparse.Namespace) -> Callable[[int], bytes]:
    """A function from the number of a record to its value. Errors: `CommandError`."""
    chance = random.Random(options.random_seed)
    if options.payload_monotonic:
        return lambda number: str(number).encode()
    if options.record_size:
        size = options.record_size
        return lambda _: chance.randbytes(size).translate(LETTERS)
    path = Path(options.payload_file)
    print(f"Reading payloads from: {path.absolute()}")
    try:
        text = path.read_bytes()
    except OSError as error:
        raise CommandError(f"Cannot read {path}: {error.strerror}.") from None
    delimiter = options.payload_delimiter.replace("\\n", "\n").encode()
    payloads = [payload for payload in text.split(delimiter) if payload]
    if not payloads:
        raise CommandError("File does not exist or empty file provided.")
    print(f"Number of records read: {len(payloads)}")
    return lambda _: chance.choice(payloads)


def key_source(options: argparse.Namespace) -> Callable[[int], bytes | None]:
    """A function from the number of a record to its key."""
    limit = options.record_key_range
    if options.key_distribution == "range":
        return lambda number: str(number % limit).encode()
    if options.key_distribution == "random":
        chance = random.Random(options.random_seed)
        return lambda _: str(chance.randrange(limit)).encode()
    return lambda _: None


def run(arguments: Sequence[str]) -> int:
    """Produce, reporting on the way; returns 1 when a record was refused."""
    options, _ = build_parser().parse(arguments)
    _check(options)
    properties = client_properties(
        renamed_value(options, "--producer.config", "--command-config"),
        renamed_value(options, "--producer-props", "--command-property"),
    )
    servers = bootstrap_servers(
        options.bootstrap_server, [properties.pop("bootstrap.servers", None)]
    )
    transactions = options.transactional_id or properties.get("transactional.id")
    if options.transaction_duration_ms and not transactions:
        transactions = f"performance-producer-{uuid4()}"
    defaults: dict[str, Any] = {"client.id": "perf-producer-client", "acks": "all"}
    if transactions:
        properties["transactional.id"] = transactions
    if options.print_metrics:
        defaults |= {"statistics.interval.ms": 500, "stats_cb": _Metrics.remember}
    payload, key = payload_source(options), key_source(options)

    from ottla.cli.workers.measuring import ProducerStatistics
    from ottla.cli.workers.producing import Pace, RecordSender

    if options.warmup_records > 0:
        print(
            f"Warmup first {options.warmup_records} records. Steady state results will print "
            "after the complete test summary."
        )
    statistics = [ProducerStatistics(options.num_records, options.reporting_interval, _print)]

    def on_acknowledged(message: Any) -> None:
        for statistic in statistics:
            statistic.acknowledged(message)

    with RecordSender(servers, properties, defaults, on_acknowledged=on_acknowledged) as sender:
        pace = Pace(options.throughput)
        transaction = _Transaction(sender, options.transaction_duration_ms, is_used=transactions)
        for number in range(options.num_records):
            if number == options.warmup_records > 0:
                statistics[0].is_quiet = True
                rest = options.num_records - number
                interval = options.reporting_interval
                statistics.append(ProducerStatistics(rest, interval, _print, is_steady_state=True))
            transaction.before_record()
            sender.send(options.topic, payload(number), key=key(number))
            transaction.after_record()
            pace.keep(number + 1, sender)
        transaction.end()
    for statistic in statistics:
        _print(statistic.total())
    if options.print_metrics:
        _Metrics.print()
    return 1 if sender.failures else 0


def _print(line: str) -> None:
    print(line, flush=True)


class _Transaction:
    """Begins and commits transactions around the records, where there are any."""

    def __init__(
        self, sender: RecordSender, duration_ms: int | None, *, is_used: str | None
    ) -> None:
        self._producer = sender.producer
        self._duration_s = (duration_ms or DEFAULT_TRANSACTION_MS) / 1000
        self._is_used = bool(is_used)
        self._began: float | None = None
        if self._is_used:
            self._call(self._producer.init_transactions, TRANSACTION_TIMEOUT_S)

    def _call(self, action: Callable[..., object], *arguments: object) -> None:
        from confluent_kafka import KafkaException

        try:
            action(*arguments)
        except KafkaException as error:
            raise CommandError(f"The transaction failed: {error.args[0].str()}.") from None

    def before_record(self) -> None:
        if self._is_used and self._began is None:
            self._call(self._producer.begin_transaction)
            self._began = time.monotonic()

    def after_record(self) -> None:
        if self._began is not None and time.monotonic() - self._began >= self._duration_s:
            self.end()

    def end(self) -> None:
        if self._began is not None:
            self._call(self._producer.commit_transaction, TRANSACTION_TIMEOUT_S)
            self._began = None


class _Metrics:
    """librdkafka's last statistics, as lines."""

    text = "{}"

    @classmethod
    def remember(cls, text: str) -> None:
        cls.text = text

    @classmethod
    def print(cls) -> None:
        import json

        for name, value in sorted(json.loads(cls.text).items()):
            if isinstance(value, int | float):
                print(f"{name:<24} : {value}")


def main() -> int:
    """Entry point of kafka-producer-perf-test."""
    return exit_status_of(lambda: run(sys.argv[1:]))

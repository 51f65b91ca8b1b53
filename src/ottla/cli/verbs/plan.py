"""`ottla plan partitions`: measure one partition here, and say how many are needed."""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import TYPE_CHECKING, Final

from ottla.cli.errors import CommandError
from ottla.cli.output import BOLD, colour, prose
from ottla.cli.verbs.connection import add_connection_arguments, connection_of, opened_cluster

if TYPE_CHECKING:
    from ottla.cli.workers.rate_trials import Rates

DESCRIPTION = """\
Say how many partitions a topic needs for a wished rate t: max(t/p, t/c), with
the producer's rate p and the consumer's rate c of one partition, measured on
this cluster with records of your size and your client settings.

  ottla plan partitions --rate 50MB --size 1000
  ottla plan partitions --rate 200000 --size 300 --consumer-ms 0.5
  ottla plan partitions --rate 5000/s -X acks=all -X compression.type=zstd
"""

UNITS: Final = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 1024.0, "mib": 1024.0**2, "gib": 1024.0**3}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="WHAT", dest="what", required=True)
    add_connection_arguments(parser)
    sub = actions.add_parser("partitions", help="how many partitions a topic needs")
    sub.add_argument(
        "--rate",
        required=True,
        metavar="N[MB]",
        help="wished rate: records a second, or bytes a second such as 50MB",
    )
    sub.add_argument("--size", type=int, default=1000, metavar="BYTES", help="of a record (1000)")
    sub.add_argument(
        "--consumer-ms",
        type=float,
        default=0.0,
        metavar="MS",
        help="work of your consumer on each record; often far more than reading it",
    )
    sub.add_argument("--keyed", action="store_true", help="records have keys")
    sub.add_argument("--seconds", type=float, default=2.0, help="of each trial (2)")
    sub.add_argument("--rounds", type=int, default=3, help="trials (3)")
    sub.add_argument(
        "--replication-factor",
        type=int,
        default=-1,
        metavar="N",
        help="copies of the partition that is measured",
    )
    sub.add_argument("--headroom", type=float, default=0.0, metavar="SHARE", help="0.3: 30 %% more")
    sub.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="how to answer"
    )
    add_connection_arguments(sub, is_nested=True)


def parse_rate(text: str, size: int) -> float:
    """Records a second. Errors: `CommandError`."""
    plain = text.strip().lower().removesuffix("/s").replace("_", "")
    for unit, factor in sorted(UNITS.items(), key=lambda item: -len(item[0])):
        if plain.endswith(unit):
            number, per_record = plain.removesuffix(unit), factor / size
            break
    else:
        number, per_record = plain, 1.0
    try:
        rate = float(number) * per_record
    except ValueError:
        rate = 0
    if rate <= 0:
        raise CommandError(f"'{text}' is no rate; write 5000 (records a second) or 50MB.")
    return rate


def partitions_needed(wished: float, produced: float, consumed: float) -> int:
    """max(t/p, t/c), rounded up; at least one."""
    return max(1, math.ceil(wished / produced), math.ceil(wished / consumed))


def run(args: argparse.Namespace) -> int:
    """Measure, answer, explain."""
    if args.size < 1 or args.seconds <= 0 or args.rounds < 1:
        raise CommandError("--size, --seconds and --rounds must be above zero.")
    wished = parse_rate(args.rate, args.size) * (1 + args.headroom)
    connection = connection_of(args)

    from ottla.cli.workers.rate_trials import measure_partition

    print(
        f"Measuring one partition for about {(args.seconds + 1) * args.rounds:.0f} s …",
        file=sys.stderr,
    )
    with opened_cluster(args) as cluster:
        trial = measure_partition(
            cluster,
            connection.servers,
            connection.properties,
            size=args.size,
            seconds=args.seconds,
            rounds=args.rounds,
            replication_factor=args.replication_factor,
            is_keyed=args.keyed,
        )
    produced, read = trial.producing.median, trial.consuming.median
    # A consumer's own work adds to the time of each record.
    consumed = 1 / (1 / read + args.consumer_ms / 1000)
    answer = partitions_needed(wished, produced, consumed)
    if args.output == "json":
        print(
            json.dumps(
                {
                    "wished_records_per_second": wished,
                    "record_bytes": args.size,
                    "producer_records_per_second": trial.producing.trials,
                    "consumer_records_per_second": trial.consuming.trials,
                    "consumer_with_its_work": consumed,
                    "partitions": answer,
                },
                indent=2,
            )
        )
        return 0
    _explain(args, wished, trial.producing, trial.consuming, consumed, answer)
    return 0


def _spread(rates: Rates) -> str:
    """How far the trials lie apart; nothing of a single one."""
    return f"  ± {rates.spread:.0%}" if len(rates.trials) > 1 else ""


def _rate(records: float, size: int) -> str:
    return f"{records:>12,.0f} records/s  {records * size / 1e6:>9,.1f} MB/s"


def _explain(
    args: argparse.Namespace,
    wished: float,
    producing: Rates,
    consuming: Rates,
    consumed: float,
    answer: int,
) -> None:
    p, size = producing.median, args.size
    print(f"wished     t {_rate(wished, size)}")
    print(f"producer   p {_rate(p, size)}{_spread(producing)}")
    print(f"consumer   c {_rate(consuming.median, size)}{_spread(consuming)}")
    if args.consumer_ms:
        print(f"  with work  {_rate(consumed, size)}  ({args.consumer_ms:g} ms a record)")
    print()
    print(f"max(t/p, t/c) = max({wished / p:.2f}, {wished / consumed:.2f})")
    print(colour(f"{answer} partition{'s'[: answer != 1]}", BOLD))
    print()
    limit = "producer" if wished / p >= wished / consumed else "consumer"
    notes = [
        f"The {limit} decides. One producer process wrote here; several write more.",
        (
            "More partitions later: records with keys then go to other partitions than their "
            "predecessors, and the order per key is broken at that moment. Choose for the "
            "next years when you use keys."
        ),
        (
            "Many partitions cost: each has files and memory on every replica, a dead broker "
            "takes longer to replace, and small batches add latency. Some thousands per "
            "broker are fine, tens of thousands are not."
        ),
    ]
    if not args.consumer_ms:
        notes.insert(
            1,
            "The consumer here only read. Yours does work: give it with --consumer-ms, for "
            "it usually decides.",
        )
    for note in notes:
        print(prose(note, "- ", "  "))

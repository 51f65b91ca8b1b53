"""`ottla topics`: list, describe, create, enlarge, trim and delete topics."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ottla.cli.connection_options import key_value_pairs
from ottla.cli.errors import CommandError
from ottla.cli.output import confirmed, print_head, print_rows, size_text
from ottla.cli.verbs.connection import Actions, opened_cluster
from ottla.cli.watching import Rates, shown

if TYPE_CHECKING:
    from ottla.client.cluster import Cluster

DESCRIPTION = """\
Work with topics.

  ottla topics                           list them
  ottla topics --watch                   and see what comes in, until Ctrl-C
  ottla topics describe orders           partitions, offsets, sizes, configuration
  ottla topics create orders -p 8        `--config retention.ms=1000`, if you like
  ottla topics add-partitions orders 12
  ottla topics trim orders --before 100 -p 0
  ottla topics delete orders
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(pattern=None, internal=False)
    action = Actions(parser, "list", is_watchable=True).add
    listing = action("list", "List the topics.", prints_rows=True, is_watchable=True)
    listing.add_argument("pattern", nargs="?", help="regular expression of the names")
    listing.add_argument("-i", "--internal", action="store_true", help="internal ones as well")
    describe = action("describe", "Show topics in detail.", prints_rows=True, is_watchable=True)
    describe.add_argument("names", nargs="+", metavar="TOPIC")
    create = action("create", "Create topics.")
    create.add_argument("names", nargs="+", metavar="TOPIC")
    create.add_argument(
        "-p", "--partitions", type=int, default=-1, metavar="N", help="default: the broker's"
    )
    create.add_argument(
        "-r",
        "--replication-factor",
        type=int,
        default=-1,
        metavar="N",
        help="default: the broker's",
    )
    create.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="K=V",
        help="a topic's key; may be repeated",
    )
    create.add_argument("--if-not-exists", action="store_true", help="an existing topic is fine")
    grow = action("add-partitions", "Give a topic more partitions.")
    grow.add_argument("name", metavar="TOPIC")
    grow.add_argument("total", type=int, metavar="TOTAL", help="how many it has afterwards")
    trim = action("trim", "Delete the oldest records of a topic.")
    trim.add_argument("name", metavar="TOPIC")
    trim.add_argument("-p", "--partition", type=int, metavar="N", help="only this partition")
    trim.add_argument("--before", type=int, metavar="OFFSET", help="keep from here; else nothing")
    trim.add_argument("-y", "--yes", action="store_true", help="do not ask")
    delete = action("delete", "Delete topics with all their records.")
    delete.add_argument("names", nargs="+", metavar="TOPIC")
    delete.add_argument("-y", "--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    """Do what the action says; listing is the default."""
    with opened_cluster(args) as cluster:
        if args.action == "list":
            rates = Rates()
            return shown(lambda: _list(cluster, args, rates), args.watch)
        if args.action == "describe":
            return shown(lambda: _describe(cluster, args), args.watch)
        if args.action == "create":
            _create(cluster, args)
        elif args.action == "add-partitions":
            from ottla.cli.workers.topics import create_partitions

            create_partitions(cluster, args.name, args.total)
            print(f"Topic {args.name} has {args.total} partitions.")
        elif args.action == "trim":
            return _trim(cluster, args)
        else:
            return _delete(cluster, args)
    return 0


def _list(cluster: Cluster, args: argparse.Namespace, rates: Rates) -> None:
    """One row for each topic; in a live view with the records that came in a second."""
    from ottla.cli.workers.topics import matching
    from ottla.client.offsets import EARLIEST, LATEST, find_offsets

    topics = {topic.name or "": topic for topic in cluster.metadata().topics}
    shown = [
        name
        for name in matching(topics, args.pattern)
        if args.internal or not topics[name].is_internal
    ]
    partitions = [(name, p.partition_index) for name in shown for p in topics[name].partitions]
    starts = find_offsets(cluster, dict.fromkeys(partitions, EARLIEST))
    ends = find_offsets(cluster, dict.fromkeys(partitions, LATEST))
    rows = []
    for name in shown:
        own = [(name, p.partition_index) for p in topics[name].partitions]
        replicas = max((len(p.replica_nodes) for p in topics[name].partitions), default=0)
        rows.append(
            {
                "topic": name,
                "partitions": len(own),
                "replicas": replicas,
                "records": sum(max(0, ends[p].offset - starts[p].offset) for p in own),
                "per_second": rates.of(name, sum(ends[p].offset for p in own)),
            }
        )
    columns = ["topic", "partitions", "replicas", "records"]
    print_rows(
        rows,
        columns if args.watch is None else [*columns, "per_second"],
        args.output,
        empty="There are no topics. `ottla topics create NAME` makes one.",
    )


def _describe(cluster: Cluster, args: argparse.Namespace) -> None:
    from ottla.cli.workers.configs import describe_configs, is_default
    from ottla.cli.workers.log_directories import partition_sizes
    from ottla.cli.workers.resource_types import TOPIC
    from ottla.cli.workers.topics import describe_topics, uuid_text
    from ottla.client.offsets import EARLIEST, LATEST, find_offsets

    topics = describe_topics(cluster, list(dict.fromkeys(args.names)))
    configs = describe_configs(cluster, TOPIC, [topic.name for topic in topics])
    keys = [(topic.name, p.number) for topic in topics for p in topic.partitions]
    starts = find_offsets(cluster, dict.fromkeys(keys, EARLIEST))
    ends = find_offsets(cluster, dict.fromkeys(keys, LATEST))
    sizes = partition_sizes(cluster)
    columns = ("partition", "leader", "replicas", "in_sync", "start", "end", "size")
    for topic in topics:
        rows: list[dict[str, Any]] = [
            {
                "topic": topic.name,
                "partition": p.number,
                "leader": p.leader if p.leader >= 0 else None,
                "replicas": p.replicas,
                "in_sync": p.isr,
                "start": starts[topic.name, p.number].offset,
                "end": ends[topic.name, p.number].offset,
                "size": sizes.get((topic.name, p.number)),
            }
            for p in topic.partitions
        ]
        if args.output != "table":
            print_rows(rows, ("topic", *columns), args.output)
            continue
        for row in rows:
            row["size"] = None if row["size"] is None else size_text(row["size"])
        set_ = [f"{e.name}={e.value}" for e in configs[topic.name] if not is_default(e)]
        print_head(topic.name, f"  ({uuid_text(topic.topic_id)})")
        print(f"configuration: {', '.join(sorted(set_)) or 'all defaults'}")
        print_rows(rows, columns, "table")
        if topic is not topics[-1]:
            print()


def _create(cluster: Cluster, args: argparse.Namespace) -> None:
    from ottla.cli.workers.topics import create_topic, wait_for_topic

    for name in args.names:
        created = create_topic(
            cluster,
            name,
            partitions=args.partitions,
            replication_factor=args.replication_factor,
            configs=key_value_pairs(args.config),
            if_not_exists=args.if_not_exists,
        )
        count = len(wait_for_topic(cluster, name).partitions)
        what = "Created" if created else "There is already a"
        print(f"{what} topic {name} with {count} partition{'s'[: count != 1]}.")


def _trim(cluster: Cluster, args: argparse.Namespace) -> int:
    from ottla.cli.workers.failures import sentence
    from ottla.cli.workers.record_deletion import delete_records
    from ottla.client.offsets import partition_leaders

    partitions = sorted(partition_leaders(cluster, [args.name]))
    if args.partition is not None:
        partitions = [p for p in partitions if p[1] == args.partition]
    if not partitions:
        raise CommandError(f"There is no such topic or partition: {args.name}.")
    what = "all records" if args.before is None else f"the records before offset {args.before}"
    where = _count(len(partitions), "partition")
    if not confirmed(f"Delete {what} in {where} of {args.name}?", yes=args.yes):
        print("Nothing deleted. (--yes does it without asking.)")
        return 1
    offset = -1 if args.before is None else args.before
    status = 0
    for (topic, number), done in delete_records(cluster, dict.fromkeys(partitions, offset)).items():
        if done.error_code:
            status = 1
            print(f"{topic}-{number}: {sentence(done.error_code)}")
        else:
            print(f"{topic}-{number} starts at offset {done.low_watermark}.")
    return status


def _delete(cluster: Cluster, args: argparse.Namespace) -> int:
    from ottla.cli.workers.topics import delete_topics

    names: Sequence[str] = list(dict.fromkeys(args.names))
    if not confirmed(f"Delete {', '.join(names)} with all records?", yes=args.yes):
        print("Nothing deleted. (--yes does it without asking.)")
        return 1
    delete_topics(cluster, names)
    print(f"Deleted {', '.join(names)}.")
    return 0


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s'[: number != 1]}"

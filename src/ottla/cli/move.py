"""`ottla move`: topics, records and committed offsets from one Kafka to another."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from ottla.cli.connection_options import read_properties
from ottla.cli.errors import CommandError
from ottla.client.cluster import Cluster
from ottla.client.errors import ClientError
from ottla.client.settings import Settings
from ottla.moving import groups, settings_of_clients, topics
from ottla.moving.copier import Copier, RateLimit, Where, checksum_of
from ottla.moving.errors import MoveError
from ottla.moving.state import MoveState

DESCRIPTION = """\
Copy topics with their configuration, records as they are, and consumer
groups' offsets to another Kafka; either may be Ottla or Apache Kafka. With
--follow it goes on until Ctrl-C: stop the producers, let it catch up, press
Ctrl-C, and start the programs with the new address. It may be interrupted and
run again."""

BAR_WIDTH = 24
FOLLOW_S = 0.2
PROGRESS_S = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="source", required=True, metavar="HOST:PORT")
    parser.add_argument("--to", dest="target", required=True, metavar="HOST:PORT")
    parser.add_argument("--from-config", metavar="FILE", help="properties for the source")
    parser.add_argument("--to-config", metavar="FILE", help="properties for the target")
    parser.add_argument("--topics", metavar="REGEX", help="only topics that match (default: all)")
    parser.add_argument("--groups", metavar="REGEX", help="only groups that match (default: all)")
    parser.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--limit", type=float, default=0.0, metavar="MB", help="MB/s at the most")
    parser.add_argument("--no-verify", action="store_true", help="do not read the target again")
    parser.add_argument(
        "--state",
        type=Path,
        default=Path("ottla-move.json"),
        metavar="FILE",
        help="where to remember how far it is (default: ./%(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Returns 0 when everything arrived as it was. Errors: CommandError."""
    try:
        with (
            Cluster(args.source, _settings(args.from_config)) as source,
            Cluster(args.target, _settings(args.to_config)) as target,
        ):
            return Move(source, target, args).run()
    except (MoveError, ClientError) as error:
        raise CommandError(f"ottla move: {error}") from None


def _settings(config_file: str | None) -> Settings:
    settings = Settings(client_id="ottla-move")
    if config_file is None:
        return settings
    from ottla.client.security import secured

    return secured(settings, read_properties(config_file))


class Move:
    """One run of the command."""

    def __init__(self, source: Cluster, target: Cluster, args: argparse.Namespace) -> None:
        self.source = source
        self.target = target
        self.args = args
        self.is_over = False
        self.started = time.monotonic()
        self.shown_at = 0.0

    def run(self) -> int:
        ids = (self._id(self.source), self._id(self.target))
        if ids[0] == ids[1]:
            raise MoveError("source and target are the same cluster")
        state = MoveState.load(self.args.state, *ids)
        plans = topics.plan(self.source, self.args.topics)
        if not plans:
            raise MoveError("there is no topic to move")
        made, there = topics.create(self.target, plans)
        print(f"{len(made)} topics created, {len(there)} were there already")
        copier = Copier(self.source, self.target, state, RateLimit(self.args.limit * 1_000_000))
        places = [where for plan in plans for where in plan.places]
        copier.prepare(places)
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._finish)
        self._copy(copier, places)
        topics.set_held_back(self.target, plans)
        return self._report(copier, plans, state)

    @staticmethod
    def _id(cluster: Cluster) -> str:
        return cluster.metadata([]).cluster_id or ""

    def _finish(self, *_: object) -> None:
        self.is_over = True

    def _copy(self, copier: Copier, places: list[Where]) -> None:
        """Copy what there is; with --follow until Ctrl-C, and then what came before it."""

        def show(goals: dict[Where, int]) -> None:
            self._show(copier, goals)

        while True:
            goals = copier.goals(places)
            copier.copy_until(goals, show, lambda: self.is_over)
            if not self.args.follow or self.is_over:
                break
            time.sleep(FOLLOW_S)
        if self.args.follow:
            # Whatever was written before Ctrl-C comes along.
            goals = copier.goals(places)
            copier.copy_until(goals, show, lambda: False)
        elif self.is_over:
            self._end_line()
            raise MoveError("interrupted; run the same command again to go on")
        self._show(copier, goals, is_final=True)
        self._end_line()

    def _show(self, copier: Copier, goals: dict[Where, int], *, is_final: bool = False) -> None:
        if not sys.stderr.isatty():
            return
        now = time.monotonic()
        if not is_final and now - self.shown_at < PROGRESS_S:
            return
        self.shown_at = now
        partitions = copier.state.partitions
        total = sum(goals.values()) or 1
        done = sum(min(partitions[str(w)].next_offset, g) for w, g in goals.items())
        share = min(1.0, done / total)
        filled = round(share * BAR_WIDTH)
        seconds = max(now - self.started, 0.001)
        rate = copier.totals.bytes / seconds / 1_000_000
        left = seconds / share - seconds if share else 0
        print(
            f"\r[{'█' * filled}{'·' * (BAR_WIDTH - filled)}] {share:4.0%}"
            f"  {copier.totals.records:,} records  {rate:,.1f} MB/s  {left:,.0f} s left ",
            end="",
            file=sys.stderr,
            flush=True,
        )

    @staticmethod
    def _end_line() -> None:
        if sys.stderr.isatty():
            print(file=sys.stderr)

    def _report(self, copier: Copier, plans: list[topics.TopicPlan], state: MoveState) -> int:
        """Counts and checksums by topic, groups, and what could not be moved."""
        is_good = True
        width = max(len("TOPIC"), *(len(p.name) for p in plans))
        print(f"{'TOPIC':<{width}}  PARTITIONS     RECORDS        BYTES  CHECK")
        for plan in plans:
            parts = [state.partitions[str(w)] for w in plan.places]
            verdict = self._verdict(plan, state)
            is_good = is_good and verdict in ("equal", "not read again", "recompressed")
            print(
                f"{plan.name:<{width}}  {plan.partitions:>10}  {sum(p.records for p in parts):>10,}"
                f"  {sum(p.bytes for p in parts):>11,}  {verdict}"
            )
        for group in groups.list_groups(self.source, self.args.groups):
            result = groups.move_group(self.source, self.target, group, state)
            if result.problem:
                is_good = False
                print(f"group {group}: not moved, {result.problem}")
            elif result.partitions:
                print(f"group {group}: {result.partitions} offsets, lag {result.lag:,}")
        print(settings_of_clients.move_acls(self.source, self.target))
        print(settings_of_clients.move_quotas(self.source, self.target))
        print(settings_of_clients.count_scram_users(self.source))
        seconds = time.monotonic() - self.started
        print(
            f"{copier.totals.records:,} records, {copier.totals.bytes / 1_000_000:,.1f} MB in"
            f" {seconds:,.1f} s"
        )
        return 0 if is_good else 1

    def _verdict(self, plan: topics.TopicPlan, state: MoveState) -> str:
        if self.args.no_verify:
            return "not read again"
        if plan.configs.get("compression.type", "producer") != "producer":
            return "recompressed"
        if "compact" in plan.configs.get("cleanup.policy", ""):
            return "not read again"
        for where in plan.places:
            known = state.partitions[str(where)]
            if checksum_of(self.target, where, known.target_end) != (known.records, known.checksum):
                return f"DIFFERENT in partition {where.partition}"
        return "equal"

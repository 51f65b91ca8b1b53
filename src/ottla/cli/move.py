"""`ottla move`: topics, records and committed offsets from one Kafka to another."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ottla.cli import move_report
from ottla.cli.connection_options import read_properties
from ottla.cli.errors import CommandError
from ottla.client.cluster import Cluster
from ottla.client.errors import ClientError
from ottla.client.settings import Settings
from ottla.moving import topics
from ottla.moving.copier import Copier
from ottla.moving.errors import MoveError
from ottla.moving.partitions import GoneError, Where, patiently
from ottla.moving.state import MoveState
from ottla.moving.writer import RateLimit

DESCRIPTION = """\
Copy topics with their configuration, records as they are, and consumer
groups' offsets to another Kafka; either may be Ottla or Apache Kafka. With
--follow it goes on until Ctrl-C, new topics included: stop the programs, press
Ctrl-C (what was written before comes along), and start them with the new
address. It may be interrupted and run again."""

BAR_WIDTH: Final = 24
FOLLOW_S: Final = 0.2
PROGRESS_S: Final = 0.25
#: So often the source is asked for new topics and partitions.
LOOK_S: Final = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="source", required=True, metavar="HOST:PORT", help="the Kafka to read"
    )
    parser.add_argument(
        "--to", dest="target", required=True, metavar="HOST:PORT", help="the Kafka to write"
    )
    parser.add_argument("--from-config", metavar="FILE", help="properties for the source")
    parser.add_argument("--to-config", metavar="FILE", help="properties for the target")
    parser.add_argument("--topics", metavar="REGEX", help="only topics that match (default: all)")
    parser.add_argument("--groups", metavar="REGEX", help="only groups that match (default: all)")
    parser.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--limit", type=float, default=0.0, metavar="MB", help="MB/s at the most")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write the report, partition by partition, as JSON",
    )
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
        """Returns 0 when everything arrived as it was. Errors: MoveError, ClientError."""
        ids = (self._id(self.source), self._id(self.target))
        if ids[0] == ids[1]:
            raise MoveError("source and target are the same cluster")
        state = MoveState.load(self.args.state, *ids)
        self.plans: dict[str, topics.TopicPlan] = {}
        copier = Copier(self.source, self.target, state, RateLimit(self.args.limit * 1_000_000))
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._finish)
        self._look(copier)
        self._copy(copier)
        plans = sorted(self.plans.values(), key=lambda plan: plan.name)
        topics.set_configs(self.target, plans)
        report = move_report.Report(
            self.source, self.target, state, plans, is_verified=not self.args.no_verify
        )
        report.groups = move_report.move_groups(self.source, self.target, self.args.groups, state)
        report.check()
        report.print()
        seconds = time.monotonic() - self.started
        megabytes = copier.totals.bytes / 1_000_000
        print(f"{copier.totals.records:,} records, {megabytes:,.1f} MB in {seconds:,.1f} s")
        if self.args.report:
            self.args.report.write_text(report.as_json(), encoding="utf-8")
        return 0 if report.is_good else 1

    @staticmethod
    def _id(cluster: Cluster) -> str:
        return cluster.metadata([]).cluster_id or ""

    def _finish(self, *_: object) -> None:
        self.is_over = True

    def _look(self, copier: Copier) -> None:
        """Know the topics that are in the source now; those that are new go to the target."""
        found = {p.name: p for p in patiently(lambda: topics.plan(self.source, self.args.topics))}
        for name in self.plans.keys() - found.keys():
            print(f"{name} was deleted in the source; what was copied stays in the target")
        new = [
            plan
            for name, plan in found.items()
            if name not in self.plans or self.plans[name].partitions != plan.partitions
        ]
        known = {where for plan in self.plans.values() for where in plan.places}
        self.plans = found
        self.looked_at = time.monotonic()
        if not new and known:
            return
        if not found and not self.args.follow:
            raise MoveError("there is no topic to move")
        made, there = patiently(lambda: topics.create(self.target, new))
        copier.prepare([where for plan in new for where in plan.places if where not in known])
        print(f"{len(made)} topics created, {len(there)} were there already", flush=True)

    def _places(self) -> list[Where]:
        return [where for plan in self.plans.values() for where in plan.places]

    def _copy(self, copier: Copier) -> None:
        """Copy what there is; with --follow until Ctrl-C, and then what came before it."""

        def show(goals: dict[Where, int]) -> None:
            self._show(copier, goals)

        def until_now(should_stop: Callable[[], bool]) -> dict[Where, int]:
            goals = copier.goals(self._places())
            copier.copy_until(goals, show, should_stop)
            return goals

        def until_the_end() -> dict[Where, int]:
            self._look(copier)
            return until_now(lambda: False)

        if self.args.follow:
            while not self.is_over:
                try:
                    until_now(lambda: self.is_over)
                except GoneError:
                    self._look(copier)
                time.sleep(FOLLOW_S)
                if time.monotonic() - self.looked_at > LOOK_S:
                    self._look(copier)
            # Whatever was written before Ctrl-C comes along.
            goals = patiently(until_the_end, waits_for_new=True)
        else:
            goals = until_now(lambda: self.is_over)
            if self.is_over:
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

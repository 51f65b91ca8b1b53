"""What a move says at its end: every partition counted and checked, groups, and what is left."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from ottla.client.cluster import Cluster
from ottla.moving import groups, settings_of_clients
from ottla.moving.copier import checksum_of
from ottla.moving.groups import GroupResult
from ottla.moving.partitions import Where, patiently
from ottla.moving.state import MoveState
from ottla.moving.topics import TopicPlan

EQUAL = "equal"
NOT_READ = "not read again"
RECOMPRESSED = "recompressed"
DIFFERENT = "DIFFERENT"
#: Beyond this a person gets topics; --report has the partitions.
MAX_ROWS = 40


@dataclass(slots=True)
class PartitionReport:
    """One partition; the checksum is about the records as they lie in their batches."""

    topic: str
    partition: int
    source_end: int
    target_end: int
    records: int
    bytes: int
    checksum: str
    verdict: str = NOT_READ


@dataclass
class Report:
    """The whole of it; `check` reads the target again."""

    source: Cluster
    target: Cluster
    state: MoveState
    plans: list[TopicPlan]
    is_verified: bool
    groups: list[GroupResult] = field(default_factory=list)
    rows: list[PartitionReport] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return all(r.verdict != DIFFERENT for r in self.rows) and not any(
            g.problem for g in self.groups
        )

    def check(self) -> None:
        """Every partition has its row. Errors: MoveError, ClientError."""
        for plan in self.plans:
            for where in plan.places:
                known = self.state.partitions[str(where)]
                row = PartitionReport(
                    where.topic,
                    where.partition,
                    known.next_offset,
                    known.target_end,
                    known.records,
                    known.bytes,
                    f"{known.checksum:08x}",
                )
                row.verdict = self._verdict(plan, where)
                self.rows.append(row)

    def _verdict(self, plan: TopicPlan, where: Where) -> str:
        if plan.configs.get("compression.type", "producer") != "producer":
            return RECOMPRESSED
        if not self.is_verified or "compact" in plan.configs.get("cleanup.policy", ""):
            return NOT_READ
        known = self.state.partitions[str(where)]
        found = checksum_of(self.target, where, known.target_end)
        return EQUAL if found == (known.records, known.checksum) else DIFFERENT

    def print(self) -> None:
        width = max([len("TOPIC"), *(len(p.name) for p in self.plans)])
        if len(self.rows) <= MAX_ROWS:
            print(f"{'TOPIC':<{width}}  PARTITION     RECORDS           BYTES  CHECKSUM  CHECK")
            for row in self.rows:
                print(
                    f"{row.topic:<{width}}  {row.partition:>9}  {row.records:>10,}"
                    f"  {row.bytes:>14,}  {row.checksum}  {row.verdict}"
                )
        else:
            print(f"{'TOPIC':<{width}}  PARTITIONS     RECORDS           BYTES  CHECK")
            for plan in self.plans:
                rows = [row for row in self.rows if row.topic == plan.name]
                verdicts = ", ".join(sorted({row.verdict for row in rows}))
                print(
                    f"{plan.name:<{width}}  {len(rows):>10}  {sum(r.records for r in rows):>10,}"
                    f"  {sum(r.bytes for r in rows):>14,}  {verdicts}"
                )
        for group in self.groups:
            if group.problem:
                print(f"group {group.group}: not moved, {group.problem}")
            elif group.partitions:
                print(f"group {group.group}: {group.partitions} offsets, lag {group.lag:,}")
        print(settings_of_clients.move_acls(self.source, self.target))
        print(settings_of_clients.move_quotas(self.source, self.target))
        print(settings_of_clients.count_scram_users(self.source))

    def as_json(self) -> str:
        """Everything of it, for machines."""
        return json.dumps(
            {
                "partitions": [asdict(row) for row in self.rows],
                "groups": [asdict(group) for group in self.groups],
                "is_good": self.is_good,
            },
            indent=1,
        )


def move_groups(
    source: Cluster, target: Cluster, pattern: str | None, state: MoveState
) -> list[GroupResult]:
    """The groups' offsets are committed in the target. Errors: MoveError."""
    return [
        patiently(lambda: groups.move_group(source, target, name, state))  # noqa: B023 (called at once)
        for name in patiently(lambda: groups.list_groups(source, pattern))
    ]

"""Proof that the simulation sees: without any one safety step it must find a violation.

A mutant takes one step out of `ottla.storage.safety` (or turns a check into a
yes), or one out of the broker. All of them must be caught within a few seeds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from ottla.broker.partitions import Acknowledge, Partition
from ottla.coordinator import transaction_coordinator
from ottla.coordinator.transaction import Transaction, TransactionStatus
from ottla.storage import safety
from ottla.storage.partition_log import AppendInfo
from ottla.storage.producer_state import ProducerStates
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.end_txn import EndTxnRequest
from simulation.log_world import LogWorld
from simulation.rot import RotWorld
from simulation.world import World

SEEDS: Final = 400
LIVES: Final = 20


def run_log_world(seed: int) -> None:
    LogWorld(seed).run(LIVES)


def run_rot_world(seed: int) -> None:
    RotWorld(seed).run_and_rot()


def run_broker_world(seed: int) -> None:
    World(seed).run(LIVES)


class Mutant(NamedTuple):
    """One step left out."""

    name: str
    #: Where the step is, and what stands in its place.
    owner: object
    step: str
    replacement: Callable[..., Any]
    #: The world that shows the difference.
    run: Callable[[int], None] = run_log_world


def _skip(*_arguments: object) -> None:
    """Instead of a step: nothing."""


def _yes(*_arguments: object) -> bool:
    """Instead of a check: it is all right."""
    return True


def _show_at_once(partition: Partition, info: AppendInfo) -> None:
    partition.advance(info.last_offset + 1)


def _answer_at_once(_partition: Partition, _end_offset: int, acknowledge: Acknowledge) -> None:
    acknowledge(ErrorCode.NONE)


def _know_nobody(*_arguments: object, **_settings: object) -> None:
    """Instead of looking for a repeat: there is none."""


def _let_anybody_end(
    known: Transaction, _request: EndTxnRequest, _version: int
) -> tuple[bool, ErrorCode]:
    return known.status is TransactionStatus.ONGOING, ErrorCode.NONE


MUTANTS: Final = (
    Mutant("no sync before the answer", safety, "sync_appended_data", _skip),
    Mutant("new names are not synced", safety, "sync_new_names", _skip),
    Mutant("no CRC check at recovery", safety, "is_intact_at_recovery", _yes),
    Mutant("no CRC check when reading", safety, "is_intact_when_read", _yes, run_rot_world),
    Mutant("the bad tail is not cut", safety, "cut_bad_tail", _skip),
    Mutant("the kept tail is not made durable", safety, "make_kept_tail_durable", _skip),
    Mutant("a replacement is not synced before its rename", safety, "sync_replacement", _skip),
    Mutant("the name of a replacement is not synced", safety, "sync_replaced_name", _skip),
    Mutant("the mark of a clean stop is not durably removed", safety, "sync_removed_mark", _skip),
    Mutant("DeleteRecords answers too early", safety, "may_answer_delete_records", _yes),
    Mutant("files go before the new start is durable", safety, "may_remove_below", _yes),
    Mutant("swapped names are not synced", safety, "sync_swapped_names", _skip),
    Mutant("compaction above the recovery point", safety, "may_compact_below", _yes),
    Mutant(
        "journal frames are not checked", safety, "is_journal_frame_intact", _yes, run_rot_world
    ),
    Mutant("snapshots are not checked", safety, "is_snapshot_intact", _yes, run_rot_world),
    Mutant("a failed sync is shrugged off", safety, "may_trust_after_failed_sync", _yes),
    Mutant("written is shown at once", Partition, "appended", _show_at_once, run_broker_world),
    Mutant(
        "answers before the flush", Partition, "when_visible", _answer_at_once, run_broker_world
    ),
    Mutant("repeats are not known", ProducerStates, "check", _know_nobody, run_broker_world),
    Mutant(
        "whoever was shut out ends a rival's transaction",
        transaction_coordinator,
        "check_end",
        _let_anybody_end,
        run_broker_world,
    ),
)


@contextlib.contextmanager
def without(mutant: Mutant) -> Iterator[None]:
    """The code lacks this step."""
    original = getattr(mutant.owner, mutant.step)
    setattr(mutant.owner, mutant.step, mutant.replacement)
    try:
        yield
    finally:
        setattr(mutant.owner, mutant.step, original)


def catch(mutant: Mutant, seeds: int = SEEDS) -> str | None:
    """How the mutant showed itself, or None when it was never noticed."""
    with without(mutant):
        for seed in range(seeds):
            try:
                mutant.run(seed)
            except Exception as caught:  # noqa: BLE001 - a mutant may break anything
                return f"seed {seed}: {type(caught).__name__}: {caught}"
    return None

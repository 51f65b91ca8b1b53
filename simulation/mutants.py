"""Proof that the simulation sees: without any one safety step it must find a violation.

A mutant takes one step out of `ottla.storage.safety` (or turns a check into a
yes). All of them must be caught within a few seeds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from ottla.storage import safety
from simulation.log_world import LogWorld
from simulation.rot import RotWorld

SEEDS: Final = 400
LIVES: Final = 20


class Mutant(NamedTuple):
    """One step left out."""

    name: str
    #: The function of `safety`, and what stands in its place.
    step: str
    replacement: Callable[..., Any]
    #: Whether only decay of durable bytes can show the difference.
    needs_rot: bool = False


def _skip(*_arguments: object) -> None:
    """Instead of a step: nothing."""


def _yes(*_arguments: object) -> bool:
    """Instead of a check: it is all right."""
    return True


MUTANTS: Final = (
    Mutant("no sync before the answer", "sync_appended_data", _skip),
    Mutant("new names are not synced", "sync_new_names", _skip),
    Mutant("no CRC check at recovery", "is_intact_at_recovery", _yes),
    Mutant("no CRC check when reading", "is_intact_when_read", _yes, needs_rot=True),
    Mutant("the bad tail is not cut", "cut_bad_tail", _skip),
    Mutant("the kept tail is not made durable", "make_kept_tail_durable", _skip),
    Mutant("a replacement is not synced before its rename", "sync_replacement", _skip),
    Mutant("the name of a replacement is not synced", "sync_replaced_name", _skip),
    Mutant("the mark of a clean stop is not durably removed", "sync_removed_mark", _skip),
    Mutant("DeleteRecords answers before the start is durable", "may_answer_delete_records", _yes),
    Mutant("files go before the start behind them is durable", "may_remove_below", _yes),
    Mutant("swapped names are not synced", "sync_swapped_names", _skip),
    Mutant("compaction above the recovery point", "may_compact_below", _yes),
    Mutant("journal frames are not checked", "is_journal_frame_intact", _yes),
    Mutant("producer snapshots are not checked", "is_snapshot_intact", _yes, needs_rot=True),
    Mutant("a failed sync is shrugged off", "may_trust_after_failed_sync", _yes),
)


@contextlib.contextmanager
def without(mutant: Mutant) -> Iterator[None]:
    """The code lacks this step."""
    original = getattr(safety, mutant.step)
    setattr(safety, mutant.step, mutant.replacement)
    try:
        yield
    finally:
        setattr(safety, mutant.step, original)


def catch(mutant: Mutant, seeds: int = SEEDS) -> str | None:
    """How the mutant showed itself, or None when it was never noticed."""
    with without(mutant):
        for seed in range(seeds):
            try:
                if mutant.needs_rot:
                    RotWorld(seed).run_and_rot()
                else:
                    LogWorld(seed).run(LIVES)
            except Exception as caught:  # noqa: BLE001 - a mutant may break anything
                return f"seed {seed}: {type(caught).__name__}: {caught}"
    return None

"""Bytes that were durable and change all the same: they may be missed, never served.

A machine stops cleanly; then one byte of one file changes; then it starts
again, after a crash or not, and everything is read.
"""

from __future__ import annotations

import random
from typing import Final

from ottla.batch.errors import CorruptBatchError
from ottla.storage.errors import CorruptLogError, StorageError
from simulation.disk import FileNode
from simulation.log_model import Violation
from simulation.log_world import LogWorld, read_entries
from simulation.shelf import ROOT

#: Files in which a changed byte must be noticed before it is believed.
CHECKED: Final = (".log", ".snapshot", ".journal")


class RotWorld(LogWorld):
    """A `LogWorld` of a few lives and a clean stop, and then decay."""

    def run_and_rot(self) -> None:
        """Raises `Violation` when a changed byte was taken for what was written."""
        self.run(3)
        for _ in range(80):
            self._operate()
        self._stop_cleanly()
        self.disk.process_killed()
        rng = random.Random(f"rot {self.rng.random()}")
        path = self._spoil_one_byte(rng)
        if path is None:
            return
        if rng.random() < 0.5 or path.endswith(".snapshot"):
            # What was checked at a clean stop is checked again after another one.
            self.disk.remove(f"{ROOT}/.kafka_cleanshutdown")
        try:
            self.shelf.open(self.wall_ms)
        except StorageError:
            return  # It was noticed.
        for name, log in self.shelf.logs.items():
            model = self.model_of(name)
            offset, end = log.log_start_offset, log.log_end_offset
            try:
                found, _ = read_entries(log, offset, end, 1 << 20)
            except (CorruptLogError, CorruptBatchError):
                continue
            for at, entry in found:
                if entry != model.entry_at(at):
                    raise Violation(f"{name}: serves a spoilt record at {at} ({path})")
            self._check_producers(path)

    def _spoil_one_byte(self, rng: random.Random) -> str | None:
        candidates = [
            (path, node)
            for path, node in self.disk.walk(ROOT)
            if isinstance(node, FileNode) and path.endswith(CHECKED) and len(node.content) > 100
        ]
        if not candidates:
            return None
        path, node = rng.choice(candidates)
        # What a journal's end says cannot be told from what never became durable.
        end = len(node.content) // (2 if path.endswith(".journal") else 1)
        at = rng.randrange(end)
        node.content[at] ^= 1 << rng.randrange(8)
        node.durable = bytearray(node.content)
        return path

    def _check_producers(self, path: str) -> None:
        if not path.endswith(".snapshot"):
            return
        known = {p.producer_id for model in self.models.values() for p in model.producers}
        for name, log in self.shelf.logs.items():
            model = self.model_of(name)
            sequences = {p.producer_id: p.next_sequence for p in model.producers}
            for state in log.producers:
                if state.producer_id not in known or any(
                    batch.last_sequence >= sequences.get(state.producer_id, 0)
                    or batch.last_offset >= log.log_end_offset
                    for batch in state.batches
                ):
                    raise Violation(f"{name}: believes a spoilt producer snapshot ({path})")

"""Turn a real data directory into what a power cut would have left of it.

Works on what `simulation.recording` kept: the names are replayed onto a
simulated disk, whose own power cut then decides, so that real and simulated
files betray in the same ways.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

from simulation.disk import DirectoryNode, FileNode, SimulatedDisk
from simulation.recording import NAMES_FILE


def complete_rename(side: str) -> None:
    """Record a rename that a kill kept from being recorded, if it was done."""
    names = Path(side, NAMES_FILE)
    text = names.read_text()
    whole = text[: text.rfind("\n") + 1]
    begun: list[str] = []
    for kind, *paths in map(json.loads, whole.splitlines()):
        if kind == "renaming":
            begun = paths
        elif kind in ("rename", "kept"):
            begun = []
    if not begun:
        return
    is_done = not os.path.lexists(begun[0])
    # One that was not done is over, too: its record must not be completed later.
    new = Path(f"{names}.new")
    new.write_text(whole + json.dumps(["rename" if is_done else "kept", *begun]) + "\n")
    new.replace(names)


def replay_names(side: str, root: str) -> tuple[SimulatedDisk, dict[str, int]]:
    """The recorded names on a simulated disk (below "/data"), and the number of the
    file at each real path that should be there."""
    disk = SimulatedDisk(random.Random(0))
    disk.make_directory("/data")
    disk.sync_directory("/")
    numbers: dict[int, int] = {}

    def inside(path: str) -> str:
        return "/data" + path[len(root) :]

    for line in Path(side, NAMES_FILE).read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            break  # killed while writing it: it never counted
        kind, path, *rest = json.loads(line)
        if kind in ("renaming", "kept"):
            continue
        if kind == "create":
            disk.open(inside(path), create=True)
            node = disk.node_at(inside(path))
            numbers[id(node)] = rest[0]
            assert isinstance(node, FileNode)
            node.dropped = [("number", rest[0], b"")]
        elif kind == "rename":
            disk.rename(inside(path), inside(rest[0]))
        else:
            getattr(disk, kind)(inside(path))
    visible = {
        root + path[len("/data") :]: numbers[id(node)]
        for path, node in disk.walk("/data")
        if isinstance(node, FileNode)
    }
    return disk, visible


def revert(root: str, side: str, rng: random.Random | None) -> list[str]:
    """Make of `root` what was durable, and of the rest what `rng` decides (nothing of it
    without one). The side directory starts anew. Returns the paths that changed."""
    complete_rename(side)
    disk, visible = replay_names(side, root)
    for node in disk.every_node():
        if isinstance(node, FileNode) and node.dropped:
            number = node.dropped[0][1]
            shadow = Path(side, str(number))
            node.durable = bytearray(shadow.read_bytes() if shadow.exists() else b"")
            node.content = bytearray(node.durable)
    before: dict[str, bytes] = {}
    for path in sorted(visible):
        node = disk.node_at("/data" + path[len(root) :])
        assert isinstance(node, FileNode)
        if os.path.exists(path):  # else killed between a rename and its record
            before[path] = Path(path).read_bytes()
            node.content = bytearray(before[path])
    if rng is None:
        disk.lose_everything_unsynced()
    else:
        disk.power_cut(rng)
    after = _materialize(disk, root)
    shutil.rmtree(side)
    return sorted(p for p in {*before, *after} if before.get(p) != after.get(p))


def _materialize(disk: SimulatedDisk, root: str) -> dict[str, bytes]:
    shutil.rmtree(root)
    os.makedirs(root)
    after: dict[str, bytes] = {}
    for path, node in disk.walk("/data"):
        real = root + path[len("/data") :]
        if isinstance(node, DirectoryNode):
            os.makedirs(real, exist_ok=True)
        else:
            after[real] = bytes(node.content)
            Path(real).write_bytes(after[real])
    return after

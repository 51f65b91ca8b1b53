"""A filesystem in memory that tells written from durable, and can lose power.

Implements `ottla.seams.filesystem.FileSystem`. File contents are durable after
`sync`, names after `sync_directory` of their directory, and nothing else is.
Every change counts as one step; `cut_power_at` ends the machine's life right
before a step, by `PowerCut`. `power_cut` then makes of everything that was not
durable what a seed says (see `tearing`), forgets or keeps each unsynced name
for itself, and the disk can be used again.

Faults: a sync that fails drops what it was to make durable, for good, although
it can still be read (as Linux does); a full disk writes a part and raises.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ottla.seams.filesystem import Buffer
from simulation.tearing import tear

#: One change of a file's content, as a function from content to content.
Change: TypeAlias = tuple[str, int, bytes]


class PowerCut(BaseException):
    """The machine is off. Not an Exception: nobody but the test may catch it."""


@dataclass(eq=False, slots=True)
class FileNode:
    """A file: what a reader sees, what is durable, and the changes in between."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    #: Changes since the last sync, and those that a failed sync has dropped.
    pending: list[Change] = field(default_factory=list)
    dropped: list[Change] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class DirectoryNode:
    """A directory: its names as seen, its durable names, and the changes in between."""

    names: dict[str, Node] = field(default_factory=dict)
    durable: dict[str, Node] = field(default_factory=dict)
    pending: list[NameChange] = field(default_factory=list)


Node: TypeAlias = FileNode | DirectoryNode


@dataclass(eq=False, slots=True)
class NameChange:
    """Names that vanish and one that appears, both or neither."""

    removed: str | None
    added: str | None
    node: Node

    def apply(self, names: dict[str, Node]) -> None:
        if self.removed is not None and names.get(self.removed) is self.node:
            del names[self.removed]
        if self.added is not None:
            names[self.added] = self.node


def apply_change(content: bytearray, change: Change) -> None:
    kind, position, data = change
    if kind == "truncate":
        del content[position:]
    if position > len(content):
        content.extend(bytes(position - len(content)))
    if kind == "write":
        content[position : position + len(data)] = data


class SimulatedFile:
    """An open file of a `SimulatedDisk`."""

    def __init__(self, disk: SimulatedDisk, node: FileNode, path: str, read_only: bool) -> None:
        self._disk = disk
        self._life = disk.life
        self._node = node
        self._path = path
        self._read_only = read_only
        self._is_open = True

    @property
    def path(self) -> str:
        return self._path

    def _use(self) -> FileNode:
        self._disk.check_power()
        assert self._life == self._disk.life, f"{self._path} was opened before the power cut"
        if not self._is_open:
            raise OSError(errno.EBADF, "file is closed", self._path)
        return self._node

    def size(self) -> int:
        return len(self._use().content)

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        node = self._use()
        if self._read_only:
            raise OSError(errno.EBADF, "file is open for reading", self._path)
        data = b"".join(buffers)
        room = self._disk.room_for(len(node.content), position + len(data))
        self._disk.step("write", self._path)
        if room is not None:
            data = data[: max(0, len(node.content) + room - position)]
        if data:
            self._change(node, ("write", position, data))
        if room is not None:
            raise OSError(errno.ENOSPC, "No space left on device", self._path)

    def _change(self, node: FileNode, change: Change) -> None:
        before = len(node.content)
        apply_change(node.content, change)
        self._disk.used_bytes += len(node.content) - before
        node.pending.append(change)

    def read_at(self, size: int, position: int) -> bytes:
        return bytes(self._use().content[position : position + size])

    def read_cached_at(self, size: int, position: int) -> Buffer | None:
        node = self._use()
        if self._disk.is_cold():
            return None
        return node.content[position : position + size]

    def truncate(self, size: int) -> None:
        node = self._use()
        self._disk.step("truncate", self._path)
        self._change(node, ("truncate", size, b""))

    def sync(self) -> None:
        node = self._use()
        self._disk.step("sync", self._path)
        if self._disk.has_fault("sync", self._path):
            node.dropped += node.pending
            node.pending = []
            raise OSError(errno.EIO, "Input/output error", self._path)
        for change in node.pending:
            apply_change(node.durable, change)
        node.pending = []

    def close(self) -> None:
        self._is_open = False


class SimulatedLock:
    """A held lock file; gone with the power."""

    def __init__(self, disk: SimulatedDisk, path: str) -> None:
        self._disk = disk
        self._path = path

    def release(self) -> None:
        self._disk.locks.discard(self._path)


class SimulatedDisk:
    """The disk of one simulated machine. Paths start at "/"; only "/" exists at first."""

    FAR_AWAY: Final = 1 << 60

    def __init__(self, rng: random.Random, *, capacity_bytes: int | None = None) -> None:
        self._rng = rng
        self._root = DirectoryNode()
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self.locks: set[str] = set()
        #: Changes with every power cut; files opened before it cannot be used.
        self.life = 0
        self.steps = 0
        self._cut_at = self.FAR_AWAY
        self._is_off = False
        #: Told of every step, for whoever wants to follow.
        self.follow: Callable[[str], None] = lambda _what: None
        #: Share of reads that find the page cache cold.
        self.cold_share = 0.0
        self._fault: Callable[[str, str], bool] = lambda _kind, _path: False

    # Power and faults

    def cut_power_at(self, step: int) -> None:
        """Lose power right before the step with this number (`steps` counts them)."""
        self._cut_at = step

    def step(self, kind: str, path: str) -> None:
        """Count one change; the place where power fails."""
        self.check_power()
        self.steps += 1
        self.follow(f"{self.steps} {kind} {path}")
        if self.steps >= self._cut_at:
            self._is_off = True
            raise PowerCut(f"before {kind} of {path}")

    def check_power(self) -> None:
        if self._is_off:
            raise PowerCut("the machine is off")

    def set_fault(self, fault: Callable[[str, str], bool] | None) -> None:
        """`fault(kind, path)` says whether a step ("sync", "sync_directory") fails."""
        self._fault = fault or (lambda _kind, _path: False)

    def has_fault(self, kind: str, path: str) -> bool:
        return self._fault(kind, path)

    def is_cold(self) -> bool:
        return self.cold_share > 0 and self._rng.random() < self.cold_share

    def room_for(self, size: int, new_size: int) -> int | None:
        """None when a file may grow so far, otherwise the bytes it may still grow by."""
        if self.capacity_bytes is None:
            return None
        room = max(0, self.capacity_bytes - self.used_bytes)
        return room if new_size - size > room else None

    def process_killed(self) -> None:
        """The process is gone, the machine is not: everything written is still there, and
        what was not durable is still not."""
        self.life += 1
        self.locks.clear()
        self._is_off = False
        self._cut_at = self.FAR_AWAY
        self._fault = lambda _kind, _path: False

    def power_cut(self, rng: random.Random) -> None:
        """Power is lost (if it was not already) and comes back.

        Everything durable is there; of everything else what `rng` decides.
        """
        self.process_killed()
        seen: set[int] = set()
        self._lose(self._root, rng, rng.choice((0.0, 0.2, 0.5, 0.8, 1.0)), seen)
        self.used_bytes = self._count(self._root)

    def lose_everything_unsynced(self) -> None:
        """The strictest power cut: nothing is left but what was durable."""
        for node in self.every_node():
            if isinstance(node, DirectoryNode):
                node.pending = []
                node.names = dict(node.durable)
            else:
                node.pending = []
                node.dropped = []
                node.content = bytearray(node.durable)
        self.power_cut(random.Random(0))

    def _lose(
        self, directory: DirectoryNode, rng: random.Random, kept_names: float, seen: set[int]
    ) -> None:
        if id(directory) in seen:
            return
        seen.add(id(directory))
        names = dict(directory.durable)
        for change in directory.pending:
            if rng.random() < kept_names:
                change.apply(names)
        directory.names = names
        directory.durable = dict(names)
        directory.pending = []
        for name in sorted(names):
            node = names[name]
            if isinstance(node, DirectoryNode):
                self._lose(node, rng, kept_names, seen)
            elif id(node) not in seen:
                seen.add(id(node))
                _lose_content(node, rng)

    def _count(self, directory: DirectoryNode) -> int:
        return sum(
            self._count(node) if isinstance(node, DirectoryNode) else len(node.content)
            for node in directory.names.values()
        )

    def unsynced_paths(self) -> list[str]:
        """Files whose content would not survive a power cut, for error messages."""
        found: list[str] = []

        def walk(directory: DirectoryNode, path: str) -> None:
            for name, node in sorted(directory.names.items()):
                if isinstance(node, DirectoryNode):
                    walk(node, f"{path}/{name}")
                elif node.pending or node.dropped or directory.durable.get(name) is not node:
                    found.append(f"{path}/{name}")

        walk(self._root, "")
        return found

    # Looking at it from outside

    def node_at(self, path: str) -> Node:
        return self._get(path)

    def walk(self, path: str) -> list[tuple[str, Node]]:
        """Everything visible below a directory, parents first, sorted."""
        found: list[tuple[str, Node]] = []
        for name, node in sorted(self._get_directory(path).names.items()):
            found.append((f"{path}/{name}", node))
            if isinstance(node, DirectoryNode):
                found += self.walk(f"{path}/{name}")
        return found

    def every_node(self) -> list[Node]:
        """Everything that is visible or durable or between the two, once."""
        found: dict[int, Node] = {}
        waiting: list[Node] = [self._root]
        while waiting:
            node = waiting.pop()
            if id(node) in found:
                continue
            found[id(node)] = node
            if isinstance(node, DirectoryNode):
                waiting += node.names.values()
                waiting += node.durable.values()
                waiting += [change.node for change in node.pending]
        return list(found.values())

    # The filesystem

    def _split(self, path: str) -> tuple[DirectoryNode, str]:
        self.check_power()
        parts = [part for part in path.split("/") if part]
        assert parts, "the root itself cannot be changed"
        node = self._find("/".join(parts[:-1]))
        if not isinstance(node, DirectoryNode):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return node, parts[-1]

    def _find(self, path: str) -> Node | None:
        self.check_power()
        node: Node | None = self._root
        for part in path.split("/"):
            if part:
                if not isinstance(node, DirectoryNode):
                    return None
                node = node.names.get(part)
        return node

    def _get(self, path: str) -> Node:
        node = self._find(path)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return node

    def _get_file(self, path: str) -> FileNode:
        node = self._get(path)
        if isinstance(node, DirectoryNode):
            raise IsADirectoryError(errno.EISDIR, "Is a directory", path)
        return node

    def _get_directory(self, path: str) -> DirectoryNode:
        node = self._get(path)
        if isinstance(node, FileNode):
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", path)
        return node

    @staticmethod
    def _change_names(directory: DirectoryNode, change: NameChange) -> None:
        change.apply(directory.names)
        directory.pending.append(change)

    def open(self, path: str, *, create: bool = False, read_only: bool = False) -> SimulatedFile:
        if create and self._find(path) is None:
            directory, name = self._split(path)
            self.step("create", path)
            self._change_names(directory, NameChange(None, name, FileNode()))
        return SimulatedFile(self, self._get_file(path), path, read_only)

    def exists(self, path: str) -> bool:
        return self._find(path) is not None

    def is_directory(self, path: str) -> bool:
        return isinstance(self._find(path), DirectoryNode)

    def file_size(self, path: str) -> int:
        return len(self._get_file(path).content)

    def list_directory(self, path: str) -> list[str]:
        return sorted(self._get_directory(path).names)

    def make_directory(self, path: str) -> None:
        parts = [part for part in path.split("/") if part]
        for count in range(1, len(parts) + 1):
            parent = "/".join(parts[: count - 1])
            if self._find("/".join(parts[:count])) is None:
                self.step("make_directory", path)
                change = NameChange(None, parts[count - 1], DirectoryNode())
                self._change_names(self._get_directory(parent), change)
            else:
                self._get_directory("/".join(parts[:count]))

    def rename(self, old: str, new: str) -> None:
        source, old_name = self._split(old)
        target, new_name = self._split(new)
        node = self._get(old)
        replaced = target.names.get(new_name)
        if isinstance(replaced, DirectoryNode) and replaced.names:
            raise OSError(errno.ENOTEMPTY, "Directory not empty", new)
        self.step("rename", f"{old} to {new}")
        if replaced is not None:
            self._forget_bytes(replaced)
        if source is target:
            self._change_names(source, NameChange(old_name, new_name, node))
        else:
            self._change_names(target, NameChange(None, new_name, node))
            self._change_names(source, NameChange(old_name, None, node))

    def remove(self, path: str) -> None:
        directory, name = self._split(path)
        node = self._get_file(path)
        self.step("remove", path)
        self._forget_bytes(node)
        self._change_names(directory, NameChange(name, None, node))

    def remove_tree(self, path: str) -> None:
        directory, name = self._split(path)
        node = self._get_directory(path)
        for child in sorted(node.names):
            if isinstance(node.names[child], DirectoryNode):
                self.remove_tree(f"{path}/{child}")
            else:
                self.remove(f"{path}/{child}")
        self.step("remove", path)
        self._change_names(directory, NameChange(name, None, node))

    def _forget_bytes(self, node: Node) -> None:
        if isinstance(node, FileNode):
            self.used_bytes -= len(node.content)

    def sync_directory(self, path: str) -> None:
        directory = self._get_directory(path)
        self.step("sync_directory", path)
        if self.has_fault("sync_directory", path):
            raise OSError(errno.EIO, "Input/output error", path)
        for change in directory.pending:
            change.apply(directory.durable)
        directory.pending = []

    def free_bytes(self, path: str) -> int:
        self._get(path)
        if self.capacity_bytes is None:
            return self.FAR_AWAY
        return max(0, self.capacity_bytes - self.used_bytes)

    def total_bytes(self, path: str) -> int:
        self._get(path)
        return self.FAR_AWAY if self.capacity_bytes is None else self.capacity_bytes

    def lock(self, path: str) -> SimulatedLock | None:
        if path in self.locks:
            return None
        self.open(path, create=True)
        self.locks.add(path)
        return SimulatedLock(self, path)


def _lose_content(node: FileNode, rng: random.Random) -> None:
    """Leave of the unsynced changes what may be left: some whole, the rest torn."""
    if node.pending or node.dropped:
        # Some of the changes may have reached the disk by themselves before the cut.
        base = bytearray(node.durable)
        if not node.dropped:
            for change in node.pending[: rng.randint(0, len(node.pending))]:
                apply_change(base, change)
        node.content = bytearray(tear(bytes(base), bytes(node.content), rng))
    else:
        assert node.content == node.durable, "every change is pending, dropped or durable"
    node.durable = bytearray(node.content)
    node.pending = []
    node.dropped = []

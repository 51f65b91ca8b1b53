"""A broker process on a disk that can lose its power.

Killing a process loses nothing it has written: the page cache is the system's,
not the process's. To see what fsync is for, the broker of a lab keeps beside
each of its files a copy of what the last returned fsync covered (by number in
a side directory), and `cut_power` puts these copies in the files' places.

    python -m ottla.labs.power_cut SIDE_DIRECTORY DATA_DIRECTORY PORT DURABILITY

Kinder than a real disk: names are taken as durable at once, and unsynced bytes
are lost and never torn. The project's own crash tests leave out neither.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import ottla.server.core
from ottla.engine.ports import free_ports
from ottla.labs.bench import LabError
from ottla.seams.delegating import DelegatingFile
from ottla.seams.filesystem import File
from ottla.seams.real import RealFileSystem

READY: Final = "ready"


class _Shadow:
    """What is durable of one file; shared by all who have it open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        path.touch()

    def sync(self, file: File) -> None:
        with self._lock:
            # Read before the sync: what is written meanwhile is not covered.
            content = file.read_at(file.size(), 0)
            file.sync()
            fresh = self.path.with_suffix(".new")
            fresh.write_bytes(content)
            fresh.replace(self.path)


class _ShadowedFile(DelegatingFile):
    """A file whose every sync is noted in its shadow."""

    def __init__(self, inner: File, shadow: _Shadow) -> None:
        super().__init__(inner)
        self._shadow = shadow

    def sync(self) -> None:
        self._shadow.sync(self._inner)


class ShadowedFileSystem(RealFileSystem):
    """The real one below `root`, with a shadow for each file in `side`."""

    def __init__(self, root: str, side: str) -> None:
        super().__init__()
        self._root = root
        self._side = Path(side)
        self._shadows: dict[str, _Shadow] = {}
        self._lock = threading.Lock()
        shutil.rmtree(side, ignore_errors=True)
        self._side.mkdir(parents=True)
        for path in sorted(Path(root).rglob("*")):
            if path.is_file():  # what has survived the last power cut is on the disk
                shutil.copyfile(path, self._shadow_of(str(path)).path)
        self._write_index()

    def open(self, path: str, *, create: bool = False, read_only: bool = False) -> File:
        file = super().open(path, create=create, read_only=read_only)
        if not path.startswith(f"{self._root}/"):
            return file
        return _ShadowedFile(file, self._shadow_of(path))

    def rename(self, old: str, new: str) -> None:
        super().rename(old, new)
        with self._lock:
            for path in [p for p in self._shadows if p == old or p.startswith(f"{old}/")]:
                self._shadows[new + path[len(old) :]] = self._shadows.pop(path)
        self._write_index()

    def _shadow_of(self, path: str) -> _Shadow:
        with self._lock:
            shadow = self._shadows.get(path)
            if shadow is not None:
                return shadow
            number = len(list(self._side.glob("*.shadow")))
            shadow = self._shadows[path] = _Shadow(self._side / f"{number}.shadow")
        self._write_index()
        return shadow

    def _write_index(self) -> None:
        """Which shadow is whose; files that are gone by then are left alone."""
        with self._lock:
            index = {path: shadow.path.name for path, shadow in self._shadows.items()}
            fresh = self._side / "index.new"
            fresh.write_text(json.dumps(index))
            fresh.replace(self._side / "index.json")


def cut_power(side: Path) -> int:
    """Every file is what its last fsync covered; returns the bytes that were lost."""
    lost = 0
    for path, name in json.loads((side / "index.json").read_text()).items():
        file, shadow = Path(path), side / name
        if file.exists() and file.read_bytes() != shadow.read_bytes():
            lost += max(0, file.stat().st_size - shadow.stat().st_size)
            shutil.copyfile(shadow, file)
    return lost


class BrokerProcess:
    """A broker in a process of its own, on such a disk: to be killed and started again."""

    def __init__(self, directory: Path, durability: str) -> None:
        self._data = directory / f"data-{durability}"
        self._side = directory / f"side-{durability}"
        self._log = directory / f"{durability}.log"
        self._durability = durability
        self._process: subprocess.Popen[bytes] | None = None
        (self._port,) = free_ports(1)

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> None:
        """It is ready afterwards. Errors: LabError."""
        command = [sys.executable, "-m", "ottla.labs.power_cut", str(self._side), str(self._data)]
        with self._log.open("ab") as errors:
            self._process = subprocess.Popen(
                [*command, str(self._port), self._durability],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != READY.encode():
            said = self._log.read_text(errors="replace").strip()
            raise LabError(f"The lab's broker did not start: {said[-300:]}")

    def kill(self) -> None:
        """SIGKILL: the process is gone at once."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()
        self._process = None

    def cut_power(self) -> int:
        """After `kill`: what no fsync covered is gone, too. Returns how many bytes."""
        return cut_power(self._side)


def main(side: str, data: str, port: str, durability: str) -> None:
    """A broker on such a disk, until it is killed or its parent is gone."""
    from ottla.embedded import Broker

    # The broker has no switch for this, and needs none.
    setattr(  # noqa: B010
        ottla.server.core, "RealFileSystem", lambda: ShadowedFileSystem(data, side)
    )
    with Broker(data_dir=data, port=int(port), durability=durability):
        print(READY, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])

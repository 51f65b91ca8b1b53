"""A real filesystem of a few megabytes, and brokers on it.

It is mounted in a mount namespace of its own, which ends with the process that
holds it, so that nothing is left on the machine. Needs root, and for ext4 a loop
device; `NoSmallDisk` says what is missing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.crash.harness import ROOT

LIMIT_S: Final = 60


class NoSmallDisk(Exception):
    """This machine lets nobody mount one; the text says why."""


class SmallDisk:
    """One filesystem, mounted at `path` as long as this lives."""

    def __init__(self, directory: Path, kind: str, megabytes: int) -> None:
        """`kind` is "ext4" (on a file, by a loop device) or "tmpfs"."""
        self.path = directory / "small"
        self.path.mkdir()
        for program in ("unshare", "nsenter", "mount", "mkfs.ext4"):
            if shutil.which(program) is None:
                raise NoSmallDisk(f"there is no {program}")
        if kind == "ext4":
            image = directory / "image"
            image.touch()
            os.truncate(image, megabytes << 20)
            self._run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
            self._image = image
            mount = f"mount -o loop {image} {self.path}"
        else:
            mount = f"mount -t tmpfs -o size={megabytes}m tmpfs {self.path}"
        self._holder = subprocess.Popen(
            [
                *("unshare", "--mount", "--propagation", "private"),
                *("sh", "-c", f"{mount} && echo mounted && exec cat"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._holder.stdout is not None
        said = self._holder.stdout.readline()
        if said != b"mounted\n":
            self.close()
            raise NoSmallDisk(said.decode(errors="replace").strip())

    def inside(self, *command: str) -> list[str]:
        """A command line that runs this where the disk is seen."""
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--wd=/", *command]

    def run(self, *command: str) -> str:
        """Run it where the disk is seen; returns what it printed."""
        return self._run(*self.inside(*command))

    @staticmethod
    def _run(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoSmallDisk(f"{command[0]}: {done.stderr.strip()}")
        return done.stdout

    def free_bytes(self) -> int:
        return int(self.run("df", "--output=avail", "-B1", str(self.path)).split()[-1])

    def fill(self) -> Path:
        """Not a byte is left afterwards; removing the file that is returned makes room again."""
        ballast = self.path / "ballast"
        # dd ends with an error, which is what is wanted of it.
        command = self.inside("dd", "if=/dev/zero", f"of={ballast}", "bs=4096")
        subprocess.run(command, capture_output=True, check=False)
        return ballast

    def fail(self) -> None:
        """As when ext4 finds the device broken: from now on it can only be read."""
        self.run("mount", "-o", "remount,abort", str(self.path))

    def mend(self) -> None:
        """After `fail`, with no broker on it: checked, and mounted again as it is."""
        self.run("umount", str(self.path))
        # 1 says that it mended something, as it was asked to.
        subprocess.run(["e2fsck", "-fy", str(self._image)], capture_output=True, check=False)
        self.run("mount", "-o", "loop", str(self._image), str(self.path))

    def close(self) -> None:
        """The mount is gone with its last process."""
        self._holder.communicate()


class SmallBroker:
    """`ottla up` on a small disk."""

    def __init__(self, disk: SmallDisk, directory: Path, settings: Sequence[str] = ()) -> None:
        self._disk = disk
        self._state = directory / "state"
        self._settings = [word for one in settings for word in ("--set", one)]
        self.said: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self.bootstrap_servers = ""
        self.health_url = ""
        self._hears = threading.Condition()

    def start(self) -> bool:
        """Whether it is ready; if not, it has ended and `said` tells why."""
        command = [sys.executable, "-m", "ottla.cli.main", "up", "--bare", "--port", "0"]
        command += ["--data-dir", str(self._disk.path / "data"), *self._settings]
        self._process = subprocess.Popen(
            self._disk.inside("env", f"--chdir={ROOT}", *command),
            env={**os.environ, "OTTLA_STATE_DIR": str(self._state)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        self.said = []
        for line in self._process.stdout:
            self._hear(line)
            if "Ctrl-C" in line:
                break
        else:
            self._process.stdout.close()
            self._process.wait()
            self._process = None
            return False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return True

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._hear(line)

    def _hear(self, line: str) -> None:
        with self._hears:
            self.said.append(line.strip())
            words = line.split()
            if words[:2] == ["broker", "metrics"]:
                self.health_url = words[2].replace("/metrics", "/health")
            elif words[:1] == ["broker"]:
                self.bootstrap_servers = words[1]
            self._hears.notify_all()

    def wait_for_word(self, word: str) -> None:
        """It has said a line with this in it."""
        with self._hears:
            is_said = self._hears.wait_for(lambda: any(word in line for line in self.said), LIMIT_S)
        assert is_said, self.said

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ctrl-C, and the exit status."""
        return self._end(signal.SIGINT)

    def _end(self, with_signal: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(with_signal)
        status = self._process.wait(LIMIT_S)
        self._listener.join()
        self._process = None
        return status

    def close(self) -> None:
        if self._process is not None:
            self.kill()

"""The platform's processes beside the broker: started, watched, stopped in order.

A part with doors prints one line for each when it is ready, `Name  address`,
or all of them as one JSON object. Whatever else it says before that is for the
person who starts it; what it says later goes to its log only.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ottla.engine.parent import end_with_parent

#: Of a part that hangs; the console of a small busy machine needs most of it.
READY_LIMIT_S: Final = 45.0

_DOOR: Final = re.compile(r"(\S.*?)\s{2,}(https?://\S+)")


class Child:
    """A process of the platform; `doors` are (name, address) once it is ready."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path | None) -> None:
        self.name = name
        self.process = process
        self.log = log
        self.doors: list[tuple[str, str]] = []
        #: What it said before it was ready.
        self.remarks: list[str] = []
        self.is_stopping = False
        self._is_ready = asyncio.Event()
        self._copying: asyncio.Task[None] | None = None
        if log is not None:
            self._copying = asyncio.create_task(self._copy(log))

    async def _copy(self, log: Path) -> None:
        """Everything the process says goes to its log; doors and remarks are taken from it."""
        output = self.process.stdout
        assert output is not None
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            while line := await output.readline():
                file.write(line)
                file.flush()
                if not self._is_ready.is_set():
                    self._read_early(line.decode(errors="replace").strip())
        self._is_ready.set()

    def _read_early(self, line: str) -> None:
        match = _DOOR.fullmatch(line)
        if match:
            self.doors.append((match[1], match[2]))
        elif line.startswith("{"):
            self.doors = list(json.loads(line).items())
        elif line:
            self.remarks.append(line)
        if self.doors:
            self._is_ready.set()

    async def wait_for_ready(self) -> None:
        """Return when it has doors, has ended, or takes too long."""
        try:
            async with asyncio.timeout(READY_LIMIT_S):
                await self.wait_until_ready()
        except TimeoutError:
            pass

    async def wait_until_ready(self) -> None:
        """Return when it has doors, however long that takes, or has ended."""
        await self._is_ready.wait()

    async def stop(self, timeout_s: float) -> None:
        """Ask it to end; end it after `timeout_s`."""
        self.is_stopping = True
        if self.process.returncode is None:
            try:
                self.process.terminate()
                async with asyncio.timeout(timeout_s):
                    await self.process.wait()
            except ProcessLookupError:
                pass
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        if self._copying is not None:
            self._copying.cancel()


async def start(
    name: str, words: Sequence[str], *, log: Path | None, environment: dict[str, str]
) -> Child:
    """Run `ottla WORDS…`; with a log it has no terminal, without one it has ours.

    A process with a log is in a session of its own, so that Ctrl-C reaches it
    only through us, in order.
    """
    output = None if log is None else subprocess.PIPE
    # A test that started us is not the console's: NiceGUI would take itself for its subject.
    inherited = {k: v for k, v in environment.items() if k != "PYTEST_CURRENT_TEST"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ottla.cli.main",
        *words,
        stdin=None if log is None else subprocess.DEVNULL,
        stdout=output,
        stderr=None if log is None else subprocess.STDOUT,
        env={**inherited, "PYTHONUNBUFFERED": "1"},
        start_new_session=log is not None,
        preexec_fn=end_with_parent(),
    )
    return Child(name, process, log)

"""The platform's processes beside the broker: started, watched, stopped in order.

A part that has an address says so when it is ready: one line `name<TAB>address`
for each door, written to the descriptor in OTTLA_READY_FD, which it then closes.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

READY_FD_VARIABLE: Final = "OTTLA_READY_FD"
READY_LIMIT_S: Final = 10.0

_PR_SET_PDEATHSIG: Final = 1


@dataclass
class Child:
    """A process of the platform; `doors` are (name, address) once it is ready."""

    name: str
    process: asyncio.subprocess.Process
    log: Path | None
    doors: list[tuple[str, str]] = field(default_factory=list)
    is_stopping: bool = False

    async def stop(self, timeout_s: float) -> None:
        """Ask it to end; end it after `timeout_s`."""
        self.is_stopping = True
        if self.process.returncode is not None:
            return
        try:
            self.process.terminate()
        except ProcessLookupError:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def start(
    name: str,
    words: Sequence[str],
    *,
    log: Path | None,
    environment: dict[str, str],
    waits_for_ready: bool = False,
) -> Child:
    """Run `ottla WORDS…`; with a log it has no terminal, without one it has ours.

    A process with a log is in a session of its own, so that Ctrl-C reaches it
    only through us, in order.
    """
    variables = dict(environment)
    receive = send = -1
    if waits_for_ready:
        receive, send = os.pipe()
        variables[READY_FD_VARIABLE] = str(send)
    output = None if log is None else _open_log(log)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ottla.cli.main",
            *words,
            stdin=None if log is None else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=variables,
            pass_fds=(send,) if waits_for_ready else (),
            start_new_session=log is not None,
            preexec_fn=_die_with_parent(),
        )
    finally:
        if output is not None:
            os.close(output)
        if send >= 0:
            os.close(send)
    child = Child(name, process, log)
    if waits_for_ready:
        child.doors = await _read_doors(receive)
    return child


def _open_log(log: Path) -> int:
    log.parent.mkdir(parents=True, exist_ok=True)
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


async def _read_doors(descriptor: int) -> list[tuple[str, str]]:
    """The lines a part writes when it is ready; none if it ends or takes too long."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        async with asyncio.timeout(READY_LIMIT_S):
            text = (await reader.read()).decode()
    except TimeoutError:
        text = ""
    finally:
        transport.close()
    return [
        (name, address) for name, _, address in (row.partition("\t") for row in text.splitlines())
    ]


def _die_with_parent() -> Callable[[], None] | None:
    """What a child runs first: ask Linux to end it when we are killed."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)

    def ask() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask

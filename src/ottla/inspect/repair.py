"""Mends what can be mended in a data directory, and keeps every byte.

What a start can build again is renamed to `NAME.damaged`; what follows the last
whole batch of a log is copied to such a file before it is cut off. A batch that
is damaged stays: nobody has its bytes, and it is not served.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ottla.inspect.verification import Problem, Remedy
from ottla.seams.real import RealFileSystem
from ottla.storage.identity import LOCK_FILE
from ottla.storage.log_directory import CLEAN_STOP_MARK

SUFFIX = ".damaged"


class InUseError(Exception):
    """A broker owns the directory."""


def repair(directory: Path, problems: Iterable[Problem]) -> Iterator[str]:
    """Mend what has a remedy; yields what was done, a sentence each.

    The next start then looks at everything as after a crash. Raises `InUseError`, with nothing
    touched, and `OSError`.
    """
    lock = RealFileSystem().lock(str(directory / LOCK_FILE))
    if lock is None:
        raise InUseError(f"{directory} is in use by a broker; stop it first")
    try:
        done: set[Path] = set()
        for problem in problems:
            if problem.remedy is Remedy.NONE or problem.path in done:
                continue
            done.add(problem.path)
            yield _mend(problem)
        mark = directory / CLEAN_STOP_MARK
        if done and mark.exists():
            mark.rename(_free_name(mark))
    finally:
        lock.release()


def _mend(problem: Problem) -> str:
    path, kept = problem.path, _free_name(problem.path)
    if problem.remedy is Remedy.SET_ASIDE:
        path.rename(kept)
        return f"{path} is {kept.name} now; the next start builds it again."
    assert problem.position is not None
    data = path.read_bytes()[problem.position :]
    kept.write_bytes(data)
    with path.open("r+b") as file:
        file.truncate(problem.position)
    return f"{path} ends with its last whole batch; {len(data)} bytes are in {kept.name}."


def _free_name(path: Path) -> Path:
    """A name beside `path` that nothing has."""
    wanted = path.with_name(path.name + SUFFIX)
    number = 1
    while wanted.exists():
        number += 1
        wanted = path.with_name(f"{path.name}{SUFFIX}-{number}")
    return wanted

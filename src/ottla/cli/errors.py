"""What a command says when it cannot do what it was asked: one sentence.

The boundary of every command line is `exit_status_of`: whatever ends a tool
becomes a sentence on stderr and an exit status, never a traceback.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import Final, TextIO

#: What a shell expects of a program ended by Ctrl-C.
INTERRUPTED: Final = 130
#: Narrower terminals are written to as if they had these.
MIN_COLUMNS: Final = 20


class CommandError(Exception):
    """The command failed; the text is one sentence: what, where, what to do.

    `on_stdout` is for the sentences that Kafka's own tools print there, and
    that scripts look for there.
    """

    def __init__(self, sentence: str, *, status: int = 1, on_stdout: bool = False) -> None:
        super().__init__(sentence)
        self.status = status
        self.on_stdout = on_stdout


def note(text: str) -> None:
    """Tell the person at the terminal something that is not output."""
    print(fitted(f"note: {text}", sys.stderr), file=sys.stderr)


def fitted(text: str, out: TextIO) -> str:
    """The text broken between words where `out` is a terminal with fewer columns."""
    if not out.isatty():
        return text
    room = max(MIN_COLUMNS, shutil.get_terminal_size().columns)
    return "\n".join(
        # An address or a path stays whole, so that it can be copied.
        textwrap.fill(line, room - 1, break_long_words=False, break_on_hyphens=False)
        if len(line) >= room
        else line
        for line in text.split("\n")
    )


def flush_to_reader() -> None:
    """Flush stdout, and notice when its reader has gone although there is nothing to write.

    Errors: `BrokenPipeError`. Who waits for records in front of `| head -1`
    would never learn it otherwise.
    """
    sys.stdout.flush()
    if not hasattr(select, "poll"):
        return
    watch = select.poll()
    watch.register(sys.stdout.fileno(), 0)
    if any(events & (select.POLLERR | select.POLLHUP) for _, events in watch.poll(0)):
        raise BrokenPipeError


def exit_status_of(run: Callable[[], int]) -> int:
    """Run a command; returns its exit status, having said why where it failed.

    Whoever reads our output may leave at any time (`| head -1`): that is no error.
    """
    try:
        try:
            return run()
        except CommandError as error:
            out = sys.stdout if error.on_stdout else sys.stderr
            print(fitted(str(error), out), file=out)
            return error.status
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Nobody to tell, and Python's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0

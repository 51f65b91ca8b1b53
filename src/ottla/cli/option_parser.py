"""A parser of options with the manners of Kafka's tools.

As Kafka's do, they take long options only, never abbreviated, ignore words
that belong to no option, and end with status 1 on a wrong command line. They
differ on purpose in two things: a mistake is answered by one sentence instead
of the whole help text, and `--help` succeeds and goes to stdout.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ottla.cli.errors import CommandError, note


class OptionParser(argparse.ArgumentParser):
    """An `ArgumentParser` for one of the Kafka-named tools."""

    def __init__(self, tool: str, description: str) -> None:
        super().__init__(
            prog=tool, description=description, allow_abbrev=False, add_help=False, usage=None
        )
        self.add_argument("--help", action="help", help="show this text and exit")
        self.add_argument(
            "--version", action=_PrintVersion, nargs=0, help="show the version and exit"
        )
        self.retired: dict[str, str] = {}

    def error(self, message: str) -> NoReturn:
        """End with one sentence instead of argparse's usage block and status 2."""
        raise CommandError(f"{self.prog}: {message}. See {self.prog} --help.")

    def flag(self, name: str, help_text: str) -> None:
        """Add an option without a value."""
        self.add_argument(name, action="store_true", help=help_text)

    def value(
        self,
        name: str,
        help_text: str,
        *,
        metavar: str = "VALUE",
        type_: Callable[[str], Any] = str,
        default: Any = None,
    ) -> None:
        """Add an option with one value."""
        self.add_argument(name, metavar=metavar, help=help_text, type=type_, default=default)

    def values(self, name: str, help_text: str, *, metavar: str = "VALUE") -> None:
        """Add an option that may be given several times; its value is a list."""
        self.add_argument(name, metavar=metavar, help=help_text, action="append", default=[])

    def optional_value(self, name: str, help_text: str, *, metavar: str = "VALUE") -> None:
        """Add an option whose value may be left out; without it the value is ''."""
        self.add_argument(name, metavar=metavar, help=help_text, nargs="?", const="")

    def retire(self, name: str, remark: str, *, takes_value: bool = True) -> None:
        """Accept an option of long ago; when it is used, `remark` goes to stderr."""
        self.retired[name] = remark
        if takes_value:
            self.add_argument(name, action="append", default=[], help=argparse.SUPPRESS)
        else:
            self.add_argument(name, action="store_true", help=argparse.SUPPRESS)

    def parse(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """Parse a command line; returns the options and the words that belong to none."""
        options, rest = self.parse_known_args(arguments)
        for word in rest:
            if word.startswith("-") and word != "-":
                self.error(f"{word.lstrip('-').partition('=')[0]} is not a recognized option")
        for name, remark in self.retired.items():
            if getattr(options, name.lstrip("-").replace("-", "_")):
                note(remark)
        return options, rest


class _PrintVersion(argparse.Action):
    """Print the version only when asked, so that nothing imports it otherwise."""

    def __call__(self, *_: object) -> NoReturn:
        from ottla import __version__

        print(f"Ottla {__version__}")
        sys.exit(0)

"""The `ottla` command: finds the verb and hands over to its module.

Only the module of the verb that was typed is loaded, so that each starts as
fast as it can. A verb's module has `add_arguments(parser)` and
`run(args) -> int`, the exit status; `args.typed` are all words, the verb first.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import textwrap
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, NamedTuple, NoReturn

from ottla import __version__
from ottla.cli.errors import CommandError, exit_status_of


class Verb(NamedTuple):
    """Where a verb lives, and the line `ottla --help` shows for it."""

    module: str
    summary: str
    is_listed: bool = True


VERBS: Final = {
    "up": Verb("ottla.cli.up", "start a durable broker (and the platform around it) here"),
    "ps": Verb("ottla.cli.ps", "list what is running: name, address, state, memory"),
    "down": Verb("ottla.cli.down", "stop what is running, in order"),
    "reset": Verb("ottla.cli.reset", "delete a stopped broker's data"),
    "run": Verb("ottla.cli.run", "run a command with a throw-away broker beside it"),
    "topics": Verb("ottla.cli.verbs.topics", "list, describe, create and delete topics"),
    "produce": Verb("ottla.cli.verbs.produce", "send records: lines, JSON, files"),
    "consume": Verb("ottla.cli.verbs.consume", "read records, with filters and formats"),
    "groups": Verb("ottla.cli.verbs.groups", "groups: offsets, lag, members, seek"),
    "configs": Verb("ottla.cli.verbs.configs", "show and change configurations"),
    "offsets": Verb("ottla.cli.verbs.offsets", "where partitions begin and end"),
    "acls": Verb("ottla.cli.verbs.acls", "who may do what"),
    "sql": Verb("ottla.cli.verbs.sql", "query topics as tables"),
    "search": Verb("ottla.cli.verbs.search", "find text in whole topics"),
    "plan": Verb("ottla.cli.verbs.plan", "measure, and say how many partitions"),
    "verify": Verb("ottla.cli.verbs.verify", "check a data directory, off-line"),
    "doctor": Verb("ottla.cli.verbs.doctor", "find what usually hurts"),
    "context": Verb("ottla.cli.verbs.context", "names for clusters"),
    "completion": Verb("ottla.cli.verbs.completion", "completion for bash, zsh and fish"),
    "complete": Verb("ottla.cli.verbs.complete", "what could come next, for them", False),
    "demo": Verb("ottla.cli.demo", "run a demo: analytics, hello, services, …"),
    "lab": Verb("ottla.cli.lab", "experiments that check what they show: groups, acks, …"),
    "dash": Verb("ottla.cli.dash", "the live dashboard of the analytics demo"),
    "cluster": Verb("ottla.cli.cluster", "Apache Kafka on this machine: three brokers, or more"),
    "move": Verb("ottla.cli.move", "take topics, records and offsets to another Kafka"),
    "gateway": Verb("ottla.gateway.command", "HTTP doors: REST Proxy, Burrow, metrics"),
    "dashboards": Verb("ottla.gateway.dashboards_command", "Grafana dashboards to import"),
    "console": Verb("ottla.console.command", "the web console"),
    "chaos": Verb("ottla.cli.chaos", "a proxy in front of a broker that is slow, cuts, drops"),
    "secure": Verb("ottla.cli.secure", "make certificates, users and a configuration with both"),
    "dlq": Verb("ottla.cli.dlq", "inspect and replay dead letters"),
    "api-coverage": Verb("ottla.cli.api_coverage", "APIs served, beside Apache Kafka's"),
    "shell": Verb("ottla.cli.shell", "an interactive shell with completion"),
    "version": Verb("ottla.cli.version", "print the version"),
}

#: How the overview groups the verbs; those in no chapter come last.
_CHAPTERS: Final = {
    "A broker here": ("up", "ps", "down", "reset", "run", "cluster"),
    "Look and change": (
        "topics", "produce", "consume", "groups", "configs", "offsets", "acls", "sql", "search",
        "move", "shell", "context",
    ),
    "See it at work": ("demo", "dash", "lab", "console", "gateway"),
    "Find out": ("plan", "verify", "doctor", "dlq", "api-coverage", "chaos"),
}  # fmt: skip

#: What `pip install ottla` leaves out, and the extra that brings it.
_EXTRA_OF: Final = {"mimesis": "demos", "rich": "demos", "textual": "demos"}

_EPILOG: Final = """\
Kafka's own tools come along: kafka-topics, kafka-console-producer,
kafka-console-consumer, kafka-consumer-groups and more.
`ottla VERB --help` tells about one verb."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence and points to --help."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", HelpWithExamples)
        super().__init__(**settings)

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{self.prog}: {message} (see {self.prog} --help)", status=2)


def main(words: Sequence[str] | None = None) -> int:
    """Run `ottla VERB …`; returns the process's exit status."""
    arguments = list(sys.argv[1:] if words is None else words)
    return exit_status_of(lambda: _run(arguments))


def available() -> dict[str, Verb]:
    """The verbs whose module is installed."""
    return {name: verb for name, verb in VERBS.items() if find_spec(verb.module) is not None}


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        if len(arguments) == 2 and arguments[0] == "help":
            return _run([arguments[1], "--help"])
        print(_overview())
        return 0 if arguments else 2
    name, *rest = arguments
    if name in ("-V", "--version"):
        name = "version"
    verb = VERBS.get(name)
    if verb is None or find_spec(verb.module) is None:
        raise CommandError(_unknown(name), status=2)
    try:
        return _hand_over(name, verb, rest)
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise CommandError(
            f"ottla {name} needs {error.name}; install it with: pip install 'ottla[{extra}]'"
        ) from None


def _hand_over(name: str, verb: Verb, rest: list[str]) -> int:
    module = import_module(verb.module)
    parser = Parser(
        prog=f"ottla {name}",
        description=getattr(module, "DESCRIPTION", f"{verb.summary[0].upper()}{verb.summary[1:]}."),
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    try:
        parsed = parser.parse_args(rest)
    except SystemExit as end:  # argparse has printed the help
        return int(end.code or 0)
    parsed.typed = [name, *rest]
    status: int = module.run(parsed)
    return status


class HelpWithExamples(argparse.RawDescriptionHelpFormatter):
    """Leaves the paragraphs of a description as they are where they fit.

    Of a command line with a remark behind it that does not fit, the remark goes below.
    What an option takes is said once, however many names it has.
    """

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        taken = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {taken}"

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled = self._filled(text, width - len(indent))
        return "\n".join(f"{indent}{line}".rstrip() for line in filled.splitlines())

    def _filled(self, text: str, width: int) -> str:
        lines: list[str] = []
        for paragraph in text.rstrip("\n").split("\n\n"):
            found = paragraph.splitlines()
            if all(len(line) <= width for line in found):
                lines += found
            elif any(line.startswith(" ") for line in found):
                for line in found:
                    lines += self._command_line(line, width)
            else:
                lines += textwrap.wrap(" ".join(found), width)
            lines.append("")
        return "\n".join(lines[:-1])

    @staticmethod
    def _command_line(line: str, width: int) -> list[str]:
        command, remark = (*re.split(" {2,}", line.strip(), maxsplit=1), "")[:2]
        if len(line) <= width:
            return [line]
        if not line.startswith(" "):
            return textwrap.wrap(line, width)
        if not remark:
            return [line]  # to be copied whole
        below = " " * 6
        return [
            f"  {command}",
            *textwrap.wrap(remark.strip(), width, initial_indent=below, subsequent_indent=below),
        ]


def _overview() -> str:
    lines = [f"Ottla {__version__}: the whole Kafka platform on this machine.", ""]
    lines += ["usage: ottla VERB …"]
    listed = {name: verb for name, verb in available().items() if verb.is_listed}
    width = max(map(len, listed)) + 2
    for title, first in _CHAPTERS.items():
        names = [name for name in first if name in listed]
        lines += ["", f"{title}:"] if names else []
        lines += [f"  {name:<{width}}{listed.pop(name).summary}" for name in names]
    lines += ["", "And:"] if listed else []
    lines += [f"  {name:<{width}}{verb.summary}" for name, verb in listed.items()]
    return "\n".join([*lines, "", _EPILOG])


def _unknown(name: str) -> str:
    names = [name for name, verb in available().items() if verb.is_listed]
    near = difflib.get_close_matches(name, names, 1)
    hint = f"Did you mean `ottla {near[0]}`?" if near else f"Verbs are: {', '.join(names)}."
    return f"ottla: there is no verb {name!r}. {hint}"


if __name__ == "__main__":
    sys.exit(main())

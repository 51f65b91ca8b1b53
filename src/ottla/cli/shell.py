"""`ottla shell`: every verb and every Kafka-named tool, with a menu of what could come next."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ottla.cli.completing import Candidate, ClusterNames, candidates, kafka_tools, parser_of
from ottla.cli.connection_options import CONFIG_VARIABLE, ENVIRONMENT_VARIABLE
from ottla.cli.contexts import Context, load_contexts
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.main import VERBS
from ottla.cli.main import main as ottla
from ottla.cli.verbs.connection import add_connection_arguments, connection_of

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completion
    from prompt_toolkit.document import Document
    from prompt_toolkit.key_binding import KeyBindings

DESCRIPTION = """\
A shell for a cluster: the verbs without `ottla`, and Kafka's tools as they are
typed in tutorials. Tab completes; F2 next cluster, F3 fuzzy, F9 help, F10 end.
Live views (consume, sql --follow, --watch of topics, groups and offsets) end
with Ctrl-C. Pipes and redirections work, and know the cluster, too.
"""

#: What only the shell knows.
BUILTINS: Final = (
    Candidate("use", "another cluster: a context, or HOST:PORT"),
    Candidate("help", "the verbs, or one of them"),
    Candidate("clear", "an empty screen"),
    Candidate("exit", "leave"),
)
#: Words that tutorials put in front of a tool.
PREFIXES: Final = ("ottla", "$", "sudo")
#: Words of a line that the system's own shell has to understand.
OPERATORS: Final = frozenset({"|", "||", "&&", ";", ">", ">>", "<", "&"})
#: Verbs that make no sense inside.
OUTSIDE: Final = frozenset({"shell", "complete"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_connection_arguments(parser)
    parser.add_argument("--vi", action="store_true", help="keys as in vi")
    parser.add_argument("-e", "--execute", action="append", metavar="LINE", help="run a line, end")


def run(args: argparse.Namespace) -> int:
    """Read and run lines until exit or Ctrl-D; returns the last status with --execute."""
    shell = Shell(args)
    if args.execute or not sys.stdin.isatty():
        status = 0
        for line in args.execute or sys.stdin:
            try:
                status = shell.run_line(line)
            except EOFError:
                break
        return status
    return shell.run_terminal(vi=args.vi)


class Shell:
    """The state of a session: which cluster, and what was asked of it."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._clusters: dict[str, Context] = dict(load_contexts().by_name)
        connection = connection_of(args)
        name = args.context or next(
            (
                name
                for name, context in self._clusters.items()
                if context.bootstrap_servers == connection.servers
            ),
            connection.servers,
        )
        self._clusters[name] = Context(connection.servers, connection.properties)
        self._properties_file: Any = None
        self.fuzzy = False
        self.help = False
        self.names = ClusterNames(self._options)
        self.use(name)

    def use(self, name: str) -> None:
        """Mean another cluster from now on. Errors: `CommandError`.

        The environment says so, which programs in pipes see as well.
        """
        if name not in self._clusters:
            if ":" not in name:
                load_contexts().named(name)
            self._clusters[name] = Context(name)
        self.current = name
        context = self._clusters[name]
        os.environ[ENVIRONMENT_VARIABLE] = context.bootstrap_servers
        self._hand_on(context.properties)
        self.names.forget()

    def _hand_on(self, properties: Mapping[str, str]) -> None:
        """Name a file of these properties to every command; only its owner can read it."""
        if self._properties_file is not None:
            self._properties_file.close()
        self._properties_file = None
        os.environ.pop(CONFIG_VARIABLE, None)
        if not properties:
            return
        self._properties_file = tempfile.NamedTemporaryFile(  # noqa: SIM115, as long as we live
            "w", prefix="ottla-", suffix=".properties"
        )
        for key, value in properties.items():
            escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
            self._properties_file.write(f"{key}={escaped}\n")
        self._properties_file.flush()
        os.environ[CONFIG_VARIABLE] = self._properties_file.name

    def use_next(self) -> None:
        """The next of the clusters, round and round."""
        names = list(self._clusters)
        self.use(names[(names.index(self.current) + 1) % len(names)])

    @property
    def context(self) -> Context:
        return self._clusters[self.current]

    def _options(self) -> argparse.Namespace:
        properties = [f"{key}={value}" for key, value in self.context.properties.items()]
        return argparse.Namespace(
            bootstrap_servers=self.context.bootstrap_servers,
            context=None,
            command_config=None,
            command_property=properties,
        )

    def run_line(self, line: str) -> int:
        """Run one line as it was typed; returns its status."""
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            print(f"This line does not end: {error}.", file=sys.stderr)
            return 2
        while words and words[0] in PREFIXES:
            words = words[1:]
        if not words:
            return 0
        if OPERATORS & set(shlex.shlex(line, posix=True, punctuation_chars=True)):
            return self._run_outside(line)
        return exit_status_of(lambda: self._run(words))

    def _run(self, words: list[str]) -> int:
        command, *rest = words
        if command in ("exit", "quit"):
            raise EOFError
        if command == "use":
            if not rest:
                for name, context in self._clusters.items():
                    mark = "*" if name == self.current else " "
                    print(f"{mark} {name}  {context.bootstrap_servers}")
                return 0
            self.use(rest[0])
            return 0
        if command == "clear":
            print("\x1b[H\x1b[2J", end="")
            return 0
        tool = command.removesuffix(".sh").rpartition("/")[2]
        module = kafka_tools().get(tool)
        if module is not None and tool not in ("kafka-shell",):
            run_tool = getattr(import_module(module), "run", None)
            if run_tool is not None:
                return int(run_tool(rest))
            return self._run_outside(shlex.join([tool, *rest]))
        if command in OUTSIDE:
            raise CommandError(f"You are inside already; `{command}` has nothing to do here.")
        return ottla([command, *rest])

    def _run_outside(self, line: str) -> int:
        """Give a line with pipes to the system's shell, where verbs need their `ottla`."""
        here = str(Path(sys.executable).parent)
        environment = {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ.get('PATH', '')}"}
        lexer = shlex.shlex(line, posix=False, punctuation_chars=True)
        lexer.whitespace_split = True
        words, is_first = [], True
        for word in lexer:
            words.append(f"ottla {word}" if is_first and word in VERBS else word)
            is_first = word in OPERATORS
        try:
            done = subprocess.run(["bash", "-c", " ".join(words)], env=environment, check=False)
        except KeyboardInterrupt:
            return 130
        return done.returncode

    def complete(self, text: str) -> list[tuple[Candidate, int]]:
        """Candidates for the last word of a text, and how many characters each replaces."""
        words, current = split_for_completion(text)
        while words and words[0] in PREFIXES:
            words = words[1:]
        wanted = "" if self.fuzzy else current
        if words == ["use"]:
            found = [Candidate(name, c.bootstrap_servers) for name, c in self._clusters.items()]
            found = [c for c in found if c.text.startswith(wanted)]
        elif words == ["help"]:
            found = [c for c in candidates([], wanted, self.names) if c.text in VERBS]
        else:
            found = candidates(words, wanted, self.names, builtins=() if words else BUILTINS)
        return [(candidate, len(current)) for candidate in found]

    def help_for(self, text: str) -> str:
        """One line on the last flag or command of a text."""
        words, current = split_for_completion(text)
        for word in reversed([*words, current]):
            if word in VERBS:
                return f"{word}: {VERBS[word].summary}"
            if word.startswith("-") and words:
                parser = parser_of(words[0])
                action = parser._option_string_actions.get(word) if parser else None
                if action is not None and action.help:
                    return f"{word}: {action.help}"
        return "type a verb; Tab shows them all"

    def run_terminal(self, *, vi: bool) -> int:
        """The prompt, until Ctrl-D."""
        session = self._session(vi=vi)
        print("Tab completes, `help` lists the verbs, Ctrl-D leaves.")
        while True:
            try:
                line = session.prompt()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return 0
            try:
                self.run_line(line)
            except EOFError:
                return 0
            except SystemExit:
                continue
            finally:
                self.names.forget()

    def _session(self, *, vi: bool) -> PromptSession[str]:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
        from prompt_toolkit.completion import DynamicCompleter, FuzzyCompleter, ThreadedCompleter
        from prompt_toolkit.history import FileHistory
        from prompt_toolkit.styles import Style

        plain = ThreadedCompleter(_completer(self))
        fuzzy = FuzzyCompleter(plain)
        return PromptSession(
            message=lambda: [("class:cluster", self.current), ("", " › ")],
            completer=DynamicCompleter(lambda: fuzzy if self.fuzzy else plain),
            complete_while_typing=True,
            auto_suggest=AutoSuggestFromHistory(),
            history=FileHistory(str(history_file())),
            key_bindings=_key_bindings(self),
            bottom_toolbar=lambda: self._toolbar(session_text()),
            enable_history_search=False,
            vi_mode=vi,
            style=Style.from_dict({"cluster": "bold ansicyan", "bottom-toolbar": "noreverse dim"}),
        )

    def _toolbar(self, text: str) -> str:
        if self.help:
            return self.help_for(text)[:200]
        fuzzy = "on" if self.fuzzy else "off"
        more = f" ({len(self._clusters)})" if len(self._clusters) > 1 else ""
        return f"F2 cluster{more}  F3 fuzzy {fuzzy}  F9 help  F10 exit   Ctrl-R history"


def split_for_completion(text: str) -> tuple[list[str], str]:
    """The whole words of a text, and the one that is being typed; pipes begin anew."""
    for operator in ("&&", "||", "|", ";"):
        text = text.rpartition(operator)[2]
    text = text.lstrip()
    head, blank, current = text.rpartition(" ")
    if not blank:
        return [], text
    try:
        return shlex.split(head), current
    except ValueError:
        return head.split(), current


def history_file() -> Path:
    """Where the lines of earlier sessions are; made when it is not there."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    path = Path(base) / "ottla" / "history"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def session_text() -> str:
    """What stands at the prompt right now."""
    from prompt_toolkit.application import get_app

    return get_app().current_buffer.document.text_before_cursor


def _completer(shell: Shell) -> Any:
    from prompt_toolkit.completion import Completer, Completion

    class ShellCompleter(Completer):
        """Hands the shell's candidates to prompt-toolkit."""

        def get_completions(
            self, document: Document, complete_event: CompleteEvent
        ) -> Iterable[Completion]:
            del complete_event
            for candidate, length in shell.complete(document.text_before_cursor):
                meaning = " ".join(candidate.meaning.split())
                yield Completion(candidate.text, -length, display_meta=meaning[:60])

    return ShellCompleter()


def _key_bindings(shell: Shell) -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    bindings = KeyBindings()

    @bindings.add("tab")
    def _complete(event: KeyPressEvent) -> None:
        """The only candidate is taken at once, even while those for the last key are sought."""
        buffer = event.current_buffer
        found = [] if shell.fuzzy or buffer.complete_state else shell.complete(session_text())
        if len(found) == 1:
            candidate, length = found[0]
            buffer.delete_before_cursor(length)
            buffer.insert_text(candidate.text)
        elif buffer.complete_state:
            buffer.complete_next()
        else:
            buffer.start_completion(insert_common_part=True)

    @bindings.add("f2")
    def _next_cluster(event: KeyPressEvent) -> None:
        shell.use_next()
        event.app.invalidate()

    @bindings.add("f3")
    def _toggle_fuzzy(event: KeyPressEvent) -> None:
        shell.fuzzy = not shell.fuzzy
        event.app.invalidate()

    @bindings.add("f9")
    def _toggle_help(event: KeyPressEvent) -> None:
        shell.help = not shell.help
        event.app.invalidate()

    @bindings.add("f10")
    def _leave(event: KeyPressEvent) -> None:
        event.app.exit(exception=EOFError)

    return bindings

"""`ottla complete`: what the completion of bash, zsh and fish asks."""

from __future__ import annotations

import argparse

from ottla.cli.completing import ClusterNames, candidates
from ottla.cli.verbs.connection import add_connection_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--meanings", action="store_true", help="a tab and the meaning as well")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- WORD…")


def run(args: argparse.Namespace) -> int:
    """Print what the last word could become, one per line; never fails."""
    words = [word for word in args.words if word != "--"] or [""]
    *before, current = words
    if before[:1] == ["ottla"]:
        before = before[1:]
    for candidate in candidates(before, current, ClusterNames(lambda: _options(before))):
        meaning = " ".join(candidate.meaning.split())
        print(f"{candidate.text}\t{meaning}" if args.meanings and meaning else candidate.text)
    return 0


def _options(words: list[str]) -> argparse.Namespace:
    """Where the command line so far says that the cluster is."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    add_connection_arguments(parser)
    return parser.parse_known_args(words)[0]

"""`ottla reset`: delete the data of a stopped broker."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Final

from ottla.cli import instances
from ottla.cli.errors import CommandError

DEFAULT_DATA_DIRECTORY: Final = "ottla-data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(DEFAULT_DATA_DIRECTORY),
        metavar="DIR",
        help=f"the data to delete (default ./{DEFAULT_DATA_DIRECTORY})",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    """Delete the directory, after asking; refuses what is in use and what is not Ottla's."""
    directory: Path = args.data_dir
    if not directory.exists():
        print(f"There is no data in {directory}.")
        return 0
    instance = instances.find_by_directory(directory)
    if instance is not None:
        raise CommandError(
            f"{directory} is in use by {instance.name} (process {instance.pid}); "
            "stop it first: ottla down"
        )
    _check_is_ours(directory)
    if not args.yes:
        _ask(directory)
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise CommandError(f"{directory} cannot be deleted: {error.strerror}") from None
    print(f"{directory} is gone; `ottla up` starts from nothing.")
    return 0


def _check_is_ours(directory: Path) -> None:
    try:
        text = (directory / "meta.properties").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    if "ottla" not in text:
        raise CommandError(f"{directory} was not written by Ottla; it is left alone.")


def _ask(directory: Path) -> None:
    if not sys.stdin.isatty():
        raise CommandError(f"To delete {directory} without being asked, add --yes.")
    size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    answer = input(f"Delete all topics and records in {directory} ({size / 1e6:.1f} MB)? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise CommandError("Nothing was deleted.")

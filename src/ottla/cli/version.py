"""`ottla version`."""

from __future__ import annotations

import argparse
import platform

from ottla import __version__


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(args: argparse.Namespace) -> int:
    """Print what is installed."""
    print(f"ottla {__version__} (Python {platform.python_version()}, {platform.system()})")
    return 0

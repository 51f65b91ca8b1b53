"""The `ottla` command: finds the verb and hands over to its module."""

from __future__ import annotations

import sys


def main() -> int:
    """Run `ottla VERB …`; returns the process's exit status."""
    print("usage: ottla VERB …", file=sys.stderr)
    return 2

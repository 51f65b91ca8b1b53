"""What can go wrong with a move."""

from __future__ import annotations


class MoveError(Exception):
    """The move cannot go on; the text is one sentence: what, where, what to do."""

"""Why a server does not start, in one sentence a person can act on."""

from __future__ import annotations


class StartError(Exception):
    """The server cannot start or go on; the message is the whole explanation."""

"""Opens and closes the broker on the real disk, and says in a sentence why it cannot."""

from __future__ import annotations

import errno
import os

from ottla.broker.broker import Broker
from ottla.broker.config import BrokerConfig
from ottla.broker.effects import Effects
from ottla.broker.topics import MetadataFormatError
from ottla.seams.real import RealFileSystem
from ottla.server.clock import mono_ms, wall_ms
from ottla.server.errors import StartError
from ottla.storage.errors import StorageError


def open_core(config: BrokerConfig, effects: Effects) -> Broker:
    """The broker with its directory taken and recovered. Raises StartError."""
    path = os.path.abspath(config.log_directory)
    try:
        return Broker.open(config, RealFileSystem(), effects, os.urandom, wall_ms(), mono_ms())
    except (StorageError, MetadataFormatError) as error:
        raise StartError(str(error)) from None
    except OSError as error:
        raise StartError(_sentence(path, error)) from None


def _sentence(path: str, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"the disk of {path} is full; free some space and start again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.filename or path} cannot be written: {error.strerror}"
    return f"data directory {path} cannot be used: {error.strerror or error}"

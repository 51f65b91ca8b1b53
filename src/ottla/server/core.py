"""Opens and closes the broker on the real disk, and says in a sentence why it cannot."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ottla.broker.broker import Broker
from ottla.broker.config import BrokerConfig
from ottla.broker.effects import Effects
from ottla.broker.topics import MetadataFormatError
from ottla.seams.real import RealFileSystem
from ottla.server.clock import fine_ms, mono_ms, wall_ms
from ottla.server.errors import StartError
from ottla.storage.errors import StorageError
from ottla.wire.errors import RequestError

#: num.recovery.threads.per.data.dir, had Kafka a useful default for it.
RECOVERY_THREADS: Final = 8


def open_core(config: BrokerConfig, effects: Effects) -> Broker:
    """The broker with its directory taken and recovered. Raises StartError."""
    path = os.path.abspath(config.log_directory)
    try:
        broker = Broker.open(
            config,
            RealFileSystem(),
            effects,
            os.urandom,
            wall_ms(),
            mono_ms(),
            _run_all,
            directory=path,
        )
    except (StorageError, MetadataFormatError) as error:
        raise StartError(str(error)) from None
    except OSError as error:
        raise StartError(_sentence(path, error)) from None
    broker.quotas.lend_clock(fine_ms)
    return broker


def _run_all(jobs: Sequence[Callable[[], None]]) -> None:
    """Recover logs at the same time: each waits for the disk far more than it works."""
    if not jobs:
        return
    with ThreadPoolExecutor(RECOVERY_THREADS, "recovery") as pool:
        for running in [pool.submit(job) for job in jobs]:
            running.result()


def create_topics(broker: Broker, config: BrokerConfig) -> None:
    """The topics of `ottla.create.topics` exist; those that did are left alone.

    Raises StartError for one that cannot be had.
    """
    for text in config.words("ottla.create.topics"):
        name, partitions, factor, policy = (*text.split(":"), "", "", "")[:4]
        if name in broker.metadata.topics:
            continue
        try:
            broker.topics.create(
                name,
                int(partitions or -1),
                int(factor or -1),
                {"cleanup.policy": policy} if policy else {},
            )
        except ValueError:
            raise StartError(
                f"topic {text!r} cannot be created: write name:partitions, as orders:3"
            ) from None
        except RequestError as error:
            raise StartError(f"topic {text!r} cannot be created: {error}") from None


def _sentence(path: str, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"the disk of {path} is full; free some space and start again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.filename or path} cannot be written: {error.strerror}"
    return f"data directory {path} cannot be used: {error.strerror or error}"

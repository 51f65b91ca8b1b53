"""A unit of work in a thread that HTTP requests start and stop.

When Kafka refuses it, as after a silence that cost a member its place in the group, it begins
again a second later: nobody but a request stops it.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any, Final

PAUSE_S: Final = 1.0


class Worker(ABC):
    """Runs `work` in a thread between `start` and `stop`, both idempotent.

    `state` is what `/` shows: whether it runs, its counters, its last failure.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.stopping = threading.Event()
        self.failure: str | None = None

    @abstractmethod
    def work(self) -> None:
        """Do the job until `self.stopping` is set; leave nothing half done."""

    @abstractmethod
    def counters(self) -> dict[str, Any]:
        """Numbers for the state."""

    @property
    def is_running(self) -> bool:
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self) -> bool:
        """It runs afterwards; returns whether it did not before."""
        with self._lock:
            if self.is_running:
                return False
            self.stopping.clear()
            self.failure = None
            self._thread = threading.Thread(target=self._run, name=type(self).__name__)
            self._thread.start()
            return True

    def _run(self) -> None:
        from confluent_kafka import KafkaException

        while not self.stopping.is_set():
            try:
                self.work()
            except KafkaException as error:
                self.failure = str(error.args[0])
                self.stopping.wait(PAUSE_S)

    def stop(self) -> bool:
        """It is finished afterwards, all in hand done; returns whether it ran."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return False
            self.stopping.set()
            thread.join()
            return True

    def state(self) -> dict[str, Any]:
        return {
            "state": "running" if self.is_running else "stopped",
            **self.counters(),
            "failure": self.failure,
        }

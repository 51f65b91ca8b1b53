"""A thread that looks at something of a cluster again and again, for as long as a page shows it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import Final

from ottla.client.cluster import Cluster
from ottla.client.errors import ClientError
from ottla.console.cluster import ClusterView
from ottla.console.raw import raw_client

#: Events that are kept.
EVENTS: Final = 60


class Watch(ABC):
    """Calls `look` every `pause_s` seconds between `start` and `close`, in a thread of its own."""

    def __init__(self, cluster: ClusterView, name: str, pause_s: float) -> None:
        self.cluster = cluster
        #: Why the last look failed; empty when it did not.
        self.problem = ""
        #: (time of the day in ms, sentence), newest first.
        self.events: deque[tuple[int, str]] = deque(maxlen=EVENTS)
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def look(self, client: Cluster) -> None:
        """Look once. A `ClientError` becomes the `problem`, and the next look follows."""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Look no more; returns when a look under way has ended."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        client = raw_client(self.cluster)
        try:
            while not self._stop.is_set():
                try:
                    self.look(client)
                    self.problem = ""
                except ClientError as error:
                    self.problem = str(error)
                self._stop.wait(self._pause_s)
        finally:
            client.close()

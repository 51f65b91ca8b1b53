"""What Kafka's two verifiable clients have in common: events as JSON lines, and a clean end."""

from __future__ import annotations

import json
import signal
import time

#: What a shell expects of a program ended by a signal, less the signal's number.
ENDED_BY_SIGNAL = 128


def print_event(name: str, **fields: object) -> None:
    """One line of JSON: when, what, and the fields."""
    event = {"timestamp": int(time.time() * 1000), "name": name, **fields}
    print(json.dumps(event, separators=(",", ":"), ensure_ascii=False), flush=True)


class Ending:
    """Remembers a request to end: SIGTERM or Ctrl-C."""

    def __init__(self) -> None:
        self._signal = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: object) -> None:
        self._signal = number

    @property
    def is_wanted(self) -> bool:
        """Whether one of the signals came."""
        return self._signal != 0

    @property
    def status(self) -> int:
        """The exit status that fits."""
        return ENDED_BY_SIGNAL + self._signal if self._signal else 0

"""The clocks of the broker, in milliseconds."""

from __future__ import annotations

import time


def wall_ms() -> int:
    """Milliseconds since 1970, for timestamps and retention; may jump."""
    return time.time_ns() // 1_000_000


def mono_ms() -> int:
    """Milliseconds of a clock that never jumps, for deadlines and time-outs."""
    return time.monotonic_ns() // 1_000_000


def fine_ms() -> float:
    """One that counts fractions, too, to measure how long something takes."""
    return time.perf_counter_ns() / 1_000_000

"""What work costs, in numbers that do not depend on the machine or on who else uses it."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

Work = Callable[[], object]


def instructions(work: Work, times: int = 20) -> float:
    """Bytecode instructions of one call of `work`, the mean of `times` calls.

    What C code does inside one instruction is not seen: `allocated` sees the
    worst of it, copies.
    """
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            count += 1
        return trace

    before = sys.gettrace()
    # What other tests have left would be finalized here, and count.
    gc.collect()
    gc.disable()
    sys.settrace(trace)
    try:
        for _ in range(times):
            work()
    finally:
        sys.settrace(before)
        gc.enable()
    return count / times


def allocated(work: Work) -> int:
    """Bytes that Python's memory grows by, at the worst moment of one call of `work`."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()

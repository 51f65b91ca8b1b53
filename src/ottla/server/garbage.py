"""How often the process of a broker looks for garbage that only a collector finds.

Requests leave none (`tests/budget` counts), so that Python's defaults, made for programs that
do, would look through everything alive again and again in vain: a tenth of the time with a
thousand busy partitions. For processes that are the broker's own; in somebody else's program the
collector is theirs.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Final

#: Objects made and not freed again before the young ones are looked at, and so on.
THRESHOLDS: Final = (50_000, 20, 100)


@contextlib.contextmanager
def collected_seldom() -> Iterator[None]:
    """Meanwhile; what is there already is not looked at before the end."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()

"""How often a process of ours looks for garbage that only a collector finds.

A broker's requests leave none (`tests/budget` counts), so that Python's defaults, made for
programs that do, would look through everything alive again and again in vain: a tenth of the
time with a thousand busy partitions. A console's pages leave some, but what it learns of
thousands of partitions every few seconds had the collector take half of its time. For processes
of our own; in somebody else's program the collector is theirs.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Final

#: Objects made and not freed again before the young ones are looked at, and so on.
THRESHOLDS: Final = (50_000, 20, 100)
#: Where closed pages are such garbage: some thousand objects each.
THRESHOLDS_WITH_PAGES: Final = (50_000, 10, 10)


@contextlib.contextmanager
def collected_seldom(thresholds: tuple[int, int, int] = THRESHOLDS) -> Iterator[None]:
    """Meanwhile; what is there already is not looked at before the end."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*thresholds)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()

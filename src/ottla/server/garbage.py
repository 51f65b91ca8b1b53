"""How often the process of a broker looks for garbage that only a collector finds.

Requests leave none (`tests/budget` counts), so that Python's defaults, made for programs that
do, would look through everything alive again and again in vain: a tenth of the time with a
thousand busy partitions. For processes that are the broker's own; in somebody else's program the
collector is theirs.
"""

from __future__ import annotations

import gc
from typing import Final

#: Objects made and not freed again before the young ones are looked at, and so on.
THRESHOLDS: Final = (50_000, 20, 100)


def collect_seldom() -> None:
    """From now on; whatever is there already is never looked at."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)

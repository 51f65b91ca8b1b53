"""How many users a shop has online at each hour of its day."""

from __future__ import annotations

from collections.abc import Sequence

HOURS_PER_DAY = 24

# Share of the peak at each full hour: about 10 % at night, a small peak in the morning,
# a dip at noon, the full peak in the evening. Their average is 0.521.
DEFAULT_FACTORS = (
    0.30, 0.18, 0.12, 0.10, 0.10, 0.14, 0.25, 0.42, 0.58, 0.66, 0.64, 0.55,
    0.45, 0.48, 0.55, 0.62, 0.68, 0.76, 0.86, 0.95, 1.00, 0.92, 0.72, 0.48,
)  # fmt: skip


class TrafficPattern:
    """A day of traffic: `factors[h]` is the share of the peak at h o'clock, linear in between.

    The interpolation is cyclic, so the average over a day is the average of the factors.
    """

    def __init__(self, factors: Sequence[float] = DEFAULT_FACTORS) -> None:
        if len(factors) != HOURS_PER_DAY:
            raise ValueError(f"a traffic pattern has {HOURS_PER_DAY} factors, not {len(factors)}")
        if any(not 0 <= factor <= 1 for factor in factors):
            raise ValueError("each factor of a traffic pattern lies between 0 and 1")
        if not any(factors):
            raise ValueError("a traffic pattern needs at least one factor above 0")
        self.factors = tuple(factors)

    @property
    def average(self) -> float:
        return sum(self.factors) / HOURS_PER_DAY

    def factor(self, hour: float) -> float:
        """Share of the peak at `hour`, a time of day in hours; any number is taken modulo 24."""
        hour %= HOURS_PER_DAY
        before = int(hour)
        after = (before + 1) % HOURS_PER_DAY
        share = hour - before
        return self.factors[before] * (1 - share) + self.factors[after] * share

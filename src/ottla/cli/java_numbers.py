"""Numbers as Java prints them."""

from __future__ import annotations

import math
from decimal import Decimal


def double_text(value: float) -> str:
    """A double as Java's `Double.toString`: 1024.0, but 1.0E7."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return str(value)
    if not 1e-3 <= abs(value) < 1e7:
        sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
        assert isinstance(exponent, int)
        power = exponent + len(digits) - 1
        fraction = "".join(map(str, digits[1:])) or "0"
        return f"{'-' if sign else ''}{digits[0]}.{fraction}E{power}"
    text = format(Decimal(repr(value)), "f")
    return text if "." in text else f"{text}.0"

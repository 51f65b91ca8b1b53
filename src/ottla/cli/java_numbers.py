"""Numbers as Java prints them."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from typing import Final

_FLOAT: Final = struct.Struct(">f")
#: So many digits tell any two floats apart.
_FLOAT_DIGITS: Final = 9


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


def float_text(data: bytes) -> str:
    """The four bytes of a float as Java's `Float.toString`: as few digits as tell it apart."""
    (value,) = _FLOAT.unpack(data)
    if not math.isfinite(value):
        return double_text(value)
    for digits in range(1, _FLOAT_DIGITS):
        shortened = float(f"{value:.{digits}g}")
        try:
            if _FLOAT.pack(shortened) == data:
                return double_text(shortened)
        except OverflowError:
            pass  # rounded beyond the largest float
    return double_text(float(f"{value:.{_FLOAT_DIGITS}g}"))

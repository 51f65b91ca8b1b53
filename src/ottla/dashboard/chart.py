"""Charts drawn with block characters: columns of eighths, and a line over them.

Drawn here rather than by a plotting library: a frame costs under a millisecond, and the
dashboard has to leave the processor to those who make and read 100,000 events a second.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text

EIGHTHS = " ▁▂▃▄▅▆▇█"
BRAILLE = 0x2800
BRAILLE_SIDES = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))  # from the lowest dot up
MARGIN = 6  # of the value axis
AXIS_STYLE = Style(color="#64748b")


def short_number(number: float) -> str:
    """At most 5 characters: 950, 12.3k, 4.56M."""
    for unit, divisor in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= divisor * 0.99995:
            scaled = number / divisor
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f}{unit}"
    return f"{number:.0f}"


def nice_ceiling(number: float) -> float:
    """The next round number: where an axis may end."""
    if number <= 1:
        return 1
    power = 10.0 ** (len(str(int(number))) - 1)
    return next(m * power for m in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if m * power >= number)


def in_buckets(series: Sequence[int], columns: int, last_second: int) -> list[float]:
    """Averages of whole buckets, one a column, cut at full multiples of the bucket's length.

    `series` ends with `last_second`. Cutting there keeps a column's value once it is drawn.
    """
    size = max(1, len(series) // max(1, columns))
    skipped = (last_second + 1) % size
    usable = series[: len(series) - skipped] if skipped else series
    buckets = len(usable) // size
    start = len(usable) - buckets * size
    averages = [sum(usable[at : at + size]) / size for at in range(start, len(usable), size)]
    return averages[-columns:]


def draw_chart(
    columns: Sequence[float | None],
    line: Sequence[float],
    size: tuple[int, int],
    *,
    top: float,
    labels: Sequence[str],
    colors: Sequence[str],
    line_color: str = "#fbbf24",
) -> Text:
    """A chart of `size` (width, height), axis and labels included.

    `columns` are drawn from the left, None as a gap, each in its colour of `colors`; `line`
    goes over them, two values a column. `labels` are spread along the bottom. `top` is the
    value of the upper edge.
    """
    width, height = size
    rows = height - 1
    middle = rows // 2
    ticks = {0: top, middle: top * (rows - middle) / rows}
    text = Text(no_wrap=True, overflow="crop")
    for row in range(rows):
        tick = short_number(ticks[row]) if row in ticks else ""
        text.append(f"{tick:>{MARGIN - 1}} ", AXIS_STYLE)
        run, run_style = "", None
        for x in range(width - MARGIN):
            value = columns[x] if x < len(columns) else None
            eighths = _eighths(value, top, row, rows)
            dots = _dots(line[2 * x : 2 * x + 2], top, row, rows)
            color = colors[x] if x < len(colors) else None
            if dots:
                background = color if eighths >= 4 else None
                character, style = dots, Style(color=line_color, bgcolor=background)
            elif eighths:
                character, style = EIGHTHS[eighths], Style(color=color)
            else:
                character, style = " ", None
            if style != run_style:
                text.append(run, run_style)
                run, run_style = "", style
            run += character
        text.append(f"{run}\n", run_style)
    text.append(" " * MARGIN + spread(labels, width - MARGIN), AXIS_STYLE)
    return text


def _eighths(value: float | None, top: float, row: int, rows: int) -> int:
    """How much of the cell in `row` (0 is the upper one) a column of `value` fills."""
    if not value:
        return 0
    eighths = max(1, round(value / top * rows * 8))  # little is not nothing
    return max(0, min(8, eighths - (rows - 1 - row) * 8))


def _dots(values: Sequence[float], top: float, row: int, rows: int) -> str:
    """The part of a line in one cell, as a braille character; empty where it does not pass."""
    bits = 0
    for side, value in zip(BRAILLE_SIDES, values, strict=False):
        quarter = max(0, min(rows * 4 - 1, int(value / top * rows * 4)))
        if quarter // 4 == rows - 1 - row:
            bits |= side[quarter % 4]
    return chr(BRAILLE + bits) if bits else ""


def spread(labels: Sequence[str], width: int) -> str:
    """The labels in one line of `width`: first at the left end, last at the right."""
    if len(labels) < 2 or sum(map(len, labels)) + len(labels) > width:
        return (labels[0] if labels else "")[:width]
    line = [" "] * width
    for index, label in enumerate(labels):
        at = round(index * (width - 1) / (len(labels) - 1) - len(label) / 2)
        at = max(0, min(width - len(label), at))
        line[at : at + len(label)] = label
    return "".join(line)


def day_columns(
    samples: Sequence[tuple[int, float]], columns: int
) -> tuple[list[float | None], int]:
    """Values of the last 24 hours by time of day, and the column of the newest.

    `samples` are (seconds since 1970, value), ascending; gaps of up to two hours between
    neighbours are filled with the earlier value.
    """
    day: list[float | None] = [None] * columns
    if not samples:
        return day, -1
    newest = samples[-1][0]
    per_column = 86_400 / columns
    previous: tuple[int, float] | None = None
    for time_s, value in samples:
        if time_s <= newest - 86_400 + per_column or time_s > newest:
            previous = None
            continue
        last_column = int(time_s % 86_400 / per_column)
        if previous is not None and 0 <= time_s - previous[0] <= 7_200:
            column = int(previous[0] % 86_400 / per_column)
            while column != last_column:
                column = (column + 1) % columns
                day[column] = previous[1]
        day[last_column] = value
        previous = (time_s, value)
    return day, int(newest % 86_400 / per_column)

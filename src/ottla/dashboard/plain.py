"""The dashboard's numbers as plain text, for pipes and files."""

from __future__ import annotations

import time

from ottla.dashboard.aggregate import LISTS, Row, Snapshot


def text_of(snapshot: Snapshot, rows: int = 10) -> str:
    """All lists, one after the other; ends with a newline."""
    accuracy = "" if snapshot.is_audience_exact else "about "
    lines = [
        (
            f"{snapshot.events:,} events, {snapshot.malformed:,} malformed; "
            f"shop time {shop_time(snapshot.time_s)}"
        ),
        (
            f"{accuracy}{snapshot.users:,} users in {accuracy}{snapshot.sessions:,} sessions: "
            f"{snapshot.recurring_share:.1%} recurring, {snapshot.anonymous_share:.1%} anonymous"
        ),
    ]
    if snapshot.online is not None:
        lines.append(
            f"{snapshot.online.online:,} users online, the pattern asks for "
            f"{snapshot.online.target:,}"
        )
    if snapshot.last_malformed is not None:
        partition, offset, reason = snapshot.last_malformed
        lines.append(f"last malformed: partition {partition} offset {offset}: {reason}")
    lines += _table("Events", snapshot.kinds, rows)
    for name, title in LISTS.items():
        error = snapshot.list_errors[name]
        note = f" (counts may be up to {error:,} too low)" if error else ""
        lines += _table(title + note, snapshot.lists[name], rows)
    lines += _table("Users by country", snapshot.countries, rows)
    lines += ["", "Last errors"]
    lines += [
        f"  {shop_time(error.time_s)}  {error.name}  {error.location}"
        for error in snapshot.last_errors[:rows]
    ]
    return "\n".join(lines) + "\n"


def shop_time(time_s: int) -> str:
    """Simulated time for people: day, month, hour and minute, UTC."""
    try:
        return time.strftime("%d %b %H:%M", time.gmtime(time_s)) if time_s else "-"
    except (OverflowError, ValueError, OSError):
        return "?"


def _table(title: str, rows: list[Row], count: int) -> list[str]:
    shown = rows[:count]
    width = max((len(f"{n:,}") for _, n in shown), default=1)
    return ["", title, *(f"  {n:>{width},}  {label}" for label, n in shown)]

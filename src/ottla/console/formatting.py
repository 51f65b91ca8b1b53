"""Numbers, sizes, times and bytes as a person reads them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, tzinfo
from typing import Any

MAX_PREVIEW_CHARACTERS = 300
NULL = "∅ null"
#: What Kafka's settings say for never.
NEVER = 2**63 - 1
#: Control characters as the small pictures that Unicode has for them.
CONTROL_PICTURES = {**{n: 0x2400 + n for n in range(32)}, 127: 0x2421}


def count(number: float) -> str:
    """1234567 as 1,234,567."""
    return f"{number:,.0f}"


def counted(number: int, noun: str) -> str:
    """`1 topic`, `2,000 topics`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def rate(number: float | None) -> str:
    """A rate per second; a dash when it is not known."""
    if number is None:
        return "–"
    return f"{number:,.1f}" if 0 < number < 100 else f"{number:,.0f}"


def size(number: float | None) -> str:
    """Bytes with a binary unit."""
    if number is None:
        return "–"
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def duration(milliseconds: float | None) -> str:
    """A length of time in its largest two units."""
    if milliseconds is None:
        return "–"
    seconds = int(milliseconds // 1000)
    if seconds < 1:
        return f"{milliseconds:.0f} ms"
    for name, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            whole, rest = divmod(seconds, length)
            smaller = {"d": ("h", 3600), "h": ("min", 60), "min": ("s", 1)}[name]
            part = rest // smaller[1]
            return f"{whole} {name} {part} {smaller[0]}" if part else f"{whole} {name}"
    return f"{seconds} s"


def in_words(key: str, value: str) -> str:
    """A setting's value as a person says it, where its key tells the unit: 7 d, 1.0 GiB."""
    if not value.isdigit() or not 1000 <= int(value) < NEVER:
        return value
    if key.endswith(".ms"):
        return f"{value} ({duration(int(value))})"
    return f"{value} ({size(int(value))})" if key.endswith(".bytes") else value


def moment(timestamp_ms: int | None, zone: tzinfo | None = UTC) -> str:
    """A record's timestamp; a dash when it has none."""
    if timestamp_ms is None or timestamp_ms < 0:
        return "–"
    try:
        when = datetime.fromtimestamp(timestamp_ms / 1000, zone)
    except (OverflowError, OSError, ValueError):
        return f"{timestamp_ms} ms"
    return when.strftime("%Y-%m-%d %H:%M:%S.") + f"{timestamp_ms % 1000:03d}"


def moment_ms(text: str, zone: tzinfo) -> int:
    """Milliseconds since 1970 of a moment somebody typed. Errors: `ValueError`, a sentence."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValueError("Give the time as 2026-01-31 12:00.") from None


def text_of(data: bytes | None) -> str:
    """Bytes as text; other bytes as hexadecimal; null as itself."""
    if data is None:
        return "null"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data.hex(" ")
    return text


def cut(data: bytes, limit: int) -> bytes:
    """At most so many of the first bytes, and no half of a character."""
    if len(data) <= limit:
        return data
    while limit and data[limit] & 0xC0 == 0x80:
        limit -= 1
    return data[:limit]


def preview(data: bytes | None) -> str:
    """One short line of a key or value; null looks unlike the text of that name."""
    if data is None:
        return NULL
    line = " ".join(text_of(cut(data, MAX_PREVIEW_CHARACTERS * 4)).split())
    line = line.translate(CONTROL_PICTURES)
    return line if len(line) <= MAX_PREVIEW_CHARACTERS else line[:MAX_PREVIEW_CHARACTERS] + "…"


def as_json(data: bytes | None) -> Any:
    """The parsed JSON value. Errors: `ValueError` when it is not JSON."""
    if data is None:
        return None
    return json.loads(data)


def pretty(data: bytes | None) -> str:
    """Indented JSON where it is JSON, else the text."""
    try:
        return json.dumps(as_json(data), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text_of(data)


def raw(data: bytes | None) -> str:
    """The bytes as they are: printable ASCII, other bytes as \\xNN."""
    if data is None:
        return "null"
    return "".join(chr(b) if 32 <= b < 127 and b != 92 else f"\\x{b:02x}" for b in data)


def hex_dump(data: bytes | None, limit: int = 4096) -> str:
    """Offset, sixteen bytes, characters: at most `limit` bytes of them."""
    if data is None:
        return "null"
    lines = []
    for start in range(0, min(len(data), limit), 16):
        part = data[start : start + 16]
        characters = "".join(chr(b) if 32 <= b < 127 else "." for b in part)
        lines.append(f"{start:08x}  {part.hex(' '):<47}  {characters}")
    if len(data) > limit:
        lines.append(f"… and {len(data) - limit:,} bytes more")
    return "\n".join(lines)

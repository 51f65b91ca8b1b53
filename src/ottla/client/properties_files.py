"""Java `.properties` files, as `--command-config` and its older names take them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ottla.client.errors import SettingsError

ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def read_properties(path: str) -> dict[str, str]:
    """The properties of a file.

    Errors: `SettingsError` when the file cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"Cannot read the properties file {path}: {reason}.") from None
    return parse_properties(text)


def parse_properties(text: str) -> dict[str, str]:
    """Parse Java's format: comments, `=`, `:` or blanks between key and value, escapes."""
    properties: dict[str, str] = {}
    logical = ""
    for line in text.splitlines():
        stripped = line.lstrip(" \t\f")
        if not logical and (not stripped or stripped[0] in "#!"):
            continue
        logical += stripped
        if (len(logical) - len(logical.rstrip("\\"))) % 2:
            logical = logical[:-1]
            continue
        key, value = _split(logical)
        properties[key] = value
        logical = ""
    if logical:
        key, value = _split(logical)
        properties[key] = value
    return properties


def format_properties(properties: Mapping[str, str]) -> str:
    """The text of a file from which `parse_properties`, and Java, read the same."""
    return "".join(f"{key}={_escaped(value)}\n" for key, value in properties.items())


def _escaped(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
    return f"\\{escaped}" if escaped[:1] in {" ", "\t", "\f"} else escaped


def _split(line: str) -> tuple[str, str]:
    end = 0
    while end < len(line) and line[end] not in "=: \t\f":
        end += 2 if line[end] == "\\" else 1
    rest = line[end:].lstrip(" \t\f")
    if rest[:1] in {"=", ":"}:
        rest = rest[1:].lstrip(" \t\f")
    return _unescape(line[:end]), _unescape(rest)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    out: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character != "\\" or position == len(text):
            out.append(character)
            continue
        character = text[position]
        position += 1
        if character == "u":
            try:
                out.append(chr(int(text[position : position + 4], 16)))
            except ValueError:
                raise SettingsError(
                    f"A properties file holds \\u{text[position : position + 4]}, "
                    "which is not a Unicode escape."
                ) from None
            position += 4
        else:
            out.append(ESCAPES.get(character, character))
    return "".join(out)

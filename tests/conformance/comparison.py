"""Transcripts kept in files, and what differs between two of them.

`transcripts/<scenario>.json` holds what Apache Kafka answered: a list of
(versions, entries), neighbouring versions with equal answers together.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
TRANSCRIPTS = HERE / "transcripts"
REGISTER = HERE.parents[1] / "docs" / "compatibility.toml"

Entries = list[dict[str, Any]]


class Difference(NamedTuple):
    """`path` is `scenario/label/field/…`; the values are None where there is nothing."""

    path: str
    kafka: Any
    ottla: Any


def load(scenario: str) -> dict[int, Entries]:
    """Version -> entries."""
    path = TRANSCRIPTS / f"{scenario}.json"
    if not path.exists():
        return {}
    groups = json.loads(path.read_text())
    return {version: g["entries"] for g in groups for version in g["versions"]}


def save(scenario: str, transcripts: dict[int, Entries]) -> None:
    groups: list[dict[str, Any]] = []
    for version in sorted(transcripts):
        entries = transcripts[version]
        if groups and groups[-1]["entries"] == entries:
            groups[-1]["versions"].append(version)
        else:
            groups.append({"versions": [version], "entries": entries})
    lines = []
    for group in groups:
        entries_text = ",\n".join(
            "    " + json.dumps(entry, ensure_ascii=False) for entry in group["entries"]
        )
        lines.append(f'  {{"versions": {group["versions"]}, "entries": [\n{entries_text}\n  ]}}')
    TRANSCRIPTS.mkdir(exist_ok=True)
    (TRANSCRIPTS / f"{scenario}.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


def differences(scenario: str, kafka: Entries, ottla: Entries) -> list[Difference]:
    """What differs, field by field."""
    theirs = {entry["label"]: entry["answer"] for entry in kafka}
    ours = {entry["label"]: entry["answer"] for entry in ottla}
    return list(_differences(scenario, theirs, ours))


def _differences(path: str, kafka: Any, ottla: Any) -> Iterator[Difference]:
    if kafka == ottla or (kafka, ottla) == (None, "<text>"):
        return  # an explanation where Apache Kafka gives none is welcome
    if isinstance(kafka, dict) and isinstance(ottla, dict):
        for key in sorted(kafka.keys() | ottla.keys()):
            theirs, ours = kafka.get(key), ottla.get(key)
            # A field that is null is not the same as one that has its default.
            if theirs is None and key in kafka and key not in ottla:
                yield Difference(f"{path}/{key}", "null", "the default")
            elif ours is None and key in ottla and key not in kafka:
                yield Difference(f"{path}/{key}", "the default", "null")
            else:
                yield from _differences(f"{path}/{key}", theirs, ours)
    elif isinstance(kafka, list) and isinstance(ottla, list) and len(kafka) == len(ottla):
        for index, (theirs, ours) in enumerate(zip(kafka, ottla, strict=True)):
            yield from _differences(f"{path}/{index}", theirs, ours)
    else:
        yield Difference(path, kafka, ottla)


def registered() -> list[str]:
    """The paths of all registered differences."""
    entries = tomllib.loads(REGISTER.read_text())["difference"]
    return [path for entry in entries for path in entry.get("paths", [])]


def unregistered(found: list[Difference]) -> list[Difference]:
    """Those that docs/compatibility.toml does not list."""
    known = set(registered())
    return [d for d in found if d.path not in known]


def unseen(found: list[Difference]) -> list[str]:
    """Registered paths where none of these differences is."""
    paths = {d.path for d in found}
    return [path for path in registered() if path not in paths]

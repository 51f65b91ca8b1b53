"""Write docs/compatibility.md from docs/compatibility.toml.

Usage: python tools/generate_compatibility.py
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "compatibility.md"

HEAD = """\
# Where Ottla differs from Apache Kafka 4.3.1

Written from [compatibility.toml](compatibility.toml) by `tools/generate_compatibility.py`.

`make conformance` runs the same requests and the same programs against Ottla and against a real
Apache Kafka. What differs stands here, field by field; a difference that does not stand here
fails the tests, and so does one that stands here and is not there any more. `ottla api-coverage`
shows the APIs and versions of both.

By default Ottla serves more than Apache Kafka 4 does: versions and message formats of clients
since 2016. `--protocol strict` serves just what Apache Kafka 4.3.1 serves, and is what is
compared here.
"""

Entry = dict[str, Any]


def _difference(entry: Entry) -> str:
    lines = [f"### {entry['api']}: {entry['field']}", ""]
    lines += [f"- **When**: {entry['scenario']}"]
    lines += [f"- **Apache Kafka** {entry['kafka']}", f"- **Ottla** {entry['ottla']}"]
    lines += [f"- **Why**: {entry['reason']}", ""]
    return "\n".join(lines)


def _skips(entries: list[Entry]) -> list[str]:
    rows = [f"| {entry['name']} | {entry['reason']} |" for entry in entries]
    return ["| Reason | |", "|---|---|", *rows, ""]


def _suite(entry: Entry) -> str:
    lines = [f"### {entry['name']} {entry['version']}", "", f"Run by {entry['run']}.", ""]
    lines += [f"<details><summary>{len(entry['passes'])} tests pass</summary>", ""]
    lines += [*(f"- {name}" for name in entry["passes"]), "", "</details>", ""]
    lines += ["Left out:", ""]
    lines += [f"- `{name}`: {reason}" for name, reason in entry["left_out"].items()]
    return "\n".join([*lines, ""])


def page() -> str:
    """What docs/compatibility.md has to hold."""
    register = tomllib.loads((DOCS / "compatibility.toml").read_text())
    by_kind = {"deliberate": [], "gap": []}
    for entry in register["difference"]:
        by_kind[entry["kind"]].append(_difference(entry))
    parts = [HEAD, "## Differences that stay", "", *by_kind["deliberate"]]
    parts += ["## Gaps", "", *(by_kind["gap"] or ["None."])]
    parts += ["## Clients' own suites", "", *map(_suite, register["suite"])]
    parts += ["## Tests that may be skipped", "", *_skips(register["skip"])]
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())

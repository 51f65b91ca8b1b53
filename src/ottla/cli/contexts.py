"""Named clusters: `ottla context add prod …`, then `--context prod`.

They live in one small JSON file, written whole or not at all.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from ottla.cli.errors import CommandError

VERSION: Final = 1


@dataclass(frozen=True)
class Context:
    """One cluster: where it is, and Kafka's properties for its clients."""

    bootstrap_servers: str
    properties: dict[str, str] = field(default_factory=dict)


@dataclass
class Contexts:
    """All of them, and which one is used when none is named."""

    by_name: dict[str, Context] = field(default_factory=dict)
    current: str | None = None

    def named(self, name: str) -> Context:
        """Errors: `CommandError` that lists the known ones."""
        if name not in self.by_name:
            known = ", ".join(sorted(self.by_name)) or "none yet"
            raise CommandError(
                f"There is no context {name!r}; known are: {known}. `ottla context add` makes one."
            )
        return self.by_name[name]


def contexts_file() -> Path:
    """Where they are kept: OTTLA_CONTEXTS, else below the user's configuration."""
    given = os.environ.get("OTTLA_CONTEXTS")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "ottla" / "contexts.json"


def load_contexts() -> Contexts:
    """What the file holds; nothing when there is none. Errors: `CommandError`."""
    path = contexts_file()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Contexts()
    except OSError as error:
        raise CommandError(f"Cannot read {path}: {error.strerror}.") from None
    try:
        data: dict[str, Any] = json.loads(text)
        if data["version"] != VERSION:
            raise CommandError(f"{path} was written by a newer Ottla (version {data['version']}).")
        named = {name: Context(**value) for name, value in data["contexts"].items()}
        return Contexts(named, data.get("current"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CommandError(f"{path} is damaged; mend it, or delete it to start anew.") from None


def save_contexts(contexts: Contexts) -> None:
    """Write them down; passwords may be among them, so for the owner only."""
    path = contexts_file()
    data = {
        "version": VERSION,
        "current": contexts.current,
        "contexts": {name: asdict(context) for name, context in sorted(contexts.by_name.items())},
    }
    temporary = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}.") from None

"""The log file of `[logging]` in burrow.toml, rotated by size.

All keys of the section count: `filename`, `maxsize` (megabytes), `maxbackups`
(files), `maxage` (days), `use-localtime`, `use-compression`; `level` is the
logger's. Nothing is removed for its age or number where the key says 0.
"""

from __future__ import annotations

import gzip
import logging
import logging.handlers
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DAY_S = 86_400
#: What "keep all" means to a handler that counts.
ALL = 100_000


class AgingFileHandler(logging.handlers.RotatingFileHandler):
    """Rotates, and removes what is older than `max_age_days` when it does."""

    def __init__(self, filename: str, max_bytes: int, backups: int, max_age_days: int) -> None:
        super().__init__(filename, maxBytes=max_bytes, backupCount=backups)
        self.max_age_days = max_age_days

    def doRollover(self) -> None:  # noqa: N802 - the library's name
        super().doRollover()
        if self.max_age_days:
            self.remove_old(time.time() - self.max_age_days * DAY_S)

    def remove_old(self, before_s: float) -> None:
        current = Path(self.baseFilename)
        for path in current.parent.glob(f"{current.name}.*"):
            if path.stat().st_mtime < before_s:
                path.unlink()


def compress(source: str, target: str) -> None:
    """Move a finished log file; what is compressed already keeps its bytes."""
    if source.endswith(".gz"):
        os.rename(source, target)
        return
    with open(source, "rb") as plain, gzip.open(target, "wb") as packed:
        shutil.copyfileobj(plain, packed)
    shutil.copystat(source, target)
    os.unlink(source)


def log_file(section: Mapping[str, Any]) -> logging.Handler:
    """A handler as the section asks for. Errors: OSError."""
    filename = str(section["filename"])
    os.makedirs(os.path.dirname(filename) or ".", exist_ok=True)
    handler = AgingFileHandler(
        filename,
        int(section.get("maxsize", 100)) * 1024 * 1024,
        int(section.get("maxbackups", 10)) or ALL,
        int(section.get("maxage", 0)),
    )
    if section.get("use-compression"):
        handler.namer = lambda name: f"{name}.gz"
        handler.rotator = compress
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    if not section.get("use-localtime"):
        formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    return handler

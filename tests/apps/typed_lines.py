"""Lines typed into a shell that finds our commands and the cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent


def environment_for(bootstrap_servers: str) -> dict[str, str]:
    """Where a shell would find the commands and the cluster."""
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "OTTLA_CONTEXTS": os.devnull + "-none",
        "OTTLA_COMPLETION_MS": "60000",
    }


class Shell:
    """Runs one line after the other, as a person would type them."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.said = ""

    def __call__(self, line: str, text: str = "", status: int = 0) -> str:
        """Standard output of a line; `self.said` is what went to stderr."""
        done = subprocess.run(
            ["bash", "-c", line],
            input=text,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        self.said = done.stderr
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

"""A real PostgreSQL server for the tests, where its programs are found."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def program(name: str) -> str | None:
    found = shutil.which(name)
    if found:
        return found
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(versions[-1]) if versions else None


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """URL of a database on a server that listens on a socket in a folder of its own."""
    initdb, control = program("initdb"), program("pg_ctl")
    if initdb is None or control is None:
        pytest.skip("[no-postgresql] initdb and pg_ctl were not found")
    with tempfile.TemporaryDirectory(prefix="ottla-postgresql-") as folder:
        yield from running_server(folder, initdb, control)


def running_server(folder: str, initdb: str, control: str) -> Iterator[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    user: str | None = None
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root; Debian's package makes this user.
        user = "postgres"
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)

    def run(*command: str) -> None:
        subprocess.run(
            command, check=True, capture_output=True, user=user, env=environment, cwd=folder
        )

    data = f"{folder}/data"
    run(initdb, "-D", data, "-U", "ottla", "-A", "trust", "-N", "-E", "UTF8")
    options = f"-c listen_addresses='' -k {folder} -c fsync=off"
    run(control, "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
    yield f"postgresql://ottla@/postgres?host={folder}"
    run(control, "-D", data, "-w", "-m", "fast", "stop")

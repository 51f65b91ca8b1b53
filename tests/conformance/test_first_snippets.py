"""The smallest programs of examples/first, as their README says to run them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "first"
MAVEN = ("mvn", "-q", "-B", "compile", "exec:java")


class Language(NamedTuple):
    prepare: tuple[str, ...]
    produce: tuple[str, ...]
    consume: tuple[str, ...]
    status: int = 0  # of a consumer ended by Ctrl-C


LANGUAGES = {
    "python": Language((), (sys.executable, "produce.py"), (sys.executable, "consume.py")),
    # `go run` itself ends with status 1 on Ctrl-C, whatever the program does.
    "go": Language(("go", "build", "-o", "bin/", "./..."), ("bin/produce",), ("bin/consume",)),
    "java": Language(
        (),
        (*MAVEN, "-Dexec.mainClass=first.Produce"),
        (*MAVEN, "-Dexec.mainClass=first.Consume"),
        130,
    ),
    "node": Language(
        ("npm", "install", "--no-audit", "--no-fund"),
        ("node", "produce.js"),
        ("node", "consume.js"),
    ),
}


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that nothing is built among the sources."""
    return Path(shutil.copytree(EXAMPLES, tmp_path_factory.mktemp("first") / "first"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", LANGUAGES)
def test_what_one_writes_the_other_reads(name: str, bootstrap_servers: str, programs: Path) -> None:
    language = LANGUAGES[name]
    if name != "python":
        if os.environ.get("OTTLA_CONFORMANCE") != "1":
            pytest.skip("[other-languages] run `make conformance`")
        tool = (language.prepare or language.produce)[0]
        if shutil.which(tool) is None:
            pytest.skip(f"[other-languages] {tool} was not found")
    here = {"cwd": programs / name, "env": {**os.environ, "KAFKA": bootstrap_servers}}
    for command in filter(None, (language.prepare, language.produce)):
        done = subprocess.run(command, **here, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    reader = subprocess.Popen(
        language.consume, **here, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert reader.stdout is not None
    lines: list[str] = []
    with reader, reader.stdout:
        try:
            for line in reader.stdout:
                # Maven may have left something at the beginning of the line.
                lines += re.findall(rf"{name} hello \d+", line)
                if len(lines) == 3:
                    break
            os.killpg(reader.pid, signal.SIGINT)  # as a terminal does
            assert reader.wait(90) == language.status
        finally:
            if reader.poll() is None:
                os.killpg(reader.pid, signal.SIGKILL)
    assert lines == [f"{name} hello {number}" for number in range(3)]

"""The smallest programs: those in the README, and those of examples/first as its README says."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
from tests.documentation.blocks import blocks_of

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "first"
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


class Snippet(NamedTuple):
    """What the README shows in a language: its fence, where it goes in the project, who runs it."""

    fence: str
    file: str
    run: tuple[str, ...]
    stays: bool = False  # until Ctrl-C


SNIPPETS = {
    "python": Snippet("python", "readme.py", (sys.executable, "readme.py")),
    "go": Snippet("go", "readme/main.go", ("bin/readme",)),
    "java": Snippet("java", "src/main/java/First.java", (*MAVEN, "-Dexec.mainClass=First")),
    "node": Snippet("javascript", "readme.js", ("node", "readme.js"), stays=True),
}


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that nothing is built among the sources."""
    return Path(shutil.copytree(EXAMPLES, tmp_path_factory.mktemp("first") / "first"))


def require(name: str) -> None:
    """The test is skipped where the language is not asked for, or not there."""
    if name == "python":
        return
    if os.environ.get("OTTLA_CONFORMANCE") != "1":
        pytest.skip("[other-languages] run `make conformance`")
    tool = (LANGUAGES[name].prepare or LANGUAGES[name].produce)[0]
    if shutil.which(tool) is None:
        pytest.skip(f"[other-languages] {tool} was not found")


def run(words: tuple[str, ...], directory: Path, **environment: str) -> str:
    done = subprocess.run(
        words,
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def lines_said(
    words: tuple[str, ...], directory: Path, pattern: str, wanted: int, **environment: str
) -> tuple[list[str], int]:
    """The first lines of a program that match, and its status after Ctrl-C."""
    reader = subprocess.Popen(
        words,
        cwd=directory,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert reader.stdout is not None
    lines: list[str] = []
    with reader, reader.stdout:
        try:
            for line in reader.stdout:
                # Maven may have left something at the beginning of the line.
                lines += re.findall(pattern, line)
                if len(lines) == wanted:
                    break
            os.killpg(reader.pid, signal.SIGINT)  # as a terminal does
            return lines, reader.wait(90)
        finally:
            if reader.poll() is None:
                os.killpg(reader.pid, signal.SIGKILL)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", LANGUAGES)
def test_what_one_writes_the_other_reads(name: str, bootstrap_servers: str, programs: Path) -> None:
    require(name)
    language = LANGUAGES[name]
    here = programs / name
    for command in filter(None, (language.prepare, language.produce)):
        run(command, here, KAFKA=bootstrap_servers)
    said = lines_said(language.consume, here, rf"{name} hello \d+", 3, KAFKA=bootstrap_servers)
    assert said == ([f"{name} hello {number}" for number in range(3)], language.status)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SNIPPETS)
def test_the_readme_s_own_pair_does_what_it_says(
    name: str, bootstrap_servers: str, programs: Path
) -> None:
    """As it stands there, but for the address and the names of topic and group."""
    require(name)
    snippet = SNIPPETS[name]
    (text,) = (
        block.text
        for block in blocks_of(ROOT / "README.md")
        if block.language == snippet.fence and "billing" in block.text
    )
    assert text.count("localhost:9092") >= 1
    unique = f"t{uuid4().hex[:12]}"
    for ours, theirs in (
        ("localhost:9092", bootstrap_servers),
        ('"orders"', f'"{unique}"'),
        ("billing", unique),
    ):
        text = text.replace(ours, theirs)
    here = programs / name
    file = here / snippet.file
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    if LANGUAGES[name].prepare:
        run(LANGUAGES[name].prepare, here)
    if snippet.stays:
        assert lines_said(snippet.run, here, "ada a chair", 1) == (["ada a chair"], 0)
    else:
        said = run(snippet.run, here)  # Maven colours the end of the line
        assert len(re.findall("ada a chair|b'ada' b'a chair'", said)) == 1, said

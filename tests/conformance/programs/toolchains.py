"""Gets programs in other languages ready to run: libraries from their registries, compiled.

Everything is kept below one cache directory, so that a second run starts at
once. A missing toolchain is a named reason to skip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ottla-conformance"
PREPARE_LIMIT_S = 300

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>ottla</groupId><artifactId>programs</artifactId>
<version>1</version><dependencies><dependency><groupId>{group}</groupId>
<artifactId>{artifact}</artifactId><version>{version}</version></dependency></dependencies>
</project>
"""


def need(*programs: str) -> None:
    """Skip unless `make conformance` runs and all the programs are here."""
    if os.environ.get("OTTLA_CONFORMANCE") != "1":
        pytest.skip("[programs-not-asked-for] run `make conformance`")
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"[no-toolchain] {program} was not found")


def run(command: list[str], *, cwd: Path, limit_s: int, **variables: str) -> str:
    """What the command prints; fails the test, with all it said, when it does not end well."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit_s,
        check=False,
    )
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def java_classpath(coordinates: str) -> str:
    """The jars of a Maven artifact with what it needs, fetched once."""
    need("java", "javac", "mvn")
    folder = CACHE / coordinates.replace(":", "-")
    jars = folder / "jars"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        group, artifact, version = coordinates.split(":")
        (folder / "pom.xml").write_text(
            _POM.format(group=group, artifact=artifact, version=version)
        )
        run(
            ["mvn", "-q", "dependency:copy-dependencies", f"-DoutputDirectory={jars}"],
            cwd=folder,
            limit_s=PREPARE_LIMIT_S,
        )
        (folder / "complete").touch()
    return f"{jars}/*"


def run_java(source: str, coordinates: str, *arguments: str, limit_s: int = 120) -> str:
    """Run a single-file program on the libraries of an artifact."""
    classpath = java_classpath(coordinates)
    command = ["java", "-Xmx256m", "-cp", classpath, str(HERE / source), *arguments]
    return run(command, cwd=HERE, limit_s=limit_s)


def run_java_class(name: str, coordinates: str, *arguments: str, limit_s: int = 120) -> str:
    """Run a program that an artifact brings along."""
    classpath = java_classpath(coordinates)
    command = ["java", "-Xmx256m", "-cp", classpath, name, *arguments]
    return run(command, cwd=CACHE, limit_s=limit_s)


def run_go(folder: str, *arguments: str, limit_s: int = PREPARE_LIMIT_S, **variables: str) -> str:
    need("go")
    command = ["go", "run", ".", *arguments]
    return run(command, cwd=HERE / folder, limit_s=limit_s, **variables)


def node_package(package: str) -> Path:
    """Where a package of npm lies, installed once, in its `node_modules`."""
    need("node", "npm")
    place = CACHE / package.strip("@").replace("@", "-").replace("/", "-")
    if not (place / "complete").exists():
        place.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--no-save", "--prefix", str(place), package]
        try:
            run(install, cwd=place, limit_s=PREPARE_LIMIT_S)
        except AssertionError:
            # Its compiled part cannot be fetched: compile it, with what this machine has.
            run(install, cwd=place, limit_s=2 * PREPARE_LIMIT_S, CKJS_LINKING="dynamic")
        (place / "complete").touch()
    return place


def run_node(folder: str, script: str, package: str, *arguments: str, limit_s: int = 60) -> str:
    place = node_package(package)
    shutil.copy(HERE / folder / script, place / script)
    return run(["node", script, *arguments], cwd=place, limit_s=limit_s)


def python_with(name: str, *requirements: str) -> Path:
    """The interpreter of a virtual environment that holds these packages."""
    need()
    if sys.version_info >= (3, 12):
        pytest.skip("[no-toolchain] clients this old need Python 3.11")
    place = CACHE / name
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        venv.create(place, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        run([*pip, "setuptools<60", "wheel"], cwd=CACHE, limit_s=PREPARE_LIMIT_S)
        run([*pip, "--no-build-isolation", *requirements], cwd=CACHE, limit_s=PREPARE_LIMIT_S)
        (place / "complete").touch()
    return python

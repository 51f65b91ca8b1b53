"""What `pip install ottla` brings, what the extras bring, and that nothing needs more."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest

from ottla import __version__
from ottla.cli.main import main

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "ottla"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

DISTRIBUTIONS = packages_distributions()

#: Modules that may import what an extra brings, by the extra.
ROOMS = {
    "console": ("console/",),
    "demos": ("dashboard/", "demos/analytics/", "demos/fraud/"),
    "secure": ("cli/certificates.py",),
    "services": ("demos/services/", "demos/http_services.py", "demos/instigator/"),
    "sql": ("cli/",),
}
#: Imported where they happen to be: pytest brings the first, the tests' users the second, and
#: each place that imports it says what to do without it.
BROUGHT_ALONG = {"pytest", "aiokafka", "rich", "pydantic"}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~! ]", r)[0].lower().replace("_", "-") for r in requirements}


def third_party_imports(path: Path) -> set[str]:
    """Distributions that a module imports anywhere; type checking does not count."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").partition(".")[0])
    own = {"ottla", "__future__"} | set(sys.stdlib_module_names)
    return {
        DISTRIBUTIONS.get(name, [name])[0].lower().replace("_", "-") for name in found - own if name
    }


def test_every_import_is_a_declared_requirement() -> None:
    base = names(PROJECT["dependencies"])
    extras = {
        extra: names(wanted)
        for extra, wanted in PROJECT["optional-dependencies"].items()
        if extra != "all"
    }
    undeclared = []
    for path in sorted(PACKAGE.rglob("*.py")):
        place = str(path.relative_to(PACKAGE))
        allowed = base | BROUGHT_ALONG
        for extra, rooms in ROOMS.items():
            if place.startswith(rooms):
                allowed |= extras[extra]
        undeclared += [f"{place}: {name}" for name in sorted(third_party_imports(path) - allowed)]
    assert not undeclared


def test_all_is_all_of_them() -> None:
    (everything,) = PROJECT["optional-dependencies"]["all"]
    extras = set(PROJECT["optional-dependencies"]) - {"all"}
    assert set(re.findall(r"\w+", everything)) - {"ottla"} == extras


#: A program that serves a produce and a fetch, in an interpreter that has only these modules.
BROKER_ALONE = """
import sys

ALLOWED = {"ottla", "crc32c", "cramjam"} | set(sys.stdlib_module_names)

class Gate:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Gate())
import ottla
from ottla.batch.record_batch import Record, build_batch
from ottla.client import Cluster
from ottla.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

with ottla.Broker(topics={"orders": 1}, config={"ottla.metrics.port": "0"}) as broker:
    with Cluster(broker.bootstrap_servers) as cluster:
        batch = build_batch([Record(0, 0, None, b"x", ())], compression=4)
        partition = PartitionProduceData(index=0, records=bytes(batch))
        topic_id = cluster.topic("orders").topic_id
        topic = TopicProduceData(topic_id, "orders", [partition])
        request = ProduceRequest(None, -1, 10_000, [topic])
        answer = cluster.leader("orders", 0).request(request)
        print(answer.responses[0].partition_responses[0].error_code)
"""


def test_the_broker_alone_needs_two_small_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKER_ALONE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0"


def test_the_wheel_is_for_every_machine(tmp_path: Path) -> None:
    """Pure Python, typed, with the plugin and all commands; the folders of the tests stay here."""
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", *words, "--wheel-dir", str(tmp_path), str(ROOT)], check=True
    )
    (wheel,) = tmp_path.iterdir()
    assert wheel.name == f"ottla-{__version__}-py3-none-any.whl"
    with ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        about = f"ottla-{__version__}.dist-info"
        commands = archive.read(f"{about}/entry_points.txt").decode()
        assert "Root-Is-Purelib: true" in archive.read(f"{about}/WHEEL").decode()
    assert "ottla/py.typed" in inside
    assert {name.partition("/")[0] for name in inside} == {"ottla", about}
    assert not [name for name in inside if name.endswith((".so", ".pyd", ".dylib", ".pyc"))]
    assert "[pytest11]\nottla = ottla.pytest_plugin.plugin" in commands
    assert all(f"{command} = " in commands for command in PROJECT["scripts"])


def test_the_changelog_begins_with_this_version() -> None:
    assert PROJECT["version"] == __version__
    heading = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heading is not None
    assert heading[1] == __version__


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def is_missing(name: str) -> ModuleType:
        raise ModuleNotFoundError("No module named 'textual.app'", name="textual.app")

    monkeypatch.setattr("ottla.cli.main.import_module", is_missing)
    assert main(["dash"]) == 1
    assert "pip install 'ottla[demos]'" in capsys.readouterr().err


BUNDLE = runpy.run_path(str(ROOT / "tools" / "bundle.py"))


def chosen(platform: str) -> set[str]:
    entries = BUNDLE["wanted"](BUNDLE["LOCKED"].read_text(), BUNDLE["PLATFORMS"][platform], "3.12")
    assert all("--hash=sha256:" in entry and ";" not in entry for entry in entries)
    return {entry.partition("==")[0] for entry in entries}


def test_the_bundle_asks_for_what_each_kind_of_machine_needs() -> None:
    """Not for what the machine that makes it needs."""
    linux, windows = chosen("linux"), chosen("windows")
    assert {"confluent-kafka", "crc32c", "nicegui", "duckdb"} <= linux & windows
    assert "uvloop" in linux - windows
    assert "tzdata" in windows - linux
    assert "hatchling" not in linux

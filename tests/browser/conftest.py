"""A console process and a headless Chromium that looks at it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
#: A busy machine may take its time; what is expected comes at once on an idle one.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
#: Without these Chromium asks its maker's servers for things at every start.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.timeout(300))  # many steps, each of which may take its time
        if CHROMIUM is None:
            item.add_marker(
                pytest.mark.skip(
                    reason="[no-chromium] install Debian's package chromium to run browser tests"
                )
            )


@pytest.fixture(scope="session")
def bootstrap_servers() -> Iterator[str]:
    """The address of a Kafka that is ready; as in tests/apps."""
    given = os.environ.get("OTTLA_TEST_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    from ottla.embedded import Broker

    with Broker() as broker:
        yield broker.bootstrap_servers


@contextlib.contextmanager
def running_console(bootstrap_servers: str, log: Path, *more: str) -> Iterator[str]:
    """The address of a console in a process of its own."""
    code = (
        "import argparse, sys; from ottla.console import command;"
        " p = argparse.ArgumentParser(); command.add_arguments(p);"
        " sys.exit(command.run(p.parse_args()))"
    )
    # NiceGUI takes a process with this variable for one of its own test runs.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    words = ["--bootstrap-servers", bootstrap_servers, "--port", "0", *more]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("Console"), log.read_text()
        yield line.split()[1]
    finally:
        process.terminate()
        process.wait(90)
        process.stdout.close()


@pytest.fixture(scope="session")
def console(bootstrap_servers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a console for that Kafka."""
    log = tmp_path_factory.mktemp("console") / "log"
    with running_console(bootstrap_servers, log) as address:
        yield address


@pytest.fixture(scope="session")
def guarded_console(
    bootstrap_servers: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A console that asks for admin and admin, or guest and guest, who may only look."""
    log = tmp_path_factory.mktemp("guarded") / "log"
    words = ("--auth", "admin:admin", "--auth-viewer", "guest:guest")
    with running_console(bootstrap_servers, log, *words) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page; fails the test on any script error and on any dialog a record opened."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    faults: list[str] = []
    fresh = context.new_page()
    fresh.set_default_timeout(PATIENCE_MS)
    fresh.on("pageerror", lambda error: faults.append(str(error)))
    fresh.on(
        "dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss())
    )
    yield fresh
    context.close()
    assert not faults

"""Take the pictures of the console that the documentation shows.

    python tools/take_console_pictures.py

Starts a broker, the demos and a console, waits until something is to be seen, and
writes docs/pictures/console-*.png. Needs Chromium.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
SIZE = {"width": 1280, "height": 800}
GROWING_S = 75


def main() -> int:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("Chromium is not installed (Debian's package chromium).")
        return 1
    expect.set_options(timeout=60_000)
    with running_broker() as (servers, metrics):
        words = ["console", "--bootstrap-servers", servers, "--broker-metrics", metrics]
        words += ["--port", "0"]
        process = subprocess.Popen(
            [sys.executable, "-m", "ottla.cli.main", *words], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        address = process.stdout.readline().split()[1]
        try:
            with sync_playwright() as play:
                browser = play.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
                )
                page = browser.new_context(viewport=SIZE, color_scheme="light").new_page()
                start_everything(page, address)
                print(f"waiting {GROWING_S} s for something to see", flush=True)
                time.sleep(GROWING_S)
                take_pictures(page, address)
                browser.close()
        finally:
            process.terminate()
            process.wait(20)
    return 0


@contextlib.contextmanager
def running_broker() -> Iterator[tuple[str, str]]:
    """Bootstrap servers and metrics address of `ottla up --bare` in a directory of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        words = [
            "up",
            "--bare",
            "--port",
            "0",
            "--data-dir",
            f"{scratch}/data",
            "--name",
            "pictures",
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "ottla.cli.main", *words], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        found: dict[str, str] = {}
        for line in process.stdout:
            name, _, address = line.strip().rpartition("  ")
            found[name.strip()] = address
            if "Ctrl-C" in line:
                break
        try:
            yield found["broker"], found["broker metrics"]
        finally:
            process.terminate()
            process.wait(20)


def start_everything(page: Page, address: str) -> None:
    """The shop, the fraud detection and the playground with three consumers run."""
    for path in ("/demos/analytics", "/demos/fraud"):
        page.goto(address + path)
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_text("running for")).to_be_visible()
    page.goto(f"{address}/anatomy")
    page.get_by_role("button", name="Start the playground").click()
    for _ in range(3):
        page.get_by_role("button", name="Add a consumer").click()
        page.wait_for_timeout(1500)


def take_pictures(page: Page, address: str) -> None:
    take(page, f"{address}/", "overview")
    take(page, f"{address}/topics/analytics", "messages")
    take(page, f"{address}/demos/analytics", "shop")
    take(page, f"{address}/demos/fraud", "fraud")
    page.goto(f"{address}/anatomy")
    page.wait_for_timeout(2000)
    page.get_by_role("button", name="Remove one").click()
    page.wait_for_timeout(3000)
    page.screenshot(path=PICTURES / "console-anatomy.png")
    take(page, f"{address}/groups/anatomy-readers", "group")


def take(page: Page, url: str, name: str) -> None:
    page.goto(url)
    page.wait_for_timeout(5000)
    page.screenshot(path=PICTURES / f"console-{name}.png")
    print(f"docs/pictures/console-{name}.png", flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""A person in front of a page: headless Chromium, and what was done said line by line."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tour.stage import NotSeenError

if TYPE_CHECKING:
    from playwright.sync_api import Page

TIMEOUT_MS = 30_000
#: Without these Chromium asks its maker's servers for things at every start.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def chromium() -> str | None:
    """Where Chromium is, if it is installed (Debian's package chromium)."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@contextlib.contextmanager
def browser_page(executable: str) -> Iterator[Page]:
    """A fresh page. Errors: NotSeenError for whatever does not show up in time."""
    from playwright.sync_api import Error, expect, sync_playwright

    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=executable, args=list(QUIET))
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.set_default_timeout(TIMEOUT_MS)
        try:
            yield page
        except (AssertionError, Error) as error:
            if isinstance(error, NotSeenError):
                raise
            raise NotSeenError(f"the page at {page.url}: {str(error).splitlines()[0]}") from None
        finally:
            browser.close()

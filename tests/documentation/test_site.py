"""`make docs`: the site is built without a warning, and asks the network for nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
#: Elements and attributes that make a browser fetch something.
FETCHING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "object": "data",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    built = place / "html"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"),
            *("-d", str(place / "doctrees"), str(ROOT / "docs"), str(built)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return built


class Page(HTMLParser):
    """What a page has, links to and fetches."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.update(value for name, value in values.items() if name in ("id", "name"))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and "canonical" not in values.get("rel", ""):
            self.fetched.append(values.get("href", ""))
        if tag in FETCHING and FETCHING[tag] in values:
            self.fetched.append(values[FETCHING[tag]])


def pages(site: Path) -> Iterator[tuple[Path, Page]]:
    for path in sorted(site.rglob("*.html")):
        yield path, Page(path)


def test_every_link_leads_somewhere(site: Path) -> None:
    known = dict(pages(site))
    broken = []
    for path, page in known.items():
        for link in page.links:
            if urlsplit(link).scheme:
                continue
            target, anchor = urldefrag(link)
            other = (path.parent / unquote(target)).resolve() if target else path
            if not other.exists():
                broken.append(f"{path.name}: {link}")
            elif anchor and other in known and unquote(anchor) not in known[other].ids:
                broken.append(f"{path.name}: {link} has no such heading")
    assert not broken


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    """No fonts, scripts or pictures of other machines: the site is read without a network."""
    strangers = [
        f"{path.name}: {address}"
        for path, page in pages(site)
        for address in page.fetched
        if urlsplit(address).netloc
    ]
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        strangers += [
            f"{style.name}: {address}"
            for address in re.findall(
                r"(?:@import\s*|url\()\s*[\"']?((?:https?:)?//[^\"')\s]+)", text
            )
        ]
    assert not strangers

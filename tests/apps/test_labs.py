"""Every lab reaches its verdict, with little of everything."""

from __future__ import annotations

import io
import json
import os

import pytest

from ottla.cli.main import main
from ottla.labs import catalog
from ottla.labs.screen import Screen, bar, plain

GIVEN = os.environ.get("OTTLA_TEST_BOOTSTRAP_SERVERS")
#: These start nodes of Apache Kafka for themselves: tests/conformance has them.
ON_APACHE_KAFKA = {"replication", "story"}
SETTINGS = {"bootstrap.servers": GIVEN} if GIVEN else None


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(catalog.available().keys() - ON_APACHE_KAFKA))
def test_its_verdict_holds(name: str) -> None:
    out = io.StringIO()
    if GIVEN and catalog.runs_alone(name):
        with pytest.raises(catalog.LabError, match="of its own"):
            catalog.run(name, SETTINGS, Screen(out), is_fast=True)
        return
    result = catalog.run(name, SETTINGS, Screen(out), is_fast=True)
    assert result["verdict"] == "holds", out.getvalue()
    assert result["counts"]
    text = out.getvalue()
    assert "verdict: holds" in text
    assert text == plain(text), "colours without a terminal"
    assert max(map(len, text.splitlines())) <= 80, text


def test_the_labs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == catalog.available()


def test_a_misspelt_lab_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "group"]) == 2
    assert "did you mean groups?" in capsys.readouterr().err


def test_bars_count_in_eighths() -> None:
    assert bar(1, 2, 4) == "██  "
    assert bar(5, 16, 4) == "█▎  "
    assert bar(3, 2, 4) == "████"


def test_a_picture_is_drawn_once_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    screen = Screen(out)
    screen.draw(["one"])
    screen.draw(["two"])
    screen.say("end")
    assert out.getvalue() == "two\nend\n"

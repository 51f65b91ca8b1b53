"""Burrow's templates are filled in as Go fills them in.

`go_template_answers.json` holds templates and what Go's text/template makes of
them, null where it refuses; `make conformance` asks Go again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ottla.gateway.burrow.templates.data import incident_data
from ottla.gateway.burrow.templates.parsing import TemplateError
from ottla.gateway.burrow.templates.rendering import Template
from ottla.gateway.burrow.templates.values import Struct
from ottla.lag.evaluation import Commit, Status
from ottla.lag.store import GroupStatus, PartitionStatus

ANSWERS: list[tuple[str, str | None]] = json.loads(
    Path(__file__).with_name("go_template_answers.json").read_text()
)


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are local ones, and the answers were written down in UTC."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def incident() -> Struct:
    """The same as `incident` of the Go program."""
    start = Commit(90, 1_700_000_000_000, 1_700_000_000_100, 7)
    end = Commit(90, 1_700_000_600_000, 1_700_000_600_100, None)
    stalled = PartitionStatus(
        "orders", 0, "/10.0.0.1", "c<1>", Status.STALL, start, end, 1_234_567, 1.0, None
    )
    behind = PartitionStatus("orders", 3, "", "", Status.WARN, start, None, 10, 0.7, 4.5)
    fine = [
        PartitionStatus("orders", n, "", "", Status.OK, start, end, 0, 1.0, None)
        for n in range(4, 17)
    ]
    group = GroupStatus("billing", Status.ERR, 0.8666667, [stalled, behind, *fine], 1_234_577)
    moment = datetime(2026, 3, 4, 15, 6, 7, 8900, UTC)
    return incident_data("local", group, "id-1", moment, {"app": "burrow", "tier": "STG"})


def filled_in(template: str) -> str:
    return Template(template).render(incident())


@pytest.mark.parametrize(("template", "answer"), ANSWERS)
def test_a_template_is_filled_in_as_go_does(template: str, answer: str | None) -> None:
    if answer is None:
        with pytest.raises(TemplateError):
            filled_in(template)
    else:
        assert filled_in(template) == answer


def test_capitals_may_be_wrong_as_they_are_in_a_template_that_burrow_brings() -> None:
    assert filled_in("{{.Id}} {{.Result.totallag}}") == "id-1 1234577"


def test_the_template_of_the_documentation_makes_json() -> None:
    page = (Path(__file__).parents[3] / "docs" / "burrow.md").read_text()
    (template,) = [block for block in page.split("```text\n")[1:] if "{{" in block]
    message = json.loads(filled_in(template.partition("```")[0]))
    assert message["text"] == "billing is ERR: 1234577 behind since 15:06"
    assert message["partitions"] == ["orders-0", "orders-3"]


def test_lag_in_seconds_is_there_beside_what_the_original_has() -> None:
    assert filled_in("{{range .Result.Partitions}}{{.LagSeconds}} {{end}}") == "<nil> 4.5 "


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("a\nb {{ .Group", "line 2: the action that begins here has no end"),
        ("{{frobnicate .Group}}", "line 1: there is no function frobnicate"),
        ("{{range .Result.Partitions}}", "line 1: this range has no end"),
        ("{{end}}", "line 1: end ends nothing"),
        ("{{.Grop}}", "there is no field Grop; there are Cluster, Group, ID"),
        ('{{define "a"}}{{template "a"}}{{end}}{{template "a"}}', "includes itself without end"),
        ("{{range 2000000}}{{.}}{{end}}", "does not come to an end"),
        ('{{printf "%2000000000d" 1}}', "too wide"),
    ],
)
def test_what_is_wrong_with_a_template_is_one_sentence(template: str, why: str) -> None:
    with pytest.raises(TemplateError) as caught:
        filled_in(template)
    assert why in str(caught.value)

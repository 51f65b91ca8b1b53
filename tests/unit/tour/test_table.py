"""The tour's table leaves no promise out, and a failing row fails the tour."""

from __future__ import annotations

from pathlib import Path

from tour import run
from tour.platform import doors_in
from tour.rows import ROWS, STORIES
from tour.run import NotRunError, Results, Seen, load_stories, run_rows, table
from tour.stage import NotSeenError, Stage


def test_every_row_belongs_to_a_story_and_stands_once() -> None:
    numbers = [row.number for row in ROWS]
    assert len(set(numbers)) == len(numbers)
    assert {number[0] for number in numbers} == set(STORIES)


def test_a_row_that_was_not_run_is_shown_as_missing() -> None:
    text = table({}, ["embedded"], [])
    for row in ROWS:
        assert f"  {row.number:<5} {row.promise}" in text
    assert text.count("MISSING: was not run") == sum(row.is_for("embedded") for row in ROWS)


def test_the_stories_load_and_show_rows_that_exist() -> None:
    load_stories()
    assert set(run._shows) <= {row.number for row in ROWS}


def test_rows_are_seen_failed_or_missing(tmp_path: Path) -> None:
    load_stories()
    kept = dict(run._shows)
    lines: list[str] = []
    stage = Stage("embedded", "localhost:9092", {}, tmp_path, lines.append)

    def fails(_: Stage) -> str:
        raise NotSeenError("the light is off")

    def lacks(_: Stage) -> str:
        raise NotRunError("this machine has no browser")

    first = {"0.1": lambda s: s.types("echo hello", shows="^hello$")}
    try:
        run._shows.clear()
        run._shows.update({**first, "0.2": fails, "0.3": lacks})
        results: Results = {}
        run_rows(stage, results, ["0"], lines.append)
    finally:
        run._shows.clear()
        run._shows.update(kept)
    assert results["0.1", "embedded"].mark == "seen"
    assert results["0.2", "embedded"][:2] == ("failed", "the light is off")
    assert results["0.3", "embedded"].text == "was not run: this machine has no browser"
    assert results["0.7", "embedded"].mark == "missing"
    assert "$ echo hello" in lines
    text = table(results, ["embedded"], ["0"])
    assert "✗ embedded: the light is off" in text
    assert "1 seen, 1 failed, 5 missing." in text


def test_addresses_of_the_write_ups_become_ours_where_they_differ(tmp_path: Path) -> None:
    lines: list[str] = []
    doors = {"REST Proxy": "http://127.0.0.1:18082", "Burrow": "http://127.0.0.1:8000"}
    stage = Stage("embedded", "127.0.0.1:19092", doors, tmp_path, lines.append)
    stage.types("echo localhost:9092 http://localhost:8082/topics http://localhost:8000/v3")
    assert lines[0] == (
        "$ echo 127.0.0.1:19092 http://127.0.0.1:18082/topics http://localhost:8000/v3"
    )


def test_doors_are_read_from_what_the_platform_prints() -> None:
    text = "Ottla 1 is ready after 0.2 s.\n  data              /x (fsync)\n"
    text += "  broker            127.0.0.1:9092\n  REST Proxy        http://127.0.0.1:8082\n"
    doors = doors_in(text)
    assert doors["broker"] == "127.0.0.1:9092"
    assert doors["REST Proxy"] == "http://127.0.0.1:8082"


def test_a_seen_row_tells_how_long_it_took() -> None:
    results: Results = {("2.2", "embedded"): Seen("seen", "100 numbers", 1.25)}
    assert "✓ embedded: 100 numbers  (1.2 s)" in table(results, ["embedded"], ["2.2"])

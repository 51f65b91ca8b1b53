"""What is written for people fits into the terminal that they have."""

from __future__ import annotations

import io

import pytest

from ottla.cli import main, ps
from ottla.cli.errors import fitted
from ottla.cli.output import described, print_head, prose
from ottla.labs.screen import Screen, plain


class Terminal(io.StringIO):
    """Where a person looks."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(params=[60, 80, 160])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    width: int = request.param
    monkeypatch.setenv("COLUMNS", str(width))
    return width


@pytest.mark.parametrize("verb", sorted(main.available()))
def test_help_fits(verb: str, columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    """But for command lines, which are there to be copied."""
    assert main.main([verb, "--help"]) == 0
    for line in capsys.readouterr().out.splitlines():
        is_command = line.startswith("  ") and "   " not in line.strip()
        assert len(line) <= columns or is_command, line


def test_a_sentence_is_broken_between_words(columns: int) -> None:
    text = "No broker answers at kafka1.example.com:9092; " * 5
    for line in fitted(text, Terminal()).splitlines():
        assert len(line) < columns
        assert line.count("kafka1.example.com:9092;") == line.count("kafka1")
    assert fitted(text, io.StringIO()) == text
    path = "/a/very/long/path" * 20
    assert path in fitted(f"{path} is not there.", Terminal())


def test_a_head_above_a_table_is_one_line_or_two(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Terminal()
    monkeypatch.setattr("sys.stdout", shown)
    print_head("a-name-of-forty-characters-which-is-long:", " and thirty characters about it")
    assert len(shown.getvalue().splitlines()) == (2 if columns == 60 else 1)
    assert all(len(line) <= columns for line in shown.getvalue().splitlines())


def test_prose_has_room(columns: int) -> None:
    lines = prose("Many partitions cost: each has files and memory. " * 3, "- ", "  ").splitlines()
    assert all(len(line) < columns for line in lines)
    assert all(line.startswith("  ") for line in lines[1:])


def test_a_list_with_long_texts_goes_on_below_them(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "who reads what: idle consumers, a second group, the price of a rebalance"
    assert described("  groups    ", text) == f"  groups    {text}"
    monkeypatch.setattr("sys.stdout", Terminal())
    lines = described("  groups    ", text).splitlines()
    assert all(len(line) < columns for line in lines)
    assert " ".join("".join(lines).split()) == " ".join(f"groups {text}".split())


def test_a_list_of_what_runs_leaves_columns_out(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", Terminal())
    rows: list[tuple[str, ...]] = [("NAME", "ADDRESS", "STATE", "MEMORY", "PID")]
    address = "http://127.0.0.1:9644/metrics"
    rows.append(("  Admin commands 1", address, "up since 15:40", "32 MB", "27972"))
    assert all(len(line) <= columns for line in ps._lines(rows))


def test_a_labs_picture_is_cut_while_it_moves_and_whole_at_the_end(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    shown = Terminal()
    screen = Screen(shown)
    picture = "consumer 1 has read ".ljust(75, ".") + "1002"
    screen.draw([picture])
    moving = plain(shown.getvalue()).replace("\x1b[2K", "").splitlines()[0]
    assert len(moving) < columns
    screen.settle()
    assert shown.getvalue().count(picture) == (1 if columns == 60 else 2)

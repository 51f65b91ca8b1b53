from __future__ import annotations

import io

import pytest

from ottla.cli import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    monkeypatch.setenv("COLUMNS", "80")


def test_a_share_is_drawn_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", shown := Terminal())
    with progress.Progress("reading") as line:
        line.show(0.5, 1_000)
    assert "reading [############............]  50% 1,000 records, " in shown.getvalue()
    assert " s left" in shown.getvalue()
    assert shown.getvalue().endswith("\r\x1b[2K")


def test_without_an_end_only_the_count_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", shown := Terminal())
    with progress.Progress("sending") as line:
        line.show(None, 5_000)
    assert "sending 5,000 records, " in shown.getvalue()
    assert "[#" not in shown.getvalue()


def test_nobody_looks_at_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", piped := io.StringIO())
    with progress.Progress("sending") as line:
        line.show(None, 5_000)
    assert piped.getvalue() == ""

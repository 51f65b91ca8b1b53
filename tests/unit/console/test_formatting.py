"""Bytes as a person reads them."""

from __future__ import annotations

import pytest

from ottla.console import formatting


@pytest.mark.parametrize("limit", range(9))
def test_what_is_cut_ends_with_a_whole_character(limit: int) -> None:
    text = "ałż🦦".encode()
    head = formatting.cut(text, limit)
    assert text.startswith(head)
    assert len(head) <= limit
    assert "ałż🦦".startswith(head.decode())


def test_a_long_text_of_many_bytes_a_character_stays_text() -> None:
    assert formatting.preview(("x" + "ż" * 5_000).encode()).startswith("xżżż")


def test_null_and_its_name_look_different_and_controls_are_seen() -> None:
    assert formatting.preview(None) != formatting.preview(b"null") == "null"
    assert formatting.preview(b"\x1b[31m\x00") == "␛[31m␀"

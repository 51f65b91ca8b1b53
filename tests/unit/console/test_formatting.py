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


def test_settings_in_words() -> None:
    assert formatting.in_words("retention.ms", "604800000") == "604800000 (7 d)"
    assert formatting.in_words("segment.bytes", "1073741824") == "1073741824 (1.0 GiB)"
    for key, value in (("retention.ms", "-1"), ("flush.ms", str(formatting.NEVER)), ("a.ms", "")):
        assert formatting.in_words(key, value) == value

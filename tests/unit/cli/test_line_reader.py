import pytest

from ottla.cli.errors import CommandError
from ottla.cli.kafka_tools.line_reader import Line, LineReader


def read(text: bytes, **properties: str) -> list[Line]:
    named = {name.replace("_", "."): value for name, value in properties.items()}
    return list(LineReader(named).lines(text.splitlines(keepends=True)))


def test_a_line_is_a_value_without_its_line_end() -> None:
    assert read(b"a\tb\r\n\nlast") == [
        Line(None, b"a\tb", []),
        Line(None, b"", []),
        Line(None, b"last", []),
    ]


def test_bytes_that_are_not_text_pass_unchanged() -> None:
    assert read(b"\xff\xfe")[0].value == b"\xff\xfe"


def test_key_and_value_are_cut_at_the_first_separator() -> None:
    assert read(b"k:v:w", parse_key="true", key_separator=":") == [Line(b"k", b"v:w", [])]


def test_headers_come_first_and_keep_their_order() -> None:
    line = read(b"h1:v1,h2:v2,h1:v3\tk\tv", parse_key="true", parse_headers="true")[0]
    assert line == Line(b"k", b"v", [("h1", b"v1"), ("h2", b"v2"), ("h1", b"v3")])


def test_the_null_marker_makes_tombstones() -> None:
    line = read(b"k\tNULL", parse_key="true", null_marker="NULL")[0]
    assert line == Line(b"k", None, [])


def test_a_line_without_its_separator_names_its_number() -> None:
    with pytest.raises(CommandError, match="No key separator found on line number 2: 'oops'"):
        read(b"k\tv\noops", parse_key="true")


def test_errors_can_be_ignored() -> None:
    assert read(b"oops", parse_key="true", ignore_error="true") == [Line(None, b"oops", [])]


def test_separators_must_differ() -> None:
    with pytest.raises(CommandError, match="may not be equal"):
        LineReader({"headers.separator": ":"})

from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.cli.errors import CommandError
from ottla.cli.record_filters import add_filter_arguments, filter_of, json_filter
from ottla.cli.record_texts import TextRecord, compile_format, from_json, to_csv, to_json

RECORD = TextRecord(
    "orders",
    2,
    17,
    1_700_000_000_000,
    b"alice",
    b'{"user": {"id": 7, "name": "Al"}, "items": [{"price": 12.5}], "ok": true}',
    [("source", b"web"), ("empty", None)],
)
BYTES = st.none() | st.binary()


@given(key=BYTES, value=BYTES, headers=st.lists(st.tuples(st.text(), BYTES)))
def test_a_record_survives_json(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    record = TextRecord("t", 1, -1, 5, key, value, headers)
    assert from_json(to_json(record), "line 1") == record


def test_json_can_be_inline() -> None:
    assert '"value": {"user": {"id": 7' in to_json(RECORD, inline=True)


@pytest.mark.parametrize("line", ["7", "{", '{"key_base64": "?"}', '{"headers": [{}]}'])
def test_a_line_that_is_no_record_is_named(line: str) -> None:
    with pytest.raises(CommandError, match=r"^line 3: "):
        from_json(line, "line 3")


def test_a_format_string_has_letters_and_escapes() -> None:
    write = compile_format(r"%t/%p@%o %k\t%V %h %% \\n")
    text = rb"orders/2@17 alice" + b"\t" + str(len(RECORD.value or b"")).encode()
    assert write(RECORD) == text + rb" source=web,empty=NULL % \n"


def test_a_letter_without_meaning_is_named() -> None:
    with pytest.raises(CommandError, match="%z means nothing"):
        compile_format("%z")


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("user.id=7", True),
        ("$.user.id=7", True),
        ("user.id!=7", False),
        ("user.id>=8", False),
        ("items[0].price>10", True),
        ("items[1].price>10", False),
        ("user.name=~^A", True),
        ('user.name="Al"', True),
        ("ok=true", True),
        ("ok>0", False),
        ("nothing", False),
        ("user", True),
        ("key:alice", False),
        ("header:source:name", False),
    ],
)
def test_a_filter_looks_into_json(text: str, passes: bool) -> None:
    assert json_filter(text)(RECORD) is passes


@pytest.mark.parametrize(
    ("words", "passes"),
    [
        ([], None),
        (["--key", "lic"], True),
        (["--key", "/^a.*e$/"], True),
        (["--key", "/^b/"], False),
        (["--value", "price", "--key", "bob"], False),
        (["--header", "source"], True),
        (["--header", "source=mobile"], False),
        (["--header", "empty"], True),
        (["--header", "empty=x"], False),
    ],
)
def test_all_filters_must_pass(words: list[str], passes: bool | None) -> None:
    parser = argparse.ArgumentParser()
    add_filter_arguments(parser)
    found = filter_of(parser.parse_args(words))
    assert (None if found is None else found(RECORD)) is passes


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("key:tenant.id=7", True),
        ("key:tenant.id=8", False),
        ("header:trace:span=abc", True),
        ("header:trace:span=~^b", True),
        ("header:trace:span=c", False),
        ("header:other:span", False),
    ],
)
def test_a_filter_looks_into_the_json_of_keys_and_headers(text: str, passes: bool) -> None:
    headers = [("trace", b"no json"), ("trace", b'{"span": "abc"}'), ("trace", b'{"span": "b"}')]
    record = RECORD._replace(key=b'{"tenant": {"id": 7}}', headers=headers)
    assert json_filter(text)(record) is passes


def test_a_row_of_csv_has_everything() -> None:
    record = TextRecord("t", 1, 7, 1_700_000_000_000, None, b'a,"b"', [("h", b"x"), ("h", None)])
    assert to_csv(record) == (
        't,1,7,1700000000000,,"a,""b""",'
        '"[{""name"": ""h"", ""value"": ""x""}, {""name"": ""h"", ""value"": null}]"'
    )
    assert to_csv(record._replace(value=b"\xff", headers=[])) == "t,1,7,1700000000000,,/w==,"


@pytest.mark.parametrize("text", ["a>b", "a=~(", "a[=1", "header:a=1"])
def test_a_filter_that_is_none_is_named(text: str) -> None:
    with pytest.raises(CommandError):
        json_filter(text)

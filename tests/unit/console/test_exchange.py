"""Records leave as files and commands, and come back the same."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest

from ottla.console import exchange
from ottla.console.exchange import ImportFormatError, NewRecord, records_of
from ottla.console.messages import RecordView

RECORDS = [
    RecordView(0, 7, 1_000, b"ada", b'{"n": 1}', [("trace", b"\xff"), ("none", None)]),
    RecordView(1, 8, 2_000, None, None, []),
    RecordView(1, 9, 3_000, b"", "über, \"x\"\nnext".encode(), []),
    RecordView(2, 10, 4_000, b"\xff\x00", bytes(range(256)), []),
]  # fmt: skip


def again(record: RecordView) -> NewRecord:
    return NewRecord(
        record.key, record.value, record.headers, record.partition, record.timestamp_ms
    )


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_what_was_exported_is_imported_byte_for_byte(kind: str) -> None:
    text = exchange.as_csv(RECORDS) if kind == "csv" else exchange.as_json_lines(RECORDS)
    assert list(records_of(f"export.{kind}", text.encode())) == [again(r) for r in RECORDS]


def test_any_other_file_is_a_value_per_line() -> None:
    found = list(records_of("names.txt", b"ada\n\ngrace\n"))
    assert [r.value for r in found] == [b"ada", b"grace"]


def test_values_that_are_json_already_stay_json() -> None:
    (record,) = records_of("x.jsonl", b'{"key": 7, "value": {"a": [1]}}\n')
    assert (record.key, record.value) == (b"7", b'{"a": [1]}')


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"value": "a"}\nnonsense\n', "Line 2 is not a JSON object."),
        (b"[1]\n", "Line 1 is not a JSON object."),
        (b'{"other": 1}\n', "Line 1 has neither a key nor a value."),
        (b'{"value": "a", "headers": 3}\n', "Line 1 cannot be read as a record."),
        (b"\xff\xfe", "x.jsonl is not text in UTF-8."),
    ],
)
def test_a_bad_line_is_named(content: bytes, sentence: str) -> None:
    with pytest.raises(ImportFormatError, match=sentence):
        list(records_of("x.jsonl", content))


def test_a_curl_line_that_a_shell_takes_apart_again() -> None:
    command = exchange.as_curl("it's", RecordView(0, 0, 0, b'"k"', b'{"it\'s": 1}', []))
    script = command.replace("curl", "printf '%s\\n'", 1)
    words = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert '{"records": [{"key": "k", "value": {"it\'s": 1}}]}' in words.stdout
    assert words.stdout.rstrip().endswith("/topics/it's")


def test_a_curl_line_for_bytes_that_are_no_json() -> None:
    command = exchange.as_curl("t", RecordView(0, 0, 0, b"k", b"\xff", []))
    assert "kafka.binary.v2" in command
    body = json.loads(command.split("--data '")[1].split("'")[0])
    assert base64.b64decode(body["records"][0]["value"]) == b"\xff"


def test_a_kcat_line_keeps_lines_and_quotes() -> None:
    command = exchange.as_kcat("h:1", "t", RecordView(3, 0, 0, b"it's", b"a\nb", [("h", b"v")]))
    script = command.replace("kcat", "cat >/dev/null; printf '%s|'", 1)
    assert "base64 -d" in script
    assert "-p 3" in command
    assert "h=v" in command


def test_a_huge_record_is_not_made_into_a_command() -> None:
    huge = RecordView(0, 0, 0, None, b"x" * 100_000, [])
    assert "too many for a command line" in exchange.as_curl("t", huge)
    assert "too many for a command line" in exchange.as_kcat("h:1", "t", huge)

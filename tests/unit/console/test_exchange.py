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


ODD = [
    RecordView(0, 7, 1_000, b"a\x85b", "one\u2028two\x0b\x1c\u2029".encode(), [("n", b"\x00")]),
    RecordView(0, 8, 1_000, b"k", b"x" * 200_000, []),
    RecordView(0, 9, 1_000, b"k", b"a\rb\r\nc\n", []),
]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_line_ends_of_other_scripts_and_large_values_come_back_too(kind: str) -> None:
    text = exchange.as_csv(ODD) if kind == "csv" else exchange.as_json_lines(ODD)
    assert list(records_of(f"export.{kind}", text.encode())) == [again(r) for r in ODD]


def test_a_spreadsheets_file_and_one_that_is_no_table() -> None:
    (record,) = records_of("x.csv", b"\xef\xbb\xbfkey,value\r\nada,1\r\n")
    assert (record.key, record.value) == (b"ada", b"1")
    with pytest.raises(ImportFormatError, match="Line 2"):
        list(records_of("x.csv", b'key,value\r\n"' + b"x" * (exchange.MAX_CELL_BYTES + 1)))


def words_of(command: str, program: str) -> list[str]:
    """What a shell would hand to the program."""
    script = f'{program}() {{ cat >&2; printf "%s\\0" "$@"; }}\n{command}'
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True, input=b"")
    return [word.decode() for word in done.stdout.split(b"\0")[:-1]]


def stream_of(command: str) -> bytes:
    """What a shell would give to kcat's standard input."""
    return subprocess.run(
        ["sh", "-c", f"kcat() {{ cat; }}\n{command}"], capture_output=True, check=True
    ).stdout


def test_a_curl_line_that_a_shell_takes_apart_again() -> None:
    record = RecordView(2, 0, 0, b"k's", b'{"it\'s": 1}', [("h", b"\xff"), ("none", None)])
    words = words_of(exchange.as_curl("c-1", "it's", record), "curl")
    assert words[-1] == "http://localhost:8082/v3/clusters/c-1/topics/it's/records"
    assert json.loads(words[words.index("--data") + 1]) == {
        "partition_id": 2,
        "headers": [{"name": "h", "value": "/w=="}, {"name": "none", "value": None}],
        "key": {"type": "STRING", "data": "k's"},
        "value": {"type": "JSON", "data": {"it's": 1}},
    }


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (b"null", {"type": "STRING", "data": "null"}),  # the text, which is no tombstone
        (b'{"a": 1e400}', {"type": "STRING", "data": '{"a": 1e400}'}),
        (b"[NaN]", {"type": "STRING", "data": "[NaN]"}),
        (b"\xff", {"type": "BINARY", "data": base64.b64encode(b"\xff").decode()}),
        (None, None),
    ],
)
def test_a_curl_line_keeps_what_json_would_change(value: bytes | None, sent: object) -> None:
    words = words_of(exchange.as_curl("c", "t", RecordView(0, 0, 0, b"k", value, [])), "curl")
    assert json.loads(words[words.index("--data") + 1]).get("value") == sent


SETTINGS = {"bootstrap.servers": "h:1,h:2", "client.id": "x"}


def test_a_kcat_line_for_ordinary_text() -> None:
    record = RecordView(3, 0, 0, b"it's", b"-e \\n %s", [("h", b"v"), ("none", None)])
    command = exchange.as_kcat(SETTINGS, "t", record)
    assert words_of(command, "kcat") == [
        *("-P", "-b", "h:1,h:2", "-t", "t", "-p", "3"),
        *("-H", "h=v", "-H", "none", "-k", "it's"),
    ]
    assert stream_of(command) == b"-e \\n %s"


@pytest.mark.parametrize(
    ("key", "value", "stream", "more"),
    [
        (b"\xff\x00", b"a\nb", b"\xff\x00<key>a\nb<end>", ["-D", "<end>", "-K", "<key>"]),
        (None, b"a\x00", b"a\x00<end>", ["-D", "<end>"]),
        (b"k", None, b"k<key><end>", ["-D", "<end>", "-K", "<key>", "-Z"]),
        (b"k", b"", b"k<key><end>", ["-D", "<end>", "-K", "<key>"]),
        (b"<key>", b"\n<end>", b"<key><<key>>\n<end><<end>>", ["-D", "<<end>>", "-K", "<<key>>"]),
    ],
)
def test_a_kcat_line_for_any_other_bytes(
    key: bytes | None, value: bytes | None, stream: bytes, more: list[str]
) -> None:
    command = exchange.as_kcat(SETTINGS, "t", RecordView(0, 0, 0, key, value, []))
    assert stream_of(command) == stream
    assert words_of(command, "kcat")[7:] == more


def test_what_kcat_cannot_send_is_said() -> None:
    headers = [("a=b", b"1"), ("bytes", b"\xff"), ("fine", b"1")]
    command = exchange.as_kcat(SETTINGS, "t", RecordView(0, 0, 0, None, b"v", headers))
    assert command.count("# kcat cannot send the header") == 2
    assert words_of(command, "kcat")[-2:] == ["-H", "fine=1"]
    assert "neither" in exchange.as_kcat(SETTINGS, "t", RecordView(0, 0, 0, None, None, []))


def test_a_kcat_line_asks_for_the_password_and_does_not_tell_it() -> None:
    secured = {**SETTINGS, "security.protocol": "SASL_SSL", "sasl.password": "s3cret"}
    command = exchange.as_kcat(secured, "t", RecordView(0, 0, 0, b"k", b"v", []))
    assert "-X security.protocol=SASL_SSL" in command
    assert '-X sasl.password="$KAFKA_SECRET"' in command
    assert "s3cret" not in command


def test_a_huge_record_is_not_made_into_a_command() -> None:
    huge = RecordView(0, 0, 0, None, b"x" * 100_000, [])
    assert "too many for a command line" in exchange.as_curl("c", "t", huge)
    assert "too many for a command line" in exchange.as_kcat(SETTINGS, "t", huge)

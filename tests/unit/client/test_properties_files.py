import pytest

from ottla.client.errors import SettingsError
from ottla.client.properties_files import parse_properties, read_properties


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b", {"a": "b"}),
        ("a = b c ", {"a": "b c "}),
        ("a: b", {"a": "b"}),
        ("a b", {"a": "b"}),
        ("a", {"a": ""}),
        ("# a=b\n! c=d\n\n e=f", {"e": "f"}),
        ("a=b\\\n   c", {"a": "bc"}),
        ("a=b\\\\\nc=d", {"a": "b\\", "c": "d"}),
        ("a\\=b=c", {"a=b": "c"}),
        ("a=\\u00e9\\t.", {"a": "é\t."}),
        ("a=b=c", {"a": "b=c"}),
        ("a=last\\", {"a": "last"}),
    ],
)
def test_javas_format_is_understood(text: str, expected: dict[str, str]) -> None:
    assert parse_properties(text) == expected


def test_a_missing_file_is_one_sentence() -> None:
    with pytest.raises(SettingsError, match=r"Cannot read the properties file /nowhere/x: No such"):
        read_properties("/nowhere/x")


def test_a_wrong_escape_is_one_sentence() -> None:
    with pytest.raises(SettingsError, match="not a Unicode escape"):
        parse_properties("a=\\uXYZ1")

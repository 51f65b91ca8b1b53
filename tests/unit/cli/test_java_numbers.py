import pytest

from ottla.cli.java_numbers import double_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (1024.0, "1024.0"),
        (0.001, "0.001"),
        (0.00012, "1.2E-4"),
        (1e7, "1.0E7"),
        (123456789.5, "1.234567895E8"),
        (-2.5, "-2.5"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_doubles_look_as_in_java(value: float, text: str) -> None:
    assert double_text(value) == text

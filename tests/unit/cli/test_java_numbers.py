import struct

import pytest

from ottla.cli.java_numbers import double_text, float_text


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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1.0, "1.0"),
        (16777216.0, "1.6777216E7"),
        (3.4028235e38, "3.4028235E38"),
        (-0.00075, "-7.5E-4"),
        (float("inf"), "Infinity"),
        (0.0, "0.0"),
    ],
)
def test_floats_look_as_in_java(value: float, text: str) -> None:
    assert float_text(struct.pack(">f", value)) == text

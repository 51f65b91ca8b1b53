"""The matcher agrees with Python's `re` where both understand an expression."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.coordinator.linear_regex import LinearRegex, RegexError

atoms = st.sampled_from(
    ["a", "b", "c", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\w", r"\W", r"\.", "^", "$", r"\b", "-"]
)
patterns = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join),
        st.tuples(
            inner.map(lambda p: f"({p})"),
            st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", ""]),
        ).map("".join),
        inner.map(lambda p: f"(?:{p})"),
    ),
    max_leaves=8,
)


@given(patterns, st.text("abc1.-", max_size=8))
def test_it_agrees_with_re(pattern: str, text: str) -> None:
    expected = re.fullmatch(pattern.replace("$", r"\Z"), text, re.ASCII) is not None
    assert LinearRegex(pattern).matches(text) == expected


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("", "", True),
        ("orders-.*", "orders-eu", True),
        ("(?i)orders", "ORDERS", True),
        ("(?i)[a-c]x", "BX", True),
        ("a(?i:b)c", "aBc", True),
        ("a(?i:b)c", "aBC", False),
        ("(?P<name>a+)b", "aab", True),
        ("(?<name>a)", "a", True),
        (r"\Qa.b\E.", "a.bc", True),
        (r"\Qa.b", "a.b", True),
        (r"[[:alpha:]]+[[:^digit:]]", "ab-", True),
        (r"[\d_]+", "1_2", True),
        (r"[a\-z]", "-", True),
        (r"\x41\t", "A\t", True),
        (r"\Aa\z", "a", True),
        (r"a\Bb", "ab", True),
        ("a{,2}", "a{,2}", True),
        ("a{2,3}", "aaaa", False),
        ("(?s).", "\n", True),
        (".", "\n", False),
        ("[]a]", "]", True),
        ("x*", "y", False),
    ],
)
def test_what_it_understands(pattern: str, text: str, matches: bool) -> None:
    assert LinearRegex(pattern).matches(text) == matches


@pytest.mark.parametrize(
    "pattern",
    [
        "(", ")", "[a", "*", "a**", "a{3,2}", "a{1001}", r"\1", "(?=a)", "(?!a)", "(?<=a)",
        "(?<!a)", "(?P<n", "[b-a]", "[[:no:]]", "\\", r"\xzz", r"\k", "(?x)a",
        "(" * 200, "a" * 5000, "((a{1000}){1000}){1000}",
    ],
)  # fmt: skip
def test_what_it_refuses(pattern: str) -> None:
    with pytest.raises(RegexError):
        LinearRegex(pattern)


def test_what_hangs_a_backtracking_matcher_takes_no_time() -> None:
    assert not LinearRegex("(a+)+$").matches("a" * 249 + "!")
    assert LinearRegex("(a|a)*" * 20).matches("a" * 249)

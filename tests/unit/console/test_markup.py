"""Markup escapes whatever it did not build."""

from __future__ import annotations

from ottla.console.markup import join, tag

HOSTILE = "\"><script>alert(1)</script>'"


def test_text_and_attributes_are_escaped() -> None:
    made = tag("td", HOSTILE, title=HOSTILE)
    assert "<script>" not in made
    assert made.count("<") == 2
    assert made.startswith('<td title="&quot;&gt;')


def test_what_was_built_is_kept() -> None:
    assert tag("p", tag("b", "a & b"), 7, None) == "<p><b>a &amp; b</b>7</p>"
    assert join(tag("i", "x"), "<") == "<i>x</i>&lt;"


def test_names_of_attributes() -> None:
    made = tag("line", class_="dim", stroke_width=1.0, x1=2.25, title=None)
    assert made == '<line class="dim" stroke-width="1" x1="2.2"/>'

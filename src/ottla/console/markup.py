"""HTML and SVG built from parts that escape whatever was not built here.

Record contents, topic names and the like come as plain `str` and are escaped;
only what `tag` returns is taken as it is. So nothing that Kafka holds can
become an element or an attribute of a page.
"""

from __future__ import annotations

import html

#: Written as given and without an end: `<line …/>`.
_VOID = frozenset({"br", "circle", "line", "path", "rect", "polygon"})


class Markup(str):
    """Text that is HTML already; made by `tag` and `join` alone."""

    __slots__ = ()


Child = Markup | str | int | float | None


def tag(name: str, *children: Child, **attributes: str | float | None) -> Markup:
    """`<name attributes>children</name>`; `class_` is class, `a_b` is a-b, None is left out."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not children:
        return Markup(f"<{name}{words}/>")
    return Markup(f"<{name}{words}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """The children one after the other."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(_text(child))
            for child in children
            if child is not None
        )
    )


def _text(value: str | float) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)

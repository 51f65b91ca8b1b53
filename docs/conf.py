"""How the site is built: `make docs`, off-line, every warning an error."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from sphinx.application import Sphinx

import generate_reference
from ottla import __version__

project = "Ottla"
author = "the Ottla authors"
copyright = "2026, the Ottla authors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_build"]
nitpicky = False  # signatures name types of other packages, which have no page here

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["toc.empty_glob"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"Ottla {__version__}"
html_static_path = ["_static"]
html_css_files = ["ottla.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#7a3e00",
        "color-brand-content": "#7a3e00",
    },
    "dark_css_variables": {
        "color-brand-primary": "#f0a860",
        "color-brand-content": "#f0a860",
    },
}


def as_code(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Docstrings say `code` as Markdown does; reStructuredText wants two of each."""
    lines[:] = [re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line) for line in lines]


def setup(app: Sphinx) -> None:
    """The generated pages are there before Sphinx looks for pages."""
    app.connect("autodoc-process-docstring", as_code)
    generate_reference.write_all(Path(__file__).parent / "reference")

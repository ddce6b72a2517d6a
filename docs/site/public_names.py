"""The directive ``public-names``: the reference of a package, from its list of public names and their docstrings.

In a page::

    ```{eval-rst}
    .. public-names:: mlip_engines.properties
    ```

Packages here import their names on first use, which autodoc's own list of members does not see.
"""

from __future__ import annotations

import importlib
import inspect
import re

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class PublicNames(SphinxDirective):
    """Classes, functions and constants of one package, each with its docstring."""

    required_arguments = 1
    optional_arguments = 1000  # names, if not all of them

    def run(self) -> list[nodes.Node]:
        """Return what autodoc makes of each name."""
        package = self.arguments[0]
        lines: list[str] = []
        for name in self.arguments[1:] or public_names(package):
            lines += [*directive_of(package, name), ""]
        container = nodes.section()
        container.document = self.state.document
        self.state.nested_parse(StringList(lines, source=package), self.content_offset, container)
        return container.children


def public_names(package: str) -> list[str]:
    """Return the public names of a package, without its version."""
    names = importlib.import_module(package).__all__
    return [name for name in names if name != "__version__"]


def directive_of(package: str, name: str) -> list[str]:
    """Return the lines that have autodoc document a name."""
    value = getattr(importlib.import_module(package), name)
    if inspect.isclass(value):
        return [f".. autoclass:: {package}.{name}", "   :members:"]
    if callable(value):
        return [f".. autofunction:: {package}.{name}"]
    return [f".. py:data:: {package}.{name}", f"   :value: {value!r}"]


def plain_bars(app, what, name, value, options, lines: list[str]) -> None:
    """Keep what is |C - NC| in a docstring from being a substitution of reStructuredText."""
    for index, line in enumerate(lines):
        lines[index] = re.sub(r"(?<![\\`])\|(?=[\w(])", r"\\|", line)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("public-names", PublicNames)
    app.connect("autodoc-process-docstring", plain_bars)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

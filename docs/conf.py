"""Settings of Sphinx for the documentation site: ``make docs`` builds it, ``docs/site`` holds what is our own."""

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "site"))

project = "mlip-engines"
author = "the authors of mlip-engines"
version = release = importlib.metadata.version("mlip-engines")
html_title = f"mlip-engines {release}"

extensions = [
    "myst_parser",  # the pages are Markdown, readable without the site
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxarg.ext",  # commands from their parsers
    "repository",  # links to files outside this folder
    "public_names",  # the Python of a package, from its list of names
    "formulas",  # mathematics without a network
]
root_doc = "index"
exclude_patterns = ["README.md"]  # contents.md includes it
suppress_warnings = [
    "myst.domains",  # links of pages do not lead to what sphinx-argparse names
]
nitpicky = False  # types in docstrings are prose
smartquotes = False  # they make a dash of the two of an option

html_theme = "furo"
html_static_path = ["site/static"]
html_css_files = ["width.css"]
html_copy_source = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 4  # as in the repository's own viewers
myst_url_schemes = {"http": None, "https": None, "mailto": None, "repository": None}

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the NumPy docstrings state type, shape and unit
autodoc_class_signature = "mixed"
autodoc_mock_imports: list[str] = []
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
highlight_language = "text"
pygments_style = "friendly"

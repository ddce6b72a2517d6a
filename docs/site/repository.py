"""Pages and links of the site that belong to files outside ``docs``.

A page may consist of a document that lies elsewhere, beside the code that it describes, such as the page of the pair
style::

    ```{include} ../../../lammps_plugin/README.md
    ```

Its links are those of its own place, and are turned here into those of the site. A link to a source file or to a
folder leads to a page that shows it, so the site is complete without a server that has the repository.
"""

from __future__ import annotations

import html
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
SCHEME = "repository:"
FOLDER = "files"
INCLUDE = re.compile(r"(?m)^```\{include\} (\S+)\n```$")
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)#\s]*)(#[^)\s]*)?\)")
CODE = re.compile(r"(?m)^(```|~~~).*?^\1\s*$|^(?: {4}[^\n]*\n?)+", re.DOTALL)
AS_THEY_ARE = {".html", ".json", ".png", ".svg", ".csv"}  # a browser shows these itself


def included_documents() -> dict[Path, Path]:
    """Return, for each document that a page consists of, that page; both as absolute paths."""
    found = {}
    for page in sorted(DOCS.rglob("*.md")):
        for path in INCLUDE.findall(page.read_text()):
            found[(page.parent / path).resolve()] = page
    return found


def rewritten(text: str, origin: Path, page: Path, places: dict[Path, Path]) -> str:
    """Return a text whose links lead from a page of the site to where they led from the file that it stands in.

    Parameters
    ----------
    text : str
        Markdown; blocks of code stay as they are.
    origin : Path
        The file that the text stands in; its links are relative to it.
    page : Path
        The page that shows it.
    places : dict
        From documents that pages consist of to those pages.
    """

    def link(match: re.Match) -> str:
        label, path, anchor = match[1], match[2], match[3] or ""
        if not path or re.match(r"[a-z]+:", path):
            return match[0]
        target = (origin.parent / unquote(path)).resolve()
        target = places.get(target, target)
        is_page = target.suffix == ".md" and DOCS in target.parents
        if not (is_page or label.startswith("!")):
            return f"{label}({SCHEME}{target.relative_to(ROOT)})"
        return f"{label}({os.path.relpath(target, page.parent)}{anchor})"

    parts, end = [], 0
    for code in CODE.finditer(text):
        parts += [LINK.sub(link, text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, LINK.sub(link, text[end:])])


def read_page(app: Sphinx, name: str, source: list[str]) -> None:
    """Put what a page consists of in its place, with links that lead somewhere from there."""
    page = Path(app.env.doc2path(name))
    if page.suffix != ".md":
        return
    places = included_documents()

    def included(match: re.Match) -> str:
        origin = (page.parent / match[1]).resolve()
        app.env.note_dependency(str(origin))
        return rewritten(origin.read_text(), origin, page, places)

    parts, end = [], 0
    for include in INCLUDE.finditer(source[0]):
        own = source[0][end : include.start()]
        parts += [rewritten(own, page, page, places), included(include)]
        end = include.end()
    source[0] = "".join([*parts, rewritten(source[0][end:], page, page, places)])


def name_of(target: Path) -> str:
    """Return the name of the page that shows a file or a folder of the repository."""
    return f"{FOLDER}/{target.relative_to(ROOT)}"


def lead_to_files(app: Sphinx, tree: nodes.document, name: str) -> None:
    """Give links to files of the repository the address of the page that shows them."""
    for reference in tree.findall(nodes.reference):
        address = reference.get("refuri", "")
        if not address.startswith(SCHEME):
            continue
        target = ROOT / address.removeprefix(SCHEME)
        if not target.exists():
            raise FileNotFoundError(f"{name}: {target} does not exist; mend the link")
        up = "../" * app.builder.get_target_uri(name).count("/")
        ending = "" if target.suffix in AS_THEY_ARE else ".html"
        reference["refuri"] = f"{up}{name_of(target)}{ending}"


def linked_files(app: Sphinx) -> set[Path]:
    """Return the files and folders that pages link to, and what lies in these folders."""
    places, found = included_documents(), set()
    pages = {Path(app.env.doc2path(name)) for name in app.env.found_docs}
    for document in pages | set(places):
        for page in [places.get(document, document)]:
            text = rewritten(document.read_text(), document, page, places)
            found |= {ROOT / path for path in re.findall(rf"\({SCHEME}([^)]*)\)", text)}
    shown = set(found)
    for folder in (each for each in found if each.is_dir()):
        shown |= {path for path in folder.iterdir() if path.is_file() and is_text(path)}
    return shown


def is_text(path: Path) -> bool:
    """Whether a file can be shown as text."""
    with path.open("rb") as file:
        start = file.read(4096)
    return b"\0" not in start and not path.name.startswith(".")


def show_files(app: Sphinx) -> Iterator[tuple[str, dict, str]]:
    """Yield a page for each file and folder that a page links to."""
    shown = linked_files(app)
    for path in sorted(shown):
        if path.suffix in AS_THEY_ARE:
            continue
        title = str(path.relative_to(ROOT))
        body = _folder(path, shown) if path.is_dir() else _file(path)
        heading = f"<h1>{html.escape(title)}</h1>\n"
        yield name_of(path), {"parents": [], "title": title, "body": heading + body}, "page.html"


def _folder(path: Path, shown: set[Path]) -> str:
    entries = [each for each in sorted(path.iterdir()) if each in shown]
    items = "".join(
        f'<li><a href="{path.name}/{each.name}{"" if each.suffix in AS_THEY_ARE else ".html"}">'
        f"{html.escape(each.name)}</a></li>\n"
        for each in entries
    )
    return f"<ul>\n{items}</ul>\n"


def _file(path: Path) -> str:
    try:
        lexer = get_lexer_for_filename(path.name)
    except ClassNotFound:
        lexer = TextLexer()
    return highlight(path.read_text(), lexer, HtmlFormatter())


def copy_files(app: Sphinx, failure: Exception | None) -> None:
    """Copy the linked files that a browser shows itself."""
    if failure is not None or app.builder.format != "html":
        return
    for path in linked_files(app):
        if path.is_file() and path.suffix in AS_THEY_ARE:
            copy = Path(app.outdir) / name_of(path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx when to call what is above."""
    app.connect("source-read", read_page)
    app.connect("doctree-resolved", lead_to_files)
    app.connect("html-collect-pages", show_files)
    app.connect("build-finished", copy_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

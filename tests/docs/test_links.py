"""Links between documents lead where their labels say, and the index is complete."""

import os
import re
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, NAMES, ROOT
from tests.test_import_direction import ROOMS


def links_of(document: Path) -> list[tuple[str, str, str]]:
    """Return label, path and anchor of every link to a place in the repository."""
    links = re.findall(r"\[([^\]]*)\]\(([^)#\s]*)(?:#([^)]*))?\)", prose_of(document))
    return [link for link in links if not re.match(r"https?:", link[1])]


def prose_of(document: Path) -> str:
    """Return a document without its blocks of code."""
    return re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)


def anchors_of(document: Path) -> set[str]:
    """Return the anchors that a renderer makes of headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", prose_of(document))
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_links_between_documents_lead_somewhere(document):
    for label, path, anchor in links_of(document):
        target = document.parent / path if path else document
        assert target.exists(), path
        if anchor:
            assert anchor in anchors_of(target), f"[{label}]({path}#{anchor})"


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_a_label_that_is_a_file_name_opens_that_file(document):
    for label, path, _ in links_of(document):
        if re.fullmatch(r"`?[\w./-]+\.(md|py|yaml|in|json|html)`?", label):
            assert path.endswith(label.strip("`").lstrip("./")), f"[{label}]({path})"


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_documents_have_no_placeholder(document):
    assert not re.search(r"(?i)<this [a-z]+>|<your [a-z]+>|\bTODO\b|\bTBD\b", document.read_text())


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_page_for_users_leads_to_the_glossary(document):
    if document.name in ("CHANGELOG.md", "glossary.md"):
        return
    found = {(document.parent / path).resolve() for _, path, _ in links_of(document) if path}
    assert ROOT / "docs" / "glossary.md" in found


def test_the_site_has_a_place_for_every_page():
    pages = {path for path in (ROOT / "docs").rglob("*.md") if path.name != "README.md"}
    placed = {ROOT / "docs" / "index.md"}
    for page in pages:
        for tree in re.findall(r"(?ms)^```\{toctree\}\n(.*?)^```$", page.read_text()):
            for line in filter(lambda line: not line.startswith(":"), tree.splitlines()):
                entry = re.sub(r".*<(.*)>", r"\1", line)  # the path alone, or a title before it
                placed |= {page.parent / f"{entry}.md"} if entry else set()
    assert pages - {Path(os.path.normpath(page)) for page in placed} == set()


def test_the_map_of_the_code_has_every_room():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    _, rooms = text.split("from top to bottom")[:2]
    cells = re.findall(r"(?m)^\| ((?:`\w+`(?:, )?)+) \|", rooms.split("\n## ")[0])
    found = re.findall(r"`(\w+)`", " ".join(cells))
    assert found == [room for room in ROOMS["mlip_engines"] if room != "__init__"]

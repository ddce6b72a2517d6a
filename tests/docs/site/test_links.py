"""The checker of links finds those that lead nowhere."""

import runpy

import pytest

from tests.docs.documents import ROOT

LINKS = runpy.run_path(str(ROOT / "docs" / "site" / "links.py"))


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ("there.html", []),
        ("there.html#place", []),
        ("#here", []),
        ("https://example.org/nowhere", []),
        ("absent.html", ["does not exist"]),
        ("there.html#elsewhere", ["no such place"]),
        ("#elsewhere", ["no such place"]),
    ],
)
def test_a_link_that_leads_nowhere_is_found(tmp_path, link, found):
    (tmp_path / "page.html").write_text(f'<h1 id="here">A</h1><a href="{link}">b</a>')
    (tmp_path / "there.html").write_text('<h1 id="place">B</h1>')
    broken = LINKS["broken_links"](tmp_path, LINKS["read_site"](tmp_path))
    assert len(broken) == len(found)
    assert all(reason in line for reason, line in zip(found, broken, strict=True))


def test_links_to_other_sites_are_listed_with_the_pages_that_have_them(tmp_path):
    for name in ("a.html", "b.html"):
        (tmp_path / name).write_text('<a href="https://docs.lammps.org">LAMMPS</a>')
    listed = LINKS["external_links"](LINKS["read_site"](tmp_path))
    assert {link: [page.name for page in pages] for link, pages in listed.items()} == {
        "https://docs.lammps.org": ["a.html", "b.html"]
    }

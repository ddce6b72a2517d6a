"""The built site is complete: links, names and commands, and nothing that a browser would have to fetch."""

import importlib
import importlib.metadata
import re
import runpy

import pytest

from tests.docs.documents import ROOT
from tests.docs.test_commands import COMMANDS, options_of

pytestmark = pytest.mark.slow

LINKS = runpy.run_path(str(ROOT / "docs" / "site" / "links.py"))
PACKAGES = (
    "mlip_engines",
    "mlip_engines.simulations",
    "mlip_engines.properties",
    "mlip_engines.relaxation",
    "mlip_engines.phonons",
    "mlip_engines.elasticity",
    "mlip_engines.readers",
    "mlip_engines.operators",
    "openmm_forces",
)


def test_every_link_of_the_site_leads_to_a_page_and_a_place_on_it(site):
    pages = LINKS["read_site"](site)
    assert len(pages) > 60
    assert LINKS["broken_links"](site, pages) == []


def test_a_browser_fetches_nothing(site):
    # A link that a reader may click is an <a>; scripts, styles, fonts and figures come with the site.
    fetched = r"<(?:script|img|link|iframe|source)[^>]*(?:src|href)=\"(?:https?:)?//[^\"]*\""
    for path in site.rglob("*.html"):
        if "files" not in path.relative_to(site).parts:
            assert re.findall(fetched, path.read_text()) == [], path
    for path in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", path.read_text()), path


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_its_docstring_in_the_reference(site, package):
    names = set(importlib.import_module(package).__all__) - {"__version__"}
    pages = " ".join(path.read_text() for path in (site / "reference" / "python").glob("*.html"))
    shown = {name.rpartition(".")[2] for name in re.findall(r'<dt [^>]*id="([\w.]+)"', pages)}
    assert names - shown == set()


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_option_of_a_command_is_on_its_page(site, command):
    page = (site / "reference" / "commands" / f"{command}.html").read_text()
    text = re.sub(r"<[^>]*>", "", page)
    module = importlib.import_module(COMMANDS[command].module)
    options = options_of(module.argument_parser()) - {
        "--help",
        "-h",
    }  # said of all, on the page before
    assert {option for option in options if option not in text} == set()

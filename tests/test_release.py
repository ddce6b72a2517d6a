"""A release has one version: in the package, in what is cited and in the changelog."""

import re
import sys

import pytest

from mlip_engines import __version__
from tests.imports import ROOT


def citation(key: str) -> str:
    """Return a value of the first level of CITATION.cff."""
    (value,) = re.findall(rf'(?m)^{key}: "?([^"\n]+)"?$', (ROOT / "CITATION.cff").read_text())
    return value


def test_the_citation_is_of_this_version():
    assert citation("version") == __version__


def test_the_changelog_has_this_version_with_the_date_of_the_citation():
    text = (ROOT / "CHANGELOG.md").read_text()
    released = re.findall(r"(?m)^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", text)
    assert released[0] == (__version__, citation("date-released"))
    assert text.index("## [Unreleased]") < text.index(f"## [{__version__}]")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is in Python 3.11 and newer")
def test_packaging_takes_the_version_from_the_package():
    import tomllib

    found = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in found["project"] and found["project"]["dynamic"] == ["version"]
    assert found["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "mlip_engines.__version__"}


def test_citation_names_a_title_authors_and_references():
    yaml = pytest.importorskip(
        "yaml", reason="PyYAML is not installed: pip install 'mlip-engines[train]'"
    )
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (
        found["cff-version"] == "1.2.0" and found["authors"] and found["license"] == "BSD-3-Clause"
    )
    for reference in found["references"]:
        assert {"type", "title", "authors", "year"} <= reference.keys()
        assert reference.get("doi") or reference.get("identifiers")

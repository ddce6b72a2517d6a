"""Check the links of a built site: every file and every anchor is there. Nothing is fetched.

python docs/site/links.py build/docs               an error for each link that leads nowhere
python docs/site/links.py build/docs --external    links to other sites, and the pages that have them
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

NOT_OURS = {"_static", "_sources"}  # of the theme, and text


class Page(HTMLParser):
    """Anchors and links of a page.

    Attributes
    ----------
    anchors : set of str
    links : list of str
        Addresses of what the page leads to or shows.
    """

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what an element names and where it leads."""
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def read_site(folder: Path) -> dict[Path, Page]:
    """Return every page of a site, by its path in the folder."""
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*.html"))]
    return {
        path: Page((folder / path).read_text()) for path in paths if path.parts[0] not in NOT_OURS
    }


def broken_links(folder: Path, site: dict[Path, Page]) -> list[str]:
    """Return a line for each link within a site that leads nowhere.

    Parameters
    ----------
    folder : Path
        Of the built site.
    site : dict
        What :func:`read_site` returned of it.
    """
    broken = []
    for path, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (folder / path.parent / unquote(parts.path)).resolve() if parts.path else None
            if target is not None and not target.exists():
                broken.append(f"{path}: {link} does not exist")
                continue
            place = target.relative_to(folder.resolve()) if target is not None else path
            anchor = unquote(parts.fragment)
            if anchor and place in site and anchor not in site[place].anchors:
                broken.append(f"{path}: {link}: there is no such place on that page")
    return broken


def external_links(site: dict[Path, Page]) -> dict[str, list[Path]]:
    """Return the links of a site to other ones, each with the pages that have it."""
    found = defaultdict(set)
    for path, page in site.items():
        for link in page.links:
            if urlsplit(link).scheme in ("http", "https"):
                found[link].add(path)
    return {link: sorted(found[link]) for link in sorted(found)}


def main() -> int:
    """Check or list; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("site", type=Path, help="folder of the built site")
    parser.add_argument("--external", action="store_true", help="list links to other sites")
    options = parser.parse_args()
    site = read_site(options.site)
    if not site:
        sys.exit(f"{options.site} holds no pages; build them with: make docs")
    if options.external:
        for link, pages in external_links(site).items():
            more = f" and {len(pages) - 3} more" if len(pages) > 3 else ""
            print(f"{link}\n    {', '.join(map(str, pages[:3]))}{more}")
        return 0
    broken = broken_links(options.site, site)
    print(*broken, sep="\n", end="\n" if broken else "")
    print(f"{len(site)} pages, {len(broken)} links that lead nowhere")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

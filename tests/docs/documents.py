"""The documents of this project."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "lammps_plugin", "mlip_engines/shipped_models")


def has_own_text(page: Path) -> bool:
    """Whether a page is more than the place of another document in the site."""
    blocks = r"(?m)^```\{(?:include|toctree)\}.*?^```$"
    return re.sub(blocks, "", page.read_text(), flags=re.DOTALL).strip() != ""


FOUND = [*ROOT.glob("*.md"), *(p for f in FOLDERS for p in (ROOT / f).rglob("*.md"))]
DOCUMENTS = sorted(page for page in FOUND if has_own_text(page))
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]

"""The documents of this project."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "lammps_plugin", "mlip_engines/shipped_models")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(p for f in FOLDERS for p in (ROOT / f).rglob("*.md"))])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]

"""What each module of this project imports, read from its syntax tree: nothing is imported here."""

import ast
import functools
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {  # folder: the name under which it is imported
    "mlip_engines": "mlip_engines",
    "openmm_forces": "openmm_forces",
    "train": "mlip_train",
    "lammps_plugin": "lammps_plugin",
}


# Packages whose models the adapters open: the modules inside an adapter may import them, and nothing else may.
ADAPTED = {
    "allegro",
    "chgnet",
    "e3nn",
    "graph_pes",
    "mace",
    "matgl",
    "metatomic",
    "metatrain",
    "nequip",
    "orb_models",
    "schnetpack",
    "sevenn",
    "torchmdnet",
}


@dataclass(frozen=True)
class Import:
    """One name that a file imports."""

    name: str  # of a module
    is_late: bool  # in a function, or named in a string, so that it is not imported with the file


@functools.cache
def modules() -> dict[str, Path]:
    """Return the file of every module of this project."""
    found = {}
    for folder, package in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = [package, *path.relative_to(ROOT / folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def modules_of_adapted_packages() -> set[str]:
    """Return the modules that can be imported only where the package is installed whose models they open."""
    return {
        module
        for module, path in modules().items()
        if any(i.name.split(".")[0] in ADAPTED and not i.is_late for i in imports_of(path))
    }


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@functools.cache
def imports_of(path: Path) -> frozenset[Import]:
    """Return what a file imports, those under TYPE_CHECKING aside.

    Names in strings count where they are certain: the argument of ``import_module``, and the full name of a module of
    this project, as in ``[sys.executable, "-m", "openmm_forces.trajectory"]``.
    """
    return imports_in(path.read_text(), str(path))


def imports_in(source: str, path: str = "<string>") -> frozenset[Import]:
    reader = _Reader(path)
    reader.visit(ast.parse(source))
    return frozenset(reader.found)


class _Reader(ast.NodeVisitor):
    def __init__(self, path: str):
        self.path = path
        self.depth = 0  # of functions
        self.found: set[Import] = set()

    def _add(self, name: str, *, late: bool = False) -> None:
        self.found.add(Import(name, late or self.depth > 0))

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.orelse:
                self.visit(statement)
        else:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, f"{self.path}: expected absolute imports"
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            self._add(full if full in modules() else node.module)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func).split(".")[-1]
        if called in {"import_module", "__import__"} and isinstance(node.args[0], ast.Constant):
            self._add(node.args[0].value, late=True)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and "." in node.value and node.value in modules():
            self._add(node.value, late=True)


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of names that reach each other along arrows (Tarjan 1972, SIAM J. Comput. 1, 146)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for target in arrows.get(name, ()):
            if target not in order:
                visit(target)
                lowest[name] = min(lowest[name], lowest[target])
            elif target in stack:
                lowest[name] = min(lowest[name], order[target])
        if lowest[name] == order[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in arrows:
        if name not in order:
            visit(name)
    return found

"""How the C++ files depend on each other: no circle, and LAMMPS and libtorch each in its own files."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "lammps_plugin"
OPERATORS = ROOT / "mlip_engines" / "operators"
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)

RESPA_PROGRAM = """
#include "respa_cycle.h"
#include <cstdio>
int main()
{
  mlip::RespaCycle cycle;
  const auto step = [&](int inner) {
    for (int k = 0; k < inner; k++) std::printf("%d", cycle.count_inner());
    std::printf("%d", cycle.has_outer_since_inner());
    cycle.count_outer(false);
    std::printf("%d ", cycle.has_outer_since_inner());
  };
  cycle.begin(4);
  cycle.count_inner();
  cycle.count_outer(true);
  step(4);
  step(4);
  step(2);
  step(2);
  cycle.count_outer(false);
  std::printf("%d", cycle.count_inner());
}
"""


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in (".h", ".cpp"))


def includes(path: Path) -> list[str]:
    return [quoted or angled for quoted, angled in INCLUDE.findall(path.read_text())]


def own_includes() -> dict[str, list[str]]:
    """Files of the plugin and the operators, by name, and which others of them each includes."""
    every = {path.name: path for path in files(PLUGIN) + files(OPERATORS)}
    assert len(every) == len(files(PLUGIN)) + len(files(OPERATORS)), "two files have one name"
    return {
        name: [Path(each).name for each in includes(path) if Path(each).name in every]
        for name, path in every.items()
    }


def find_circle(graph: dict[str, list[str]]) -> list[str]:
    """Return the names along a circle, nothing if there is none."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in graph[name]:
            if circle := visit(other, [*path, name]):
                return circle
        done.add(name)
        return []

    return next((circle for name in graph if (circle := visit(name, []))), [])


def test_a_circle_is_found():
    assert find_circle({"a": ["b"], "b": ["c"], "c": ["b"], "d": []}) == ["b", "c", "b"]
    assert find_circle({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_no_header_includes_itself_over_others():
    graph = own_includes()
    assert sum(map(len, graph.values())) > 50
    assert find_circle(graph) == []


@pytest.mark.parametrize(("style", "count"), [("pair", 1), ("fix", 3), ("compute", 3)])
def test_headers_of_styles_show_nothing_of_what_is_inside(style, count):
    """As LAMMPS wants it: the header of the base class, the standard library, and nothing else."""
    headers = list(PLUGIN.glob(f"{style}_*mlip*.h"))
    assert len(headers) == count
    for header in headers:
        assert [each for each in includes(header) if each.endswith(".h")] == [f"{style}.h"]


def test_only_the_faces_of_the_plugin_know_the_pair_style():
    users = {name for name, included in own_includes().items() if "pair_mlip.h" in included}
    computes = {
        "compute_mlip_disagreement_atom.cpp",
        "compute_mlip_deviation.cpp",
        "compute_mlip_property.cpp",
    }
    faces = {"pair_mlip.cpp", "fix_mlip.cpp", *computes, "plugin.cpp"}
    # a member of a committee has the settings of the style that drives
    assert users == faces | {"committee_member.cpp"}


def everything_included(start: Path, graph: dict[str, list[str]]) -> set[str]:
    """Names of all headers, own and foreign, that a file includes directly or over own ones."""
    own = {path.name: path for path in files(PLUGIN) + files(OPERATORS)}
    seen, waiting = set(), [start.name]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph[name]
    return seen | {each for name in seen for each in includes(own[name])}


def test_a_file_knows_lammps_or_libtorch_or_neither():
    """The plugin must load where libtorch cannot, and the operators where there is no LAMMPS."""
    graph = own_includes()
    torch_files, lammps_files = set(), set()
    for path in files(PLUGIN):
        if path.suffix != ".cpp":
            continue
        headers = everything_included(path, graph)
        if any(re.match(r"(torch|ATen|c10|caffe2)/", header) for header in headers):
            torch_files.add(path.stem)
        if headers & {"pointers.h", "pair.h", "fix.h", "compute.h", "atom.h", "lmptype.h"}:
            lammps_files.add(path.stem)
    assert torch_files == {"torch_model", "torch_error", "model_archive", "extensions"}
    assert not torch_files & lammps_files
    assert "pair_mlip" in lammps_files
    assert not {"settings", "rotation", "sha256", "memory_policy"} & (torch_files | lammps_files)


def test_respa_cycle_knows_which_inner_call_ends_an_outer_step(tmp_path):
    """Set-up tells M, later cycles correct it; one program, compiled with the header alone."""
    compiler = shutil.which("c++") or shutil.which("g++")
    assert compiler, "the plugin was compiled, so there is a compiler"
    source = tmp_path / "cycle.cpp"
    source.write_text(RESPA_PROGRAM)
    program = tmp_path / "cycle"
    command = [compiler, "-std=c++17", f"-I{PLUGIN}", str(source), "-o", str(program)]
    subprocess.run(command, check=True)
    done = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    # 4 inner calls, the last one full; then cycles of 2, the first of which is not known yet; then 1
    assert done.stdout == "000101 000101 0001 0101 1"

"""Memory that the plugin keeps from one evaluation to the next, as glibc counts it, and the user's own choice."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "lammps_plugin"
PROGRAM = """
#include "memory_policy.h"
#include <cstdio>
#include <cstdlib>
#include <malloc.h>
int main()
{
  mlip::keep_memory();
  void *block = std::malloc(100000000);
  const auto n_mapped = mallinfo2().hblks;    // blocks that come from the operating system one by one
  std::free(block);
  std::printf("%s", n_mapped || !mallinfo2().keepcost ? "given back" : "kept");
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory_policy")
    (folder / "block.cpp").write_text(PROGRAM)
    sources = [folder / "block.cpp", PLUGIN / "memory_policy.cpp"]
    compiler = shutil.which("c++") or shutil.which("g++")
    assert compiler, "the plugin was compiled, so there is a compiler"
    command = [compiler, "-std=c++17", f"-I{PLUGIN}", *map(str, sources), "-o", folder / "block"]
    subprocess.run(command, check=True)
    return folder / "block"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "kept"),
        ({"GLIBC_TUNABLES": "glibc.pthread.rseq=0"}, "kept"),
        ({"GLIBC_TUNABLES": "glibc.pthread.rseq=0:glibc.malloc.tcache_count=7"}, "given back"),
        ({"MALLOC_TRIM_THRESHOLD_": "131072"}, "given back"),
        ({"MALLOC_MMAP_THRESHOLD_": "131072"}, "given back"),
    ],
)
def test_memory_is_kept_unless_the_user_tells_malloc_what_to_do(program, environment, expected):
    quiet = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [program], env={**quiet, **environment}, check=True, capture_output=True, text=True
    )
    assert done.stdout == expected

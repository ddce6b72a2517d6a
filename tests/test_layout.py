"""The tests lie where the code lies: whoever knows the file of a function knows the folder of its test."""

from pathlib import Path

from tests.imports import ROOT

TESTS = Path(__file__).parent
# What is tested as a whole, and belongs to no folder of the code.
OF_SEVERAL = {"physics", "adapters", "wheel"}


def folders() -> list[Path]:
    """Return every folder with tests, relative to ``tests``."""
    return sorted({path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")})


def test_every_folder_of_tests_is_a_folder_of_the_code():
    unknown = {
        str(folder)
        for folder in folders()
        if folder.parts[:1] and folder.parts[0] not in OF_SEVERAL and not (ROOT / folder).is_dir()
    }
    assert unknown == set()


def test_no_file_repeats_the_name_of_its_folder():
    repeated = {
        str(path.relative_to(TESTS))
        for path in TESTS.rglob("test_*.py")
        if path.parent != TESTS and path.parent.name in path.stem.removeprefix("test_").split("_")
    }
    assert repeated == set()

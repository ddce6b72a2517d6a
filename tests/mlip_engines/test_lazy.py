"""Public names of packages are imported when they are used, and those that are not there are named."""

from importlib import import_module

import pytest

PACKAGES = [
    "mlip_engines",
    "mlip_engines.diagnostics",
    "mlip_engines.properties",
    "mlip_engines.readers",
    "openmm_forces",
]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_of_a_package_is_there(name):
    if name == "openmm_forces":
        pytest.importorskip("openmm")
    package = import_module(name)
    for public in package.__all__:
        found = getattr(package, public)
        assert getattr(found, "__name__", public) == public or public == "__version__"
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        package.nothing  # noqa: B018

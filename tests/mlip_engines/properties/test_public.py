"""Names that a user imports from the packages themselves."""

import pytest

from mlip_engines import diagnostics, properties


@pytest.mark.parametrize("package", [diagnostics, properties])
def test_public_names_can_be_imported(package):
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # noqa: B018

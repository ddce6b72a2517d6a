"""A file beside the calculator of another package: what counts is bonds, not the energies of free atoms."""

import pytest
from ase.calculators.calculator import Calculator, all_changes

from mlip_engines import MlipCalculator
from mlip_engines.conformance.comparison import compare_with_reference
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.load import read_metadata
from mlip_train.potentials.analytic import LennardJones
from tests.exact_models import write_model

FREE = -13600.0  # eV, such as all electrons of argon have


class Beside(Calculator):
    """The file's own numbers, with an error per atom and a factor on the forces."""

    implemented_properties = ["energy", "forces"]

    def __init__(self, path, error=0.0, factor=1.0):
        super().__init__()
        self.own, self.error, self.factor = MlipCalculator(path), error, factor

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        energy = self.own.get_potential_energy(atoms) + self.error * len(atoms)
        self.results = {"energy": energy, "forces": self.factor * self.own.get_forces(atoms)}


@pytest.fixture
def model(tmp_path):
    return write_model(
        tmp_path / "argon.pt", LennardJones(7.0), ["Ar"], reference_energies={"Ar": FREE}
    )


def test_the_same_numbers_pass(model):
    found = compare_with_reference(model, read_metadata(model), Beside(model))
    assert (found.energy, found.forces, found.structures) == (0.0, 0.0, 2)


def test_an_error_is_seen_however_large_the_energies_of_free_atoms_are(model):
    # a ten-millionth of the energies, and all of a bond of argon
    with pytest.raises(ModelContractError, match=r"energy .* differ"):
        compare_with_reference(model, read_metadata(model), Beside(model, error=0.001))


def test_wrong_forces_are_seen(model):
    with pytest.raises(ModelContractError, match=r"forces .* differ"):
        compare_with_reference(model, read_metadata(model), Beside(model, factor=1.01))

"""Mixed systems: what is removed, what is kept, against sums of parts and against openmm-ml."""

import ase.io
import numpy as np
import openmm
import pytest
from openmm import app

from openmm_forces import (
    RespaIntegrator,
    create_force,
    create_mixed_system,
    create_system,
    evaluation_counts,
)
from pair_oracle import pair_sums
from structures import STRUCTURES
from tests.openmm_forces.conftest import BASELINE
from tests.openmm_forces.mm_water import NM, energy_and_forces, mm_system, topology_of
from tests.openmm_forces.runner import EV
from tolerances import TOLERANCE

WATER = {"cutoff": 3.5, "epsilon": 0.02, "sigma": 1.1, "curl": 0.01}
FORCE = TOLERANCE["float64"].force * EV / NM  # kJ/mol/nm
ENERGY = TOLERANCE["float64"].energy * EV  # kJ/mol
COULOMB = 138.935456  # kJ nm/mol/e^2, OpenMM's to seven digits


def part_of(atoms, indices):
    """Energy and forces (n, 3) of the model for some of the atoms, from numpy, in OpenMM's units."""
    part = atoms[indices]
    energy, forces, _ = pair_sums(part, **WATER)
    energy += sum(BASELINE[symbol] for symbol in part.symbols)
    everywhere = np.zeros((len(atoms), 3))
    everywhere[indices] = forces
    return energy * EV, everywhere * EV / NM


@pytest.mark.parametrize("rigid", [False, True])
def test_mixed_is_the_whole_minus_the_part_plus_the_model(models, host, rigid):
    """In vacuum, where the force field's energy of a part is that of its own System."""
    atoms = STRUCTURES["molecules"]()
    region = [8, 6, 7, 0, 1, 2]  # any order
    system = mm_system(topology_of(atoms), rigidWater=rigid)
    mixed = create_mixed_system(topology_of(atoms), system, region, models["water"], host=host)
    energy, forces = energy_and_forces(mixed, atoms.positions * NM)

    whole, whole_forces = energy_and_forces(system, atoms.positions * NM)
    part = atoms[sorted(region)]
    part_system = mm_system(topology_of(part), rigidWater=rigid)
    part_energy, part_forces = energy_and_forces(part_system, part.positions * NM)
    model_energy, model_forces = part_of(atoms, region)
    whole_forces[sorted(region)] -= part_forces
    assert energy == pytest.approx(whole - part_energy + model_energy, abs=ENERGY, rel=0)
    np.testing.assert_allclose(forces, whole_forces + model_forces, rtol=0, atol=FORCE)
    constrained = {
        particle
        for index in range(mixed.getNumConstraints())
        for particle in mixed.getConstraintParameters(index)[:2]
    }
    assert constrained == (set(range(12)) - set(region) if rigid else set())


def test_region_of_everything_is_the_model(models, host):
    atoms = STRUCTURES["orthogonal"]()
    topology = topology_of(atoms)
    system = mm_system(topology, nonbondedMethod=app.CutoffPeriodic, nonbondedCutoff=0.3)
    mixed = create_mixed_system(topology, system, range(len(atoms)), models["water"], host=host)
    pure = create_system(topology, models["water"], host=host)
    found, found_forces = energy_and_forces(mixed, atoms.positions * NM)
    energy, forces = energy_and_forces(pure, atoms.positions * NM)
    # The force field's correction for dispersion beyond the cutoff counts all pairs and stays.
    for force in mixed.getForces():
        if isinstance(force, openmm.NonbondedForce):
            force.setUseDispersionCorrection(False)
    without, _ = energy_and_forces(mixed, atoms.positions * NM)
    assert without == pytest.approx(energy, abs=ENERGY, rel=0)
    assert abs(found - without) > ENERGY
    np.testing.assert_allclose(found_forces, forces, rtol=0, atol=FORCE)


def test_the_given_system_is_not_changed(models):
    """The System that is given stays as it is."""
    atoms = STRUCTURES["molecules"]()
    system = mm_system(topology_of(atoms))
    before = openmm.XmlSerializer.serialize(system)
    create_mixed_system(topology_of(atoms), system, [0, 1, 2], models["water"])
    assert openmm.XmlSerializer.serialize(system) == before


@pytest.mark.parametrize("shift", [0, 1], ids=["wrapped", "unwrapped"])
def test_ewald_sum_loses_the_nearest_images_within_the_region(models, host, shift):
    """Coulomb and Lennard-Jones between the two molecules are removed as numpy sums them."""
    atoms = STRUCTURES["orthogonal"]()
    region = [0, 1, 2, 9, 10, 11]
    topology = topology_of(atoms)
    system = mm_system(
        topology, nonbondedMethod=app.PME, nonbondedCutoff=0.3, ewaldErrorTolerance=1e-6
    )
    mixed = create_mixed_system(topology, system, region, models["water"], host=host)
    positions = atoms.positions * NM
    positions[9:12] += shift * atoms.cell.array[0] * NM  # another image of the second molecule
    energy, _ = energy_and_forces(mixed, positions)
    whole, _ = energy_and_forces(system, atoms.positions * NM)

    nonbonded = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    removed = 0.0
    for i in region[:3]:
        for j in region[3:]:
            distance = atoms.get_distance(i, j, mic=True) * NM
            (q, s, e), (p, t, f) = (
                [x._value for x in nonbonded.getParticleParameters(k)] for k in (i, j)
            )
            removed += COULOMB * q * p / distance
            sixth = (0.5 * (s + t) / distance) ** 6
            removed += 4 * np.sqrt(e * f) * (sixth**2 - sixth) * (distance < 0.3)
    for first in (region[0], region[3]):
        removed += bonded_energy(atoms[first : first + 3])
    # Energies of an Ewald sum to its own tolerance; both sides sum the same one.
    expected = whole - removed + part_of(atoms, region)[0]
    assert abs(removed) > 1.0
    assert energy == pytest.approx(expected, abs=2e-3, rel=0)


def bonded_energy(molecule) -> float:
    """Bonds and angles of one water, kJ/mol."""
    molecule.pbc = False
    system = mm_system(topology_of(molecule))
    for index in reversed(range(system.getNumForces())):
        if isinstance(system.getForce(index), openmm.NonbondedForce):
            system.removeForce(index)
    return energy_and_forces(system, molecule.positions * NM)[0]


@pytest.mark.parametrize("custom", [False, True])
def test_equals_openmm_ml(models, custom):
    """The other implementation of mechanical embedding, with the same model."""
    openmmml = pytest.importorskip("openmmml", reason="openmm-ml is not installed")
    atoms = STRUCTURES["orthogonal"]()
    topology = topology_of(atoms)
    system = mm_system(topology, nonbondedMethod=app.PME, nonbondedCutoff=0.3, rigidWater=True)
    if custom:
        extra = openmm.CustomNonbondedForce("0.1*exp(-r/0.1)")
        extra.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffPeriodic)
        extra.setCutoffDistance(0.3)
        nonbonded = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
        for _ in range(len(atoms)):
            extra.addParticle([])
        for index in range(nonbonded.getNumExceptions()):
            extra.addExclusion(*nonbonded.getExceptionParameters(index)[:2])
        system.addForce(extra)
    region = list(range(6, 15))
    ours = create_mixed_system(topology, system, region, models["water"])
    potential = openmmml.MLPotential("mlip", modelPath=models["water"])
    theirs = potential.createMixedSystem(topology, system, region)
    assert ours.getNumConstraints() == theirs.getNumConstraints() < system.getNumConstraints()
    (energy, forces), (reference, reference_forces) = (
        energy_and_forces(s, atoms.positions * NM) for s in (ours, theirs)
    )
    assert energy == pytest.approx(reference, abs=ENERGY, rel=0)
    np.testing.assert_allclose(forces, reference_forces, rtol=0, atol=FORCE)


def four_site_water(atoms):
    """TIP4P-Ew: topology with virtual sites, positions in nm, and the atoms' indices."""
    modeller = app.Modeller(topology_of(atoms), atoms.positions * NM)
    modeller.addExtraParticles(app.ForceField("tip4pew.xml"))
    positions = np.array(modeller.positions.value_in_unit(modeller.positions.unit))
    with_element = [a.index for a in modeller.topology.atoms() if a.element is not None]
    return modeller.topology, positions, with_element


def test_virtual_sites_go_with_their_molecules(models, host):
    """Charges of the fourth site act on the rest and no longer within the region."""
    atoms = STRUCTURES["molecules"]()
    topology, positions, with_element = four_site_water(atoms)
    system = mm_system(topology, "tip4pew.xml")
    region = with_element[:6]
    mixed = create_mixed_system(topology, system, region, models["water"], host=host)
    energy, _ = energy_and_forces(mixed, positions)
    whole, _ = energy_and_forces(system, positions)
    part_topology, part_positions, _ = four_site_water(atoms[:6])
    part, _ = energy_and_forces(mm_system(part_topology, "tip4pew.xml"), part_positions)
    model = part_of(atoms, list(range(6)))[0]
    assert energy == pytest.approx(whole - part + model, abs=ENERGY, rel=0)


def test_respa_in_a_mixed_system(models, host):
    """One full evaluation per outer step, energy conserved, rigid water outside the region."""
    atoms = STRUCTURES["molecules"]()
    topology = topology_of(atoms)
    system = create_mixed_system(
        topology, mm_system(topology, rigidWater=True), [0, 1, 2], models["water"], host=host
    )
    integrator = RespaIntegrator(0.0004, 4)
    integrator.setConstraintTolerance(1e-8)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(atoms.positions * NM)
    context.applyConstraints(1e-8)
    context.setVelocitiesToTemperature(100.0, 4)
    integrator.step(1)
    before = evaluation_counts(context)
    total, kinetic = [], []
    for _ in range(8):
        state = context.getState(getEnergy=True)
        kinetic.append(state.getKineticEnergy()._value)
        total.append(state.getPotentialEnergy()._value + kinetic[-1])
        integrator.step(5)
    counts = evaluation_counts(context)
    assert (counts.full - before.full, counts.non_conservative - before.non_conservative) == (
        40,
        120,
    )
    assert np.ptp(total) < 1e-3 * np.ptp(kinetic)


REFUSED = [
    ([], "at least one particle"),
    ([0, 1, 2, 2], r"distinct ml_particles, got \[0, 1, 2, 2\]"),
    ([0, 1, 12], "ml_particles from 0 to 11"),
    ([-1, 0], "ml_particles from 0 to 11"),
    ([0, 1], "whole molecules, got a bond between 0 and 2"),
]


@pytest.mark.parametrize("region, message", REFUSED)
def test_regions_that_make_no_sense(models, region, message):
    topology = topology_of(STRUCTURES["molecules"]())
    with pytest.raises(ValueError, match=message):
        create_mixed_system(topology, mm_system(topology), region, models["water"])


def test_region_that_cuts_a_constraint(models):
    topology = topology_of(STRUCTURES["molecules"]())
    system = mm_system(topology)
    system.addConstraint(0, 3, 0.3)
    with pytest.raises(ValueError, match="a constraint between 0 and 3"):
        create_mixed_system(topology, system, [0, 1, 2], models["water"])


def test_virtual_sites_in_the_region(models):
    topology, _, with_element = four_site_water(STRUCTURES["molecules"]())
    system = mm_system(topology, "tip4pew.xml")
    with pytest.raises(ValueError, match=r"got the virtual site 3 \(M of residue HOH\)"):
        create_mixed_system(topology, system, [0, 1, 2, 3], models["water"])
    system.setVirtualSite(3, openmm.TwoParticleAverageSite(0, with_element[5], 0.5, 0.5))
    with pytest.raises(ValueError, match="part of the particles .* virtual site 3"):
        create_mixed_system(topology, system, with_element[:3], models["water"])


def test_topology_of_another_size(models):
    atoms = STRUCTURES["molecules"]()
    system = mm_system(topology_of(atoms))
    with pytest.raises(ValueError, match="got 9 atoms and 12 particles"):
        create_mixed_system(topology_of(atoms[:9]), system, [0, 1, 2], models["water"])


def test_element_that_the_model_does_not_know(models):
    topology = topology_of(STRUCTURES["molecules"]())
    with pytest.raises(ValueError, match="the model knows Ar, got H, O"):
        create_mixed_system(topology, mm_system(topology), [0, 1, 2], models["argon"])


def test_forces_that_cannot_be_taken_apart(models, host):
    """A model already there, and solvent models: before anything is copied."""
    topology = topology_of(STRUCTURES["molecules"]())
    for force in (
        create_force(models["water"], [8], particles=[0], host=host),
        openmm.GBSAOBCForce(),
    ):
        system = mm_system(topology)
        system.addForce(force)
        with pytest.raises(
            ValueError, match="of which the part within a region can be removed, got"
        ):
            create_mixed_system(topology, system, [0, 1, 2], models["water"])


def test_offsets_within_the_region(models):
    topology = topology_of(STRUCTURES["molecules"]())
    system = mm_system(topology)
    nonbonded = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    nonbonded.addGlobalParameter("scale", 0.0)
    nonbonded.addExceptionParameterOffset("scale", 0, 1.0, 0.0, 0.0)
    first, second = nonbonded.getExceptionParameters(0)[:2]
    region = [3 * (first // 3) + k for k in range(3)]
    with pytest.raises(ValueError, match=rf"got one for the particles \[{first}, {second}\]"):
        create_mixed_system(topology, system, region, models["water"])


def test_images_of_a_region_of_all_molecules_stay_with_the_force_field_under_pme(any_host):
    """The number of docs/openmm.md: how far such a System is from the pure model."""
    atoms = ase.io.read("examples/water_64.extxyz")
    topology = topology_of(atoms)
    pure, forces = energy_and_forces(
        create_system(topology, "water", host=any_host), atoms.positions * NM
    )
    for method, energy, force in ((app.PME, -125.0, 200.0), (app.CutoffPeriodic, 0.0, 0.0)):
        system = mm_system(topology, nonbondedMethod=method, nonbondedCutoff=0.6)
        mixed = create_mixed_system(topology, system, range(len(atoms)), "water", host=any_host)
        for part in mixed.getForces():
            if isinstance(part, openmm.NonbondedForce):
                part.setUseDispersionCorrection(False)
        found, found_forces = energy_and_forces(mixed, atoms.positions * NM)
        assert found - pure == pytest.approx(energy, abs=1.0)
        rms = np.sqrt(np.mean((found_forces - forces) ** 2))
        assert rms == pytest.approx(force, abs=1.0)

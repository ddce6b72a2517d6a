"""Phonons of a crystal: displaced supercells in batches, force constants, and what phonopy makes of them.

References
----------
Togo, Chaput, Tadano, Tanaka, J. Phys.: Condens. Matter 35, 353001 (2023), for phonopy; Hinuma, Pizzi, Kumagai, Oba,
Tanaka, Comput. Mater. Sci. 128, 140 (2017), for the path in the Brillouin zone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_engines.model.load import LoadedModel
from mlip_engines.phonons.settings import PhononSettings
from mlip_engines.phonons.supercell import checked_supercell
from mlip_engines.relaxation.evaluation import evaluate_each

if TYPE_CHECKING:
    from phonopy import Phonopy

IMAGINARY = -0.05  # THz; below, a mode is imaginary and not just round-off


@dataclass
class Phonons:
    """What was found for one kind of forces.

    Parameters
    ----------
    label : str
        Of the curve.
    phonopy : phonopy.Phonopy
        With force constants, bands, mesh, density of states and thermal properties.
    displacement : float, Å
    n_displaced : int
        Supercells that were evaluated.
    drift : float, eV/Å^2
        The largest sum of force constants over an atom before the acoustic sum rule was imposed.
    residual_force : float, eV/Å
        The largest force in the perfect crystal, which is subtracted.
    warnings : list of str
    """

    label: str
    phonopy: Phonopy
    displacement: float
    n_displaced: int
    drift: float
    residual_force: float
    warnings: list[str] = field(default_factory=list)

    def points(self) -> dict[str, NDArray[np.float64]]:
        """Return the frequencies in THz at the named points of the path; imaginary ones are negative."""
        found: dict[str, NDArray[np.float64]] = {}
        bands = self.phonopy.band_structure
        labels = [plain_label(label) for label in bands.labels]
        connections = list(bands.path_connections)
        k = 0
        for frequencies, is_connected in zip(bands.frequencies, connections, strict=True):
            found.setdefault(labels[k], frequencies[0])
            found.setdefault(labels[k + 1], frequencies[-1])
            k += 1 if is_connected else 2
        return found

    def imaginary_modes(self) -> list[tuple[NDArray[np.float64], float]]:
        """Return the q of imaginary modes on the mesh and on the path, with their lowest frequency, lowest first.

        q is in reciprocal lattice vectors of the primitive cell, and frequencies are in THz.
        """
        bands, mesh = self.phonopy.band_structure, self.phonopy.mesh
        found: dict[tuple[float, ...], float] = {}
        for qs, frequencies in [
            *zip(bands.qpoints, bands.frequencies, strict=True),
            (mesh.qpoints, mesh.frequencies),
        ]:
            for q, lowest in zip(qs, np.min(frequencies, axis=1), strict=True):
                if lowest < IMAGINARY:
                    found[tuple(np.round(q, 4))] = float(lowest)
        return [(np.array(q), f) for q, f in sorted(found.items(), key=lambda item: item[1])]

    def thermal(self) -> dict[str, NDArray[np.float64]]:
        """Return ``temperature_K``, and ``free_energy``, ``entropy`` and ``heat_capacity`` per primitive cell.

        In kJ/mol and J/K/mol, as phonopy has them.
        """
        values = self.phonopy.thermal_properties
        return {
            "temperature_K": values.temperatures,
            "free_energy_kJ_per_mol": values.free_energy,
            "entropy_J_per_K_mol": values.entropy,
            "heat_capacity_J_per_K_mol": values.heat_capacity,
        }

    def summary(self) -> dict[str, Any]:
        """Return numbers that JSON can hold."""
        thermal = self.thermal()
        room = int(np.argmin(np.abs(thermal["temperature_K"] - 300.0)))
        return {
            "label": self.label,
            "displacement_angstrom": self.displacement,
            "displaced_cells": self.n_displaced,
            "drift_eV_per_A2": self.drift,
            "residual_force_eV_per_A": self.residual_force,
            "frequencies_THz": {k: v.tolist() for k, v in self.points().items()},
            "highest_THz": float(np.max(self.phonopy.mesh.frequencies)),
            "imaginary": [{"q": q.tolist(), "THz": f} for q, f in self.imaginary_modes()[:LISTED]],
            "n_imaginary_q": len(self.imaginary_modes()),
            "zero_point_energy_kJ_per_mol": float(thermal["free_energy_kJ_per_mol"][0]),
            "temperature_K": float(thermal["temperature_K"][room]),
            "free_energy_kJ_per_mol": float(thermal["free_energy_kJ_per_mol"][room]),
            "heat_capacity_J_per_K_mol": float(thermal["heat_capacity_J_per_K_mol"][room]),
            "warnings": self.warnings,
        }

    def write(self, folder: Path) -> None:
        """Write files that phonopy reads: parameters with force constants, bands, density of states, free energy."""
        folder.mkdir(parents=True, exist_ok=True)
        self.phonopy.save(folder / "phonopy_params.yaml", settings={"force_constants": True})
        self.phonopy.write_yaml_band_structure(filename=folder / "band.yaml")
        self.phonopy.write_total_dos(filename=folder / "total_dos.dat")
        self.phonopy.write_yaml_thermal_properties(filename=folder / "thermal_properties.yaml")


LISTED = 20  # imaginary modes in a summary


def phonons(
    model: LoadedModel,
    atoms: Atoms,
    *,
    forces: str = "conservative",
    settings: PhononSettings | None = None,
    label: str = "",
) -> Phonons:
    """Compute the phonons of a crystal with one kind of forces of a model.

    The crystal is taken as it is: relax it first, with the same model.

    Parameters
    ----------
    model : LoadedModel
    atoms : ase.Atoms
        Periodic in three directions.
    forces : {"conservative", "non_conservative"}
    settings : PhononSettings, optional
    label : str
        Default: the name of the model and the kind of forces.

    Raises
    ------
    ValueError
        If the structure or the supercell does not suit the model.
    ImportError
        If phonopy is not installed.
    """
    settings = settings or PhononSettings()
    if forces == "non_conservative" and not model.metadata.has_non_conservative_forces:
        raise ValueError(
            f"{model.path}: non-conservative forces need a model with this head, got "
            f"{', '.join(model.metadata.heads)}; use conservative forces or another model"
        )
    supercell, warnings = checked_supercell(atoms, model, settings.supercell)
    phonopy = _phonopy(atoms, supercell, settings.tolerance)
    displacement = settings.displacements[forces]
    phonopy.generate_displacements(distance=displacement)
    cells = [phonopy.supercell, *phonopy.supercells_with_displacements]
    info = {k: v for k, v in atoms.info.items() if k in ("charge", "total_charge", "spin")}
    if info and model.metadata.structure_inputs:
        raise ValueError(
            f"the structure has {', '.join(info)}: phonons of charged crystals are not implemented, since the charge "
            "of the supercell is not known"
        )
    found = list(
        evaluate_each(model, map(_to_ase, cells), forces=forces, max_edges=settings.max_edges)
    )
    perfect = found[0].forces
    phonopy.forces = np.array([each.forces - perfect for each in found[1:]])
    phonopy.produce_force_constants(show_drift=False)
    constants = phonopy.force_constants
    drift = float(max(np.abs(constants.sum(axis=k)).max() for k in (0, 1)))
    phonopy.symmetrize_force_constants(show_drift=False)
    _bands(phonopy, settings.path_points)
    phonopy.run_mesh(settings.mesh)
    phonopy.run_total_dos()
    phonopy.run_thermal_properties(
        t_min=0.0,
        t_max=settings.temperature_max,
        t_step=settings.temperature_step,
        exclude_gamma_acoustic=True,  # the crystal as a whole, of frequency 0
    )
    kind = {"conservative": "C", "non_conservative": "NC"}[forces]
    result = Phonons(
        label or f"{model.metadata.name} {kind}",
        phonopy,
        displacement,
        len(found) - 1,
        drift,
        float(np.linalg.norm(perfect, axis=1).max()),
        warnings,
    )
    imaginary = result.imaginary_modes()
    if imaginary:
        q, lowest = imaginary[0]
        result.warnings.append(
            f"{len(imaginary)} q of the path and the mesh have imaginary modes, the lowest {-lowest:.2f}i THz at q = "
            f"({', '.join(f'{x:.3g}' for x in q)}): this structure is no minimum of the energy, or the supercell is "
            "too small. The free energy leaves these modes out."
        )
    return result


def _phonopy(atoms: Atoms, supercell: tuple[int, int, int], tolerance: float) -> Phonopy:
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(),
        masses=atoms.get_masses(),
    )
    return Phonopy(cell, np.diag(supercell), primitive_matrix="auto", symprec=tolerance)


def _to_ase(cell) -> Atoms:
    return Atoms(cell.symbols, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True)


def _bands(phonopy: Phonopy, n_points: int) -> None:
    """Run the bands on the path of seekpath."""
    from phonopy.phonon.band_structure import get_band_qpoints_by_seekpath

    paths, labels, connections = get_band_qpoints_by_seekpath(
        phonopy.primitive, n_points, is_const_interval=True
    )
    phonopy.run_band_structure(paths, path_connections=connections, labels=labels)


def plain_label(label: str) -> str:
    """Return a label without the LaTeX of phonopy."""
    return label.replace("$\\Gamma$", "Γ").replace("$\\mathrm{", "").replace("}$", "").strip("$")

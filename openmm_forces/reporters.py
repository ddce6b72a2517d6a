"""Reporters for ``Simulation.reporters``: the conserved energy, C - NC, a committee, and frames for ASE.

OpenMM's own reporters work beside these. ``StateDataReporter`` (progress and remaining time included)
shows conservative energies under r-RESPA. With non-conservative forces alone it stops at an energy that is NaN;
use the reporters of this file, or :func:`openmm_forces.conservative_energy`.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import ase.io
import ase.units
import openmm
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from openmm import app, unit

from mlip_engines.committee import Committee
from mlip_engines.model.disagreement_limit import disagreement_limit
from mlip_engines.model.load import LoadedModel, find_model, read_metadata
from mlip_engines.properties.deviation import Deviation
from mlip_engines.units import EV_TO_KJ_PER_MOL, NM_TO_ANGSTROM
from openmm_forces.conserved import conserved_energy
from openmm_forces.evaluations import conservative_state, evaluation_counts, head_disagreement
from openmm_forces.properties import PresentProperties, present_atoms


class _Table:
    """A CSV file that grows by one line every ``interval`` steps, and says so to OpenMM."""

    columns: tuple[str, ...] = ()

    def __init__(self, file: str | Path, interval: int, *, append: bool = False):
        self.interval = _checked_interval(interval)
        self._path = Path(file)
        self._trims = append and self._path.exists()
        if not self._trims:
            self._path.write_text("", encoding="utf-8")
            self._write(("step", "time_ps", *self.columns))

    def describeNextReport(self, simulation: app.Simulation) -> dict:
        """Tell OpenMM when the next report is due."""
        return _next_report(simulation, self.interval)

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        """Write one line."""
        if self._trims:
            _replace(self._path, self._lines_before(simulation.currentStep))
            self._trims = False
        time = state.getTime().value_in_unit(unit.picosecond)
        self._write((simulation.currentStep, f"{time:.6f}", *self._row(simulation)))

    def _lines_before(self, step: int) -> list[str]:
        """Return header and whole lines up to a step; the last line of a killed run may be cut."""
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        header = ("step", "time_ps", *self.columns)
        if not lines or lines[0].rstrip("\n").split(",") != list(header):
            raise ValueError(
                f"{self._path}: expected a file with the columns {', '.join(header)}, got "
                f"{lines[0].strip() if lines else 'an empty one'}; write to another file"
            )
        kept = lines[:1]
        for line in lines[1:]:
            fields = line.split(",")
            is_whole = line.endswith("\n") and len(fields) == len(header)
            if is_whole and int(fields[0]) < step:
                kept.append(line)
        return kept

    def _row(self, simulation: app.Simulation) -> tuple:
        raise NotImplementedError

    def _write(self, values: tuple) -> None:
        # Whole lines: a run that is killed leaves a file that can be read.
        with self._path.open("a", encoding="utf-8") as file:
            file.write(",".join(str(value) for value in values) + "\n")


class ConservedQuantityReporter(_Table):
    """Write the energy that an exact integrator would conserve: potential plus kinetic, minus the heat from a bath.

    Columns: step, time (ps), potential, kinetic, heat, conserved (eV). The potential energy is always the
    conservative one; if the forces are non-conservative, each line costs a full evaluation.

    Parameters
    ----------
    file : str or Path
    interval : int
        Steps of the integrator between lines.
    append : bool
        Continue an existing file. Its lines from the first new step on are removed, so that a run resumed from
        a checkpoint has every step once.

    Raises
    ------
    ValueError
        From the first report, if the conserved energy is not known: with an integrator that has a bath of
        OpenMM's own, with a barostat, or with an AndersenThermostat.
    """

    columns = ("potential_eV", "kinetic_eV", "heat_eV", "conserved_eV")

    def _row(self, simulation: app.Simulation) -> tuple:
        terms = conserved_energy(simulation.context, simulation.integrator)
        return tuple(f"{term:.8f}" for term in terms)


class HeadDisagreementReporter(_Table):
    """Write how far conservative (C) and non-conservative (NC) forces differ.

    Columns: step, time (ps), root mean square and maximum over atoms of the length of C - NC (eV/Å),
    the number of NC-only and of full evaluations so far. Under r-RESPA this costs nothing, because both kinds of
    forces are known at the end of a step. Otherwise both are evaluated in one pass, which serves the next step too.

    Parameters
    ----------
    file : str or Path
    interval : int
        Steps of the integrator between lines.
    append : bool
        Continue an existing file. Its lines from the first new step on are removed, so that a run resumed from
        a checkpoint has every step once.
    warn : float, str or Path, optional
        Warn once when |C - NC| of an atom exceeds this, in eV/Å; or a model, whose file says beyond what its training
        does not explain it (:func:`~mlip_engines.model.disagreement_limit.disagreement_limit`).

    Raises
    ------
    ValueError
        If the limit is not positive, or the file of the model does not say how far its forces differ.
    openmm.OpenMMException
        From the first report, if the model has no head for non-conservative forces.
    """

    columns = (
        "rms_eV_per_A",
        "max_eV_per_A",
        "non_conservative_evaluations",
        "full_evaluations",
    )

    def __init__(
        self,
        file: str | Path,
        interval: int,
        *,
        append: bool = False,
        warn: float | str | Path | None = None,
    ):
        self.limit = None if warn is None else _limit(warn)  # eV/Å
        super().__init__(file, interval, append=append)

    def _row(self, simulation: app.Simulation) -> tuple:
        found = head_disagreement(simulation.context)
        if self.limit is not None and found.max > self.limit:
            warnings.warn(
                f"conservative and non-conservative force on an atom differ by {found.max:.4g} eV/Å in step "
                f"{simulation.currentStep}, more than {self.limit:.4g}: the model may not know this environment. This "
                "is said once",
                stacklevel=2,
            )
            self.limit = None
        counts = evaluation_counts(simulation.context)
        return f"{found.rms:.8f}", f"{found.max:.8f}", counts.non_conservative, counts.full


def _limit(warn: float | str | Path) -> float:
    """Return a limit of |C - NC|, eV/Å: the number itself, or what the file of a model says."""
    if isinstance(warn, (str, Path)):
        limit = disagreement_limit(read_metadata(find_model(warn)))
        if limit is None:
            raise ValueError(
                f"{warn} does not say how far its conservative and non-conservative forces differ; give a limit in "
                "eV/Å: warn=0.3"
            )
        return limit
    if not 0.0 < warn < math.inf:
        raise ValueError(
            f"warn is a positive number, in eV/Å, or the model file that says it; got {warn!r}"
        )
    return float(warn)


class CommitteeReporter(_Table):
    """Write how far several models deviate from their mean, as ``model_devi.out`` of other packages does.

    Columns: step, time (ps), and those of :class:`mlip_engines.Deviation`: maximum, minimum and mean over atoms of the
    deviation of forces (eV/Å), of the virial and of the energy (eV/atom). Each line costs one evaluation of each model,
    in ASE and on the CPU unless ``device`` says otherwise; between lines there is no cost. Forces are conservative,
    whatever moves the atoms.

    Parameters
    ----------
    file : str or Path
    interval : int
        Steps of the integrator between lines.
    models : sequence of str, Path or LoadedModel
        All models of the committee, the one that drives the simulation first.
    atoms : iterable of int, optional
        Indices of the atoms of the models, the region of a mixed system for example; by default all atoms that have an
        element. Atoms of the region see each other only, as with mechanical embedding.
    append : bool
        Continue an existing file. Its lines from the first new step on are removed, so that a run resumed from
        a checkpoint has every step once.
    options
        Keywords of :class:`mlip_engines.Committee`: device, total_charge, spin_multiplicity.

    Raises
    ------
    ValueError
        If there are fewer than two models; from the first report, if a model does not know an element or ``atoms``
        names an atom that is not there.
    """

    columns = Deviation.columns

    def __init__(
        self,
        file: str | Path,
        interval: int,
        models: Sequence[str | Path | LoadedModel],
        *,
        atoms: Iterable[int] | None = None,
        append: bool = False,
        **options,
    ):
        self.committee = Committee(models, **options)  # before a file is emptied
        self._indices = None if atoms is None else sorted(set(atoms))
        super().__init__(file, interval, append=append)

    def _row(self, simulation: app.Simulation) -> tuple:
        structure = present_atoms(simulation.context, simulation.topology, self._indices)
        return tuple(f"{value:.8f}" for value in self.committee.deviation(structure).row())


class PropertyReporter(_Table):
    """Write properties of the structure that a model file has beside the energy, such as a gap.

    Columns: step, time (ps), and each property in the unit that the file says (``mlip-export --info FILE``). Each line
    costs one evaluation of the network of the properties, in ASE and on the CPU unless ``device`` says otherwise;
    between lines there is no cost.

    Parameters
    ----------
    file : str or Path
    interval : int
        Steps of the integrator between lines.
    model : str, Path or LoadedModel
        It need not be the one that drives the simulation.
    atoms : iterable of int, optional
        Indices of the atoms of the structure, the region of a mixed system for example; by default all atoms that have
        an element.
    append : bool
        Continue an existing file. Its lines from the first new step on are removed, so that a run resumed from
        a checkpoint has every step once.
    options
        Keywords of :class:`mlip_engines.MlipCalculator`: device, total_charge, spin_multiplicity.

    Raises
    ------
    ValueError
        If the model has no properties; from the first report, if it does not know an element or ``atoms`` names an atom
        that is not there.
    """

    def __init__(
        self,
        file: str | Path,
        interval: int,
        model: str | Path | LoadedModel,
        *,
        atoms: Iterable[int] | None = None,
        append: bool = False,
        **options,
    ):
        self._properties = PresentProperties(model, atoms, options)  # before a file is emptied
        self.columns = tuple(self._properties.calculator.property_names)
        super().__init__(file, interval, append=append)

    def _row(self, simulation: app.Simulation) -> tuple:
        found = self._properties.evaluate(simulation.context, simulation.topology)
        return tuple(f"{value:.12g}" for value in found.values())


class ExtendedXYZReporter:
    """Write frames in extended XYZ, which ASE reads: cell, energy, forces and momenta in ASE's units.

    Energy and forces are the conservative ones; if the forces in use are non-conservative, each frame costs a full
    evaluation. Virtual sites and other particles without an element are left out.

    Parameters
    ----------
    file : str or Path
    interval : int
        Steps of the integrator between frames.
    append : bool
        Continue an existing file. Its lines from the first new step on are removed, so that a run resumed from
        a checkpoint has every step once.
    """

    def __init__(self, file: str | Path, interval: int, *, append: bool = False):
        self.interval = _checked_interval(interval)
        self._path = Path(file)
        self._trims = append and self._path.exists()
        if not self._trims:
            self._path.write_text("", encoding="utf-8")

    def describeNextReport(self, simulation: app.Simulation) -> dict:
        """Tell OpenMM when the next report is due."""
        return _next_report(simulation, self.interval)

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        """Write one frame."""
        if self._trims:
            _replace(self._path, _frames_before(self._path, simulation.currentStep))
            self._trims = False
        context = simulation.context
        state = conservative_state(context)
        real = [a for a in simulation.topology.atoms() if a.element is not None]
        kept = [a.index for a in real]
        # By number: ASE has no symbol for deuterium; its mass is written below.
        numbers = [a.element.atomic_number for a in real]
        atoms = Atoms(numbers, _in(state.getPositions(asNumpy=True), unit.angstrom)[kept])
        if context.getSystem().usesPeriodicBoundaryConditions():
            atoms.cell = _in(state.getPeriodicBoxVectors(asNumpy=True), unit.angstrom)
            atoms.pbc = True
        atoms.set_masses([_in(context.getSystem().getParticleMass(k), unit.dalton) for k in kept])
        angstrom_per_ps = _in(state.getVelocities(asNumpy=True), unit.angstrom / unit.picosecond)
        atoms.set_velocities(angstrom_per_ps[kept] / (1000.0 * ase.units.fs))
        forces = _in(state.getForces(asNumpy=True), unit.kilojoule_per_mole / unit.nanometer)[kept]
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=_in(state.getPotentialEnergy(), unit.kilojoule_per_mole) / EV_TO_KJ_PER_MOL,
            forces=forces / (EV_TO_KJ_PER_MOL * NM_TO_ANGSTROM),
        )
        atoms.info["step"] = simulation.currentStep
        atoms.info["time_ps"] = _in(state.getTime(), unit.picosecond)
        ase.io.write(self._path, atoms, format="extxyz", append=True)


def _frames_before(path: Path, step: int) -> list[str]:
    """Return the lines of whole frames before a step."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept: list[str] = []
    start = 0
    while start < len(lines):
        frame = lines[start : start + int(lines[start]) + 2]
        start += len(frame)
        is_whole = len(frame) == int(frame[0]) + 2 and frame[-1].endswith("\n")
        found = re.search(r"\bstep=(\d+)", frame[1]) if is_whole else None
        if found and int(found.group(1)) < step:
            kept += frame
    return kept


def _replace(path: Path, lines: list[str]) -> None:
    """Write a file anew, whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text("".join(lines), encoding="utf-8")
    os.replace(temporary, path)


def _checked_interval(interval: int) -> int:
    if isinstance(interval, bool) or not hasattr(interval, "__index__") or interval < 1:
        raise ValueError(f"expected an interval of at least 1 step, got {interval!r}")
    return interval.__index__()


def _next_report(simulation: app.Simulation, interval: int) -> dict:
    """Say when the next report is due; the reporters here ask for what they need by themselves."""
    steps = interval - simulation.currentStep % interval
    return {"steps": steps, "periodic": None, "include": []}


def _in(quantity: unit.Quantity, wanted: unit.Unit):
    return quantity.value_in_unit(wanted)

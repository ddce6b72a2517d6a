"""The module that OpenMM hosts: positions in nm to an energy in kJ/mol and forces in kJ/mol/nm."""

import math
from typing import Final

import torch
from torch import Tensor

from mlip_engines.units import EV_TO_KJ_PER_MOL, NM_TO_ANGSTROM
from openmm_forces.edge_list import EdgeList


class HostedModel(torch.nn.Module):
    """An exported model behind OpenMM's units that does no evaluation twice.

    What is wanted arrives as the value of the global parameter ``mlip_forces``:

    =====  =============================  ============================  ==========================
    value  forces                         energy                        price
    =====  =============================  ============================  ==========================
    0      conservative                   conservative                  conservative
    1      non-conservative               none (NaN)                    non-conservative head
    2      conservative minus non-cons.   conservative                  both, one forward pass
    3      conservative                   conservative                  both, one forward pass
    4      non-conservative               zero                          non-conservative head
    4 + M  NC + M (C - NC)                conservative                  both, one forward pass
    =====  =============================  ============================  ==========================

    4 + M is the kick at the ends of an outer step of r-RESPA with M inner steps, from C, conservative,
    and NC, non-conservative.

    The last evaluation is kept: a request at exactly the same positions and box costs nothing, or
    only what is not known yet. 3 is 0 for who will ask for 1 or 2 at the same positions. 4 is the
    partner of a second force with 2: together they are conservative. Negative values evaluate nothing
    and return a number about the evaluations so far in place of the energy, see
    :mod:`openmm_forces.evaluations`.

    Parameters
    ----------
    model : ScriptModule
        :class:`mlip_engines.model.exported.ExportedModel`.
    atomic_numbers : (N,) int64 tensor
    particles : (N,) int64 tensor or None
        The particles of the System that are these atoms; all of them, in order, by default.
    cutoff, skin : float, Å
    has_non_conservative : bool
        Whether the model has a head for values above 0.
    fixed_box : bool
        Refuse a request for 1 in another box than that of the request before. Set where 1 is the
        default: without an energy a barostat would accept every trial.
    structure : dict of str to () tensor
        Total charge and spin multiplicity of the atoms, as far as the model depends on them.
    """

    # Final: models that depend on nothing of the structure as a whole have methods without this argument.
    has_structure: Final[bool]
    structure: dict[str, Tensor]

    def __init__(
        self,
        model: torch.jit.ScriptModule,
        atomic_numbers: Tensor,
        particles: Tensor | None,
        cutoff: float,
        skin: float,
        has_non_conservative: bool,
        fixed_box: bool,
        structure: dict[str, Tensor],
    ):
        super().__init__()
        self.model = model
        self.edges = EdgeList(cutoff, skin)
        self.has_non_conservative = has_non_conservative
        self.fixed_box = fixed_box
        self.has_structure = len(structure) > 0
        self.structure = structure
        self.has_subset = particles is not None
        subset = torch.arange(atomic_numbers.numel()) if particles is None else particles
        self.register_buffer("atomic_numbers", atomic_numbers)
        self.register_buffer("particles", subset)
        self.register_buffer("owned", torch.ones_like(atomic_numbers, dtype=torch.bool))
        self.last_particle = int(subset.max()) if subset.numel() > 0 else -1
        self.energy_unit = EV_TO_KJ_PER_MOL
        self.length_unit = NM_TO_ANGSTROM
        # The last evaluation, eV and Å.
        self.positions = torch.zeros((0, 3), dtype=torch.float64)
        self.cell = torch.zeros((3, 3), dtype=torch.float64)
        self.is_periodic = False
        self.knows_conservative = False
        self.knows_non_conservative = False
        self.energy = torch.zeros((), dtype=torch.float64)
        self.conservative = torch.zeros((0, 3), dtype=torch.float64)
        self.non_conservative = torch.zeros((0, 3), dtype=torch.float64)
        # About the evaluations so far.
        self.n_non_conservative = 0
        self.n_full = 0
        self.correction = torch.zeros((0, 3), dtype=torch.float64)  # where both were known last

    def forward(
        self, positions_nm: Tensor, first: Tensor, second: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Answer one request of OpenMM.

        Parameters
        ----------
        positions_nm : (n_particles, 3) tensor, nm
        first, second : tensors
            The box (3, 3) in nm and the value of ``mlip_forces`` (), or only the latter: OpenMM
            passes the box of a force that uses periodic boundary conditions.

        Returns
        -------
        energy : () float64 tensor, kJ/mol
        forces : (n_particles, 3) float64 tensor, kJ/mol/nm
        """
        with torch.no_grad():
            positions = positions_nm.detach().to(torch.float64) * self.length_unit
            wanted = first
            cell = torch.zeros((3, 3), dtype=torch.float64, device=positions.device)
            periodic = second is not None
            if second is not None:
                wanted = second
                cell = first.detach().to(torch.float64) * self.length_unit
            value = float(wanted.item())
            if not (abs(value) < 1.0e6 and value == math.floor(value)):
                raise ValueError(
                    "expected mlip_forces to be a whole number: 0 (conservative), 1 "
                    "(non-conservative), 2 (correction), 3 (conservative, the correction to "
                    "follow), 4 (non-conservative without an energy) or 4 + M (r-RESPA with M "
                    f"inner steps), got {value}"
                )
            request = int(value)
            if request < 0:
                forces = torch.zeros_like(positions)
                energy = torch.full((), self._report(request), dtype=torch.float64).to(
                    forces.device
                )
            else:
                energy, forces = self._answer(
                    request, self._select(positions), cell, periodic, positions.size(0)
                )
        return energy, forces

    def _answer(
        self, request: int, positions: Tensor, cell: Tensor, periodic: bool, n_particles: int
    ) -> tuple[Tensor, Tensor]:
        if request > 0 and not self.has_non_conservative:
            raise ValueError(
                "expected a model with a head for non-conservative forces (mlip_forces "
                f"= {request}), got one without; use an integrator with conservative forces "
                "instead of RespaIntegrator, or train and export a model with this head"
            )
        if request == 1 and self.fixed_box and periodic and self.positions.size(0) > 0:
            if not torch.equal(self.cell, cell):
                raise ValueError(
                    "expected the box of the evaluation before, got another one: a barostat needs "
                    'an energy, and non-conservative forces have none. Use forces="conservative", '
                    "with RespaIntegrator for speed. If the box was changed by hand, call "
                    "conservative_energy(context) once before going on"
                )
        is_direct = request == 1 or request == 4
        self._evaluate(positions, cell, periodic, not is_direct, request != 0)
        energy = self.energy
        forces = self.conservative
        if is_direct:
            energy = torch.full_like(energy, float("nan") if request == 1 else 0.0)
            forces = self.non_conservative
        elif request == 2:
            forces = self.correction
        elif request > 4:
            inner_steps = float(request - 4)
            forces = inner_steps * self.conservative - (inner_steps - 1.0) * self.non_conservative
        forces = forces * (self.energy_unit * self.length_unit)  # (N, 3), kJ/mol/nm
        if self.has_subset:
            everywhere = torch.zeros((n_particles, 3), dtype=forces.dtype, device=forces.device)
            forces = everywhere.index_copy(0, self.particles, forces)
        return energy * self.energy_unit, forces

    def _evaluate(
        self, positions: Tensor, cell: Tensor, periodic: bool, conservative: bool, direct: bool
    ) -> None:
        """Make known what is asked for and is not known at these positions in this box."""
        if not self._is_last(positions, cell, periodic):
            self._check_finite(positions)
            self.knows_conservative = False
            self.knows_non_conservative = False
            self.positions = positions
            self.cell = cell
            self.is_periodic = periodic
        needs_conservative = conservative and not self.knows_conservative
        needs_direct = direct and not self.knows_non_conservative
        if not needs_conservative and not needs_direct:
            return
        edge_index, edge_vectors, reverse_edge = self.edges(positions, cell, periodic)
        if needs_conservative:
            result = self._everything(edge_index, edge_vectors, reverse_edge, needs_direct)
            self.energy = result["energy"]
            self.conservative = result["forces"]
            self.knows_conservative = True
            self.n_full += 1
        else:
            result = self._head(edge_index, edge_vectors, reverse_edge)
            self.n_non_conservative += 1
        if needs_direct:
            self.non_conservative = result["non_conservative_forces"]
            self.knows_non_conservative = True
        if self.knows_conservative and self.knows_non_conservative:
            self.correction = self.conservative - self.non_conservative

    def _everything(
        self, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor, direct: bool
    ) -> dict[str, Tensor]:
        if self.has_structure:
            return self.model.evaluate(
                self.atomic_numbers,
                edge_index,
                edge_vectors,
                reverse_edge,
                self.owned,
                direct,
                False,
                self.structure,
            )
        return self.model.evaluate(
            self.atomic_numbers, edge_index, edge_vectors, reverse_edge, self.owned, direct, False
        )

    def _head(
        self, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor
    ) -> dict[str, Tensor]:
        if self.has_structure:
            return self.model.non_conservative(
                self.atomic_numbers,
                edge_index,
                edge_vectors,
                reverse_edge,
                self.owned,
                self.structure,
            )
        return self.model.non_conservative(
            self.atomic_numbers, edge_index, edge_vectors, reverse_edge, self.owned
        )

    def _is_last(self, positions: Tensor, cell: Tensor, periodic: bool) -> bool:
        return (
            periodic == self.is_periodic
            and positions.device == self.positions.device
            and torch.equal(positions, self.positions)
            and (not periodic or torch.equal(cell, self.cell))
        )

    def _select(self, positions: Tensor) -> Tensor:
        """Return the positions of the atoms, or say why the particles cannot be these atoms."""
        n_particles = positions.size(0)
        if not self.has_subset:
            if n_particles != self.atomic_numbers.size(0):
                raise ValueError(
                    f"expected a System of {self.atomic_numbers.size(0)} particles, one per atomic "
                    f"number, got {n_particles}; name the atoms among them with particles=..."
                )
            return positions
        if self.last_particle >= n_particles:
            raise ValueError(
                f"expected particles below {n_particles}, the number in the System, got "
                f"{self.last_particle}"
            )
        return positions.index_select(0, self.particles)

    def _check_finite(self, positions: Tensor) -> None:
        if not math.isfinite(float(positions.sum())):  # one number tells, if all is well
            finite = torch.isfinite(positions).all(dim=1)  # (N,)
            atom = int(torch.nonzero(torch.logical_not(finite))[0])
            x, y, z = positions[atom].unbind()
            raise ValueError(
                f"expected finite coordinates, got {float(x)}, {float(y)}, {float(z)} Å for atom "
                f"{atom}; the run has become unstable or the start is wrong: minimise first, or "
                "shorten the time step"
            )

    def _report(self, request: int) -> float:
        """Return a number about the evaluations so far."""
        if request == -1:
            return float(self.n_non_conservative)
        if request == -2:
            return float(self.n_full)
        if request == -3 or request == -4:
            if self.correction.size(0) == 0:
                return float("nan")
            squares = (self.correction * self.correction).sum(dim=1)  # (N,)
            return float(torch.sqrt(squares.mean() if request == -3 else squares.max()))
        if request == -5:
            return float(self.edges.rebuilds)
        return 0.0

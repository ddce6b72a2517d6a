"""What a network gives for the atoms of its training data, and what is done with an answer beyond it.

Two atoms that come too close are seen by their distance (:mod:`mlip_engines.model.short_range`). Crowds whose distances
all occur in the data, though never together, are not. The network's own answer tells them apart: on the way into a hole
of the energy, the energies of the atoms in it fall far below any in the data while the energy of the whole is still
high, and non-conservative forces grow by orders of magnitude.

- **Floor.** Below the lowest atomic energy of an element in the data the energy turns round and rises, as the logarithm
  of what the network says: a hole becomes a hill, of moderate slope however deep the hole is. The forces are the
  derivatives of this energy.
- **Limit.** A non-conservative force longer than the longest conservative one in the data keeps its direction, and
  grows as the logarithm only; one that is not finite becomes zero.

Both are twice continuously differentiable, act on each atom by itself, and change nothing within the range of the data.
They cannot see that many atoms are at their lowest energies at once: the energy of the whole is bounded by the sum of
the floors, which lies below that of any structure in the data.
"""

import math
from collections.abc import Iterable

import torch
from ase import Atoms
from ase.data import atomic_numbers as number_of
from ase.data import chemical_symbols
from torch import Tensor, nn

from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.derivatives import energy_gradient, forces_from_edges
from mlip_engines.model.exported import dtype_of
from mlip_engines.model.graph import batch_graphs, graph_to_device
from mlip_engines.model.groups import groups
from mlip_engines.model.neighbors import neighbor_graph

# In parts of the range between the lowest and the highest atomic energy: how far the energy goes on falling below the
# lowest, about, and how much the hill rises when the network's energy falls by a factor of e.
_WIDTH, _HILL = 0.05, 0.25
# eV; data in which all atoms are alike say little about how far an energy may fall
_NARROWEST = 0.4


class DataRange:
    """The atomic energies and conservative forces that a network gives for its training data.

    Attributes
    ----------
    energies : dict of str to [float, float], eV
        Lowest and highest atomic energy of each element, without the reference energy.
    forces : dict of str to float, eV/Å
        Length of the longest force on each element. It is the conservative one, because a separate network for the
        non-conservative forces need not have seen the same data.
    """

    def __init__(
        self,
        energies: dict[str, list[float]] | None = None,
        forces: dict[str, float] | None = None,
    ):
        self.energies = {k: [float(x) for x in v] for k, v in (energies or {}).items()}
        self.forces = {k: float(v) for k, v in (forces or {}).items()}

    def including(self, other: "DataRange") -> "DataRange":
        """Return the range of both."""
        energies = {k: list(v) for k, v in self.energies.items()}
        for symbol, (lowest, highest) in other.energies.items():
            low, high = energies.get(symbol, [lowest, highest])
            energies[symbol] = [min(low, lowest), max(high, highest)]
        forces = dict(self.forces)
        for symbol, largest in other.forces.items():
            forces[symbol] = max(forces.get(symbol, 0.0), largest)
        return DataRange(energies, forces)

    def check(self) -> None:
        """Raise ModelContractError if a value cannot be meant."""
        for symbol in [*self.energies, *self.forces]:
            if symbol not in number_of:
                raise ModelContractError(
                    f"range of the data: expected chemical symbols, got {symbol!r}"
                )
        for symbol, (lowest, highest) in self.energies.items():
            if not (math.isfinite(lowest) and lowest <= highest < math.inf):
                raise ModelContractError(
                    f"range of the data: expected the lowest and the highest atomic energy of {symbol} in eV, got "
                    f"{lowest} and {highest}"
                )
        for symbol, largest in self.forces.items():
            if not 0.0 <= largest < math.inf:
                raise ModelContractError(
                    f"range of the data: expected the length of a force on {symbol} in eV/Å, got {largest}"
                )


def observed_range(network: nn.Module, structures: Iterable[Atoms], scale: float) -> DataRange:
    """Return what a network gives for the structures of its training.

    Parameters
    ----------
    network : AtomicNetwork
        On any device; left in evaluation mode.
    structures : iterable of ase.Atoms
    scale : float
        Factor on what the network returns, to eV and eV/Å.

    Raises
    ------
    ModelContractError
        If the network gives an energy or a force that is not finite.
    """
    network.eval()
    found, dtype = DataRange(), dtype_of(network)
    tensor = next((t for t in [*network.parameters(), *network.buffers()]), torch.zeros(0))
    inputs = list(getattr(network, "structure_inputs", []))
    for group in groups(structures):
        graph, _ = batch_graphs([neighbor_graph(a, network.cutoff, inputs) for a in group])
        graph = graph_to_device(graph, tensor.device)
        graph = graph._replace(edge_vectors=graph.edge_vectors.to(dtype))
        for name in inputs:
            graph = graph._replace(**{name: getattr(graph, name).to(dtype)})
        edges = graph.edge_vectors.requires_grad_(True)
        energies = scale * network(graph, False)["atomic_energies"].to(torch.float64)  # (N,)
        gradients = energy_gradient(energies.sum(), edges).to(torch.float64)  # (E, 3)
        forces = forces_from_edges(graph.edge_index, gradients, graph.n_atoms)
        energies, lengths = energies.detach(), torch.linalg.vector_norm(forces, dim=1)  # (N,) each
        is_fine = torch.isfinite(energies) & torch.isfinite(lengths)
        if not bool(is_fine.all()):
            wrong = group[int(graph.structure_index[~is_fine][0])]
            raise ModelContractError(
                f"the network gives an energy or a force that is not finite for {wrong.get_chemical_formula()} of the "
                "training data; is it the network that was trained on them?"
            )
        for number in graph.atomic_numbers.unique().tolist():
            own = graph.atomic_numbers == number
            symbol = chemical_symbols[number]
            seen = DataRange(
                {symbol: [float(energies[own].min()), float(energies[own].max())]},
                {symbol: float(lengths[own].max())},
            )
            found = found.including(seen)
    return found


def floor_tables(energies: dict[str, list[float]]) -> tuple[Tensor, Tensor, Tensor]:
    """Return lowest energy, width of the turn and height of the hill (119,) by atomic number, eV, float64."""
    lowest = torch.full((119,), -math.inf, dtype=torch.float64)
    width = torch.ones(119, dtype=torch.float64)
    hill = torch.zeros(119, dtype=torch.float64)
    for symbol, (low, high) in energies.items():
        extent = max(high - low, _NARROWEST)
        number = number_of[symbol]
        lowest[number], width[number], hill[number] = low, _WIDTH * extent, _HILL * extent
    return lowest, width, hill


def limit_table(forces: dict[str, float]) -> Tensor:
    """Return the longest force (119,) by atomic number, eV/Å, float64."""
    longest = torch.full((119,), math.inf, dtype=torch.float64)
    for symbol, value in forces.items():
        longest[number_of[symbol]] = max(value, 1.0)
    return longest


def above_floor(energies: Tensor, lowest: Tensor, width: Tensor, hill: Tensor) -> Tensor:
    """Return atomic energies that turn round below the lowest of the data.

    f(e) = m - w x / (1 + x^3) + h / 3 ln(1 + x^3),  x = (m - e) / w,  for e below m, and e above

    At m the first two derivatives of f are those of e. For large x, f rises as h ln x.

    Parameters
    ----------
    energies, lowest, width, hill : (N,) float64 tensor, eV
        e, m, w and h.
    """
    x = ((lowest - energies) / width).clamp(min=0.0)
    cube = x * x * x
    turned = lowest - width * x / (1.0 + cube) + hill / 3.0 * torch.log1p(cube)
    return torch.where(x > 0.0, turned, energies)


def shortening(lengths: Tensor, longest: Tensor) -> Tensor:
    """Return (1 + asinh(y)) / (1 + y), with y = length / longest - 1 where that is positive and else 0, (N,)."""
    y = (lengths / longest - 1.0).clamp(min=0.0)
    return (1.0 + torch.asinh(y)) / (1.0 + y)

r"""An empirical potential with few parameters: embedded atoms, Morse pairs and an energy per element.

    E = sum_i [ sum_b F_ab(rho_ib) + E_a ] + 1/2 sum_ij V_ab(r_ij)                        (equation 1)
    rho_ib = sum_{j of element b} sum_k A_k exp(-beta_k r_ij),  F(rho) = B (rho - rho_0)^2  (equation 2)
    V(r) = D_e (1 - exp(-a (r - r_e)))^2                                                   (equation 3)

with parameters for each kind of pair (a, b). Equilibrium distances r_e begin at the sum of the covalent radii R, all
other parameters at one, except for what would stay the same for ever or break a bound: decay constants begin at 1, 2,
... per Å, because equal ones have equal gradients; rho_0 begins at 0.9 of its bound; E_a begins at zero, because the
composition baseline is subtracted before.

F(0) and V(infinity) = D_e are subtracted, and a smooth cutoff multiplies V and the density: it is one up to half the
cutoff, so below it the equations hold as they stand.

Below 0.6 R two atoms push each other away, in any environment and whatever the parameters are fitted to:

- 0.7 R < r_e < 2.5 R, 0.5 < a < 6 per Å, D_e > 0.001 eV: V falls with r there.
- A, beta, B > 0 and rho_0 < rho(0.6 R) of one such pair: the density of each of the two is above rho_0 then, and others
  only add to it, so F falls with r as well.

References
----------
Zheng, Fung, Improving reliability of machine learned interatomic potentials with physics-informed pretraining, section
2.2.2. Daw, Foiles, Baskes, Mater. Sci. Rep. 9, 251 (1993); Johnson, Phys. Rev. B 39, 12554 (1989); Morse, Phys. Rev.
34, 57 (1929). Cordero et al., Dalton Trans. 2832 (2008), for the radii.
"""

import math

import torch
from ase.data import chemical_symbols, covalent_radii
from torch import Tensor, nn

from mlip_engines.model.graph import Graph

REPULSIVE = 0.6  # of the sum of two covalent radii: nearer than that a pair is repulsive
CLOSEST_MINIMUM, WIDEST_MINIMUM = 0.7, 2.5  # bounds of r_e, likewise
SLOWEST, FASTEST = 0.5, 6.0  # bounds of a, 1/Å
SHALLOWEST = 0.001  # bound of D_e, eV
_LAST_RADIUS = 96  # curium; for what is beyond ASE has numbers, but nobody has measured them


class EmbeddedAtom(nn.Module):
    """The potential, as a network of which :mod:`mlip_engines.model.contract` knows the energy.

    Parameters
    ----------
    species : list of int
        Atomic numbers.
    cutoff : float, Å
        At least 1.2 times the largest sum of two covalent radii.
    n_exponentials : int
        Of the density of a pair.

    Raises
    ------
    ValueError
        If an element has no covalent radius, or the cutoff or the number of exponentials is too small.
    """

    is_empirical = True  # what it says of close pairs is no reason to trust a network there
    is_scaled = False  # its parameters are in eV and Å, not in units of the forces of a data set

    def __init__(self, species: list[int], cutoff: float = 6.0, n_exponentials: int = 2):
        super().__init__()
        radii = radii_of(species)
        if n_exponentials < 1:
            raise ValueError(f"n_exponentials must be positive, got {n_exponentials}")
        pairs = [(k, m) for k in range(len(species)) for m in range(k, len(species))]
        sums = torch.tensor([radii[k] + radii[m] for k, m in pairs])  # (P,)
        if cutoff < 2.0 * REPULSIVE * float(sums.max()):
            raise ValueError(
                f"expected a cutoff of at least {2.0 * REPULSIVE * float(sums.max()):.2f} Å, so that close pairs are "
                f"within half of it; got {cutoff} Å"
            )
        self.cutoff = float(cutoff)
        self.species = [int(z) for z in species]
        self.pairs = [(int(species[k]), int(species[m])) for k, m in pairs]
        self.n_species, self.n_exponentials = len(species), int(n_exponentials)
        self.message_passing_layers = 1
        self.heads = ["energy"]
        self.repulsive, self.closest = REPULSIVE, CLOSEST_MINIMUM
        self.minimum_range = WIDEST_MINIMUM - CLOSEST_MINIMUM
        self.slowest, self.decay_range = SLOWEST, FASTEST - SLOWEST
        self.shallowest = SHALLOWEST
        index = torch.zeros(119, dtype=torch.int64)
        index[torch.tensor(self.species)] = torch.arange(len(species))
        kinds = torch.zeros((len(species), len(species)), dtype=torch.int64)
        for n, (k, m) in enumerate(pairs):
            kinds[k, m] = kinds[m, k] = n
        self.register_buffer("element_index", index)
        self.register_buffer("kinds", kinds)
        self.register_buffer("radius_sums", sums)
        order = torch.arange(1, n_exponentials + 1, dtype=torch.get_default_dtype())
        self.register_buffer("first_decays", order.repeat(len(pairs), 1))  # (P, K), 1/Å
        # What is trained is zero at the start; from there to a parameter see `parameters_of_pairs`.
        n = len(pairs)
        self.amplitude = nn.Parameter(torch.zeros(n * n_exponentials))
        self.decay = nn.Parameter(torch.zeros(n * n_exponentials))
        self.stiffness = nn.Parameter(torch.zeros(n))
        self.density = nn.Parameter(torch.zeros(n))
        self.depth = nn.Parameter(torch.zeros(n))
        self.width = nn.Parameter(torch.zeros(n))
        self.minimum = nn.Parameter(torch.zeros(n))
        self.atom_energy = nn.Parameter(torch.zeros(len(species)))  # eV

    @torch.jit.export
    def parameters_of_pairs(self) -> dict[str, Tensor]:
        """Return A, beta (P, K) and B, rho_0, D_e (eV), a (1/Å), r_e (Å) (P,) by the names of the equations."""
        shape = (self.radius_sums.size(0), self.n_exponentials)
        amplitude = torch.exp(self.amplitude).view(shape)
        decay = self.first_decays * torch.exp(self.decay).view(shape)
        nearest = (amplitude * torch.exp(-decay * self.repulsive * self.radius_sums[:, None])).sum(
            dim=1
        )
        # a sigmoid of x - log(1 / s - 1) is s at x = 0
        minimum = self.closest + self.minimum_range * torch.sigmoid(
            self.minimum - math.log(self.minimum_range / (1.0 - self.closest) - 1.0)
        )
        width = self.slowest + self.decay_range * torch.sigmoid(
            self.width - math.log(self.decay_range / (1.0 - self.slowest) - 1.0)
        )
        return {
            "A": amplitude,
            "beta": decay,
            "B": torch.exp(self.stiffness),
            "rho_0": nearest * torch.sigmoid(self.density + math.log(9.0)),
            "D_e": self.shallowest + (1.0 - self.shallowest) * torch.exp(self.depth),
            "a": width,
            "r_e": minimum * self.radius_sums,
        }

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate the energy of each atom, eV; there are no non-conservative forces."""
        values = self.parameters_of_pairs()
        centre, neighbor = graph.edge_index[0], graph.edge_index[1]
        n_atoms = graph.atomic_numbers.size(0)
        element = self.element_index[graph.atomic_numbers]  # (N,)
        kind = self.kinds[element[centre], element[neighbor]]  # (E,)
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        fade = plateau_cutoff(distance, self.cutoff)
        terms = values["A"][kind] * torch.exp(-values["beta"][kind] * distance[:, None])  # (E, K)
        density = torch.zeros(
            n_atoms * self.n_species, dtype=distance.dtype, device=distance.device
        ).index_add(0, centre * self.n_species + element[neighbor], terms.sum(dim=1) * fade)
        kinds_of_atom = self.kinds[element].view(-1)  # (N S,)
        embedding = values["B"][kinds_of_atom] * density
        embedding = embedding * (density - 2.0 * values["rho_0"][kinds_of_atom])  # F - F(0)
        morse = self.morse(distance, kind, values) * fade
        atomic = self.atom_energy[element] + embedding.view(n_atoms, self.n_species).sum(dim=1)
        return {"atomic_energies": atomic.index_add(0, centre, 0.5 * morse)}

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate the forces of the Morse pairs alone, which need no second layer of neighbours.

        Returns
        -------
        dict
            ``non_conservative_forces`` (N, 3), eV/Å, and ``non_conservative_virials`` (N, 3, 3), eV.
        """
        values = self.parameters_of_pairs()
        element = self.element_index[graph.atomic_numbers]  # (N,)
        kind = self.kinds[element[graph.edge_index[0]], element[graph.edge_index[1]]]  # (E,)
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        decay = torch.exp(-values["a"][kind] * (distance - values["r_e"][kind]))
        slope = 2.0 * values["D_e"][kind] * values["a"][kind] * (1.0 - decay) * decay
        slope = slope * plateau_cutoff(distance, self.cutoff) + self.morse(
            distance, kind, values
        ) * plateau_cutoff_slope(distance, self.cutoff)
        pull = (slope / distance)[:, None] * graph.edge_vectors  # (E, 3)
        zero = torch.zeros((graph.atomic_numbers.size(0), 12), dtype=pull.dtype, device=pull.device)
        tensors = -0.5 * pull[:, :, None] * graph.edge_vectors[:, None, :]  # (E, 3, 3)
        sums = zero.index_add(0, graph.edge_index[0], torch.cat((pull, tensors.flatten(1)), dim=1))
        return {
            "non_conservative_forces": sums[:, :3],
            "non_conservative_virials": sums[:, 3:].reshape(-1, 3, 3),
        }

    def morse(self, distance: Tensor, kind: Tensor, values: dict[str, Tensor]) -> Tensor:
        """Return V(r) - V(infinity) (E,), eV, without cutoff."""
        decay = torch.exp(-values["a"][kind] * (distance - values["r_e"][kind]))
        return values["D_e"][kind] * decay * (decay - 2.0)


def radii_of(species: list[int]) -> list[float]:
    """Return the covalent radius of each atomic number, Å.

    Raises
    ------
    ValueError
        If nobody knows one.
    """
    unknown = [f"{chemical_symbols[z]} ({z})" for z in species if not 1 <= z <= _LAST_RADIUS]
    if unknown:
        raise ValueError(
            f"the empirical potential begins with covalent radii; none is known of {', '.join(unknown)}: leave the "
            "structures with these elements out"
        )
    return [float(covalent_radii[z]) for z in species]


def plateau_cutoff(distance: Tensor, cutoff: float) -> Tensor:
    """One up to half the cutoff, from there 1 - 10 x^3 + 15 x^4 - 6 x^5: twice continuously differentiable."""
    x = (2.0 * distance / cutoff - 1.0).clamp(0.0, 1.0)
    return 1.0 - x * x * x * (10.0 - 15.0 * x + 6.0 * x * x)


def plateau_cutoff_slope(distance: Tensor, cutoff: float) -> Tensor:
    """Derivative of :func:`plateau_cutoff` with respect to the distance, 1/Å."""
    x = (2.0 * distance / cutoff - 1.0).clamp(0.0, 1.0)
    return (-60.0 / cutoff) * x * x * (1.0 - x) * (1.0 - x)

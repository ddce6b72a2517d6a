"""Operators that an exported file, or the module around it in OpenMM, may call besides torch's own.

On a CPU they run compiled, if ``mlip-operators build`` (or ``mlip-lammps build``) has compiled them for the installed
torch; anywhere else they are composed of torch's operators, slower and with the same result. Importing this package
registers them, which has to happen before a file that calls them is loaded.

Sums over neighbours are in ``neighbor_sums.py``, messages in ``messages.py`` and ``tensor_products.py``, products of
features of one atom in ``symmetric_products.py``, what dense layers make of them in ``atom_blocks.py``, the choice of
edges in ``edges.py``, their radial functions in ``bessel_edges.py``, and features from other processes in
``exchanges.py``. Their C++ is in ``cpu/``; ``interface/`` is what the LAMMPS plugin is compiled against.
"""

from mlip_engines.operators.atom_blocks import (
    composed_equivariant_update,
    composed_gated_vectors,
    composed_message_sources,
    equivariant_update,
    gated_vectors,
    message_sources,
)
from mlip_engines.operators.bessel_edges import bessel_edges, composed_bessel_edges
from mlip_engines.operators.edges import composed_near_edges, keep_edges, near_edges
from mlip_engines.operators.exchanges import (
    evaluated_atoms,
    exchange,
    pad_to_all,
    reverse_features,
)
from mlip_engines.operators.library import are_compiled, load
from mlip_engines.operators.messages import composed_equivariant_message, equivariant_message
from mlip_engines.operators.neighbor_sums import composed_neighbor_sum, neighbor_sum
from mlip_engines.operators.symmetric_products import composed_polynomial, polynomial
from mlip_engines.operators.tensor_products import (
    composed_tensor_product_sum,
    tensor_product_sum,
)

__all__ = [
    "are_compiled",
    "bessel_edges",
    "composed_bessel_edges",
    "composed_equivariant_message",
    "composed_equivariant_update",
    "composed_gated_vectors",
    "composed_message_sources",
    "composed_near_edges",
    "composed_neighbor_sum",
    "composed_polynomial",
    "composed_tensor_product_sum",
    "equivariant_message",
    "equivariant_update",
    "evaluated_atoms",
    "exchange",
    "gated_vectors",
    "keep_edges",
    "load",
    "message_sources",
    "near_edges",
    "neighbor_sum",
    "pad_to_all",
    "polynomial",
    "reverse_features",
    "tensor_product_sum",
]

load()

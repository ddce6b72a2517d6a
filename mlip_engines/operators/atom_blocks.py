"""What PaiNN makes of the features of each atom on its own: sources of messages, updates, gated vectors.

Scalar features s (n, F) and vector features v (n, 3, F); dense layers W x + b, whose weights are (outputs, inputs) as
those of ``torch.nn.Linear``. Each is differentiable by all tensors, to any order.

References
----------
Schütt, Unke, Gastegger, ICML 2021 (arXiv:2102.03150), figures 2 and 3.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def message_sources(
    s: Tensor, v: Tensor, w_1: Tensor, b_1: Tensor, w_2: Tensor, b_2: Tensor, has_vectors: bool
) -> Tensor:
    """What an atom sends to its neighbours: figure 2b up to the filters.

    (p_s, p_v, p_a) = W_2 silu(W_1 s + b_1) + b_2
    S = p_s,  A = p_a,  V[d] = p_v v[d]

    Parameters
    ----------
    s : (n, F) tensor
    v : (n, 3, F) tensor
    w_1 : (F, F) tensor
    b_1 : (F,) tensor
    w_2 : (3 F, F) tensor
    b_2 : (3 F,) tensor
    has_vectors : bool
        Whether V is wanted; in the first layer, where v is zero, it is not.

    Returns
    -------
    (n, 5 F) or (n, 2 F) tensor
        S, A and V by component, as :func:`mlip_engines.operators.equivariant_message` takes them.
    """
    # Where weights are learned, every derivative that training takes is one of those that have no loops of their own.
    if s.is_cpu and not w_1.requires_grad:
        return torch.ops.mlip.message_sources(s, v, w_1, b_1, w_2, b_2, has_vectors)
    return composed_message_sources(s, v, w_1, b_1, w_2, b_2, has_vectors)


def composed_message_sources(
    s: Tensor, v: Tensor, w_1: Tensor, b_1: Tensor, w_2: Tensor, b_2: Tensor, has_vectors: bool
) -> Tensor:
    """:func:`message_sources` of torch's own operators."""
    phi = functional.linear(functional.silu(functional.linear(s, w_1, b_1)), w_2, b_2)  # (n, 3 F)
    p_s, p_v, p_a = phi.chunk(3, dim=1)  # (n, F) each
    # Under autocast phi comes in fewer digits; sums over neighbours keep those of the features.
    if not has_vectors:
        return torch.cat((p_s, p_a), dim=1).to(s.dtype)
    return torch.cat((p_s, p_a, (p_v[:, None, :] * v).flatten(1)), dim=1).to(s.dtype)


def equivariant_update(
    s: Tensor,
    v: Tensor,
    messages: Tensor,
    w: Tensor,
    w_1: Tensor,
    b_1: Tensor,
    w_2: Tensor,
    b_2: Tensor,
    width: float,
) -> tuple[Tensor, Tensor]:
    """Messages are added, then scalars and vectors of each atom act on each other: figure 2c.

    s = s + m_s,  v[d] = v[d] + m_v[d]
    (U, V)[d] = W v[d],  q = sqrt(sum over d of V[d]^2 + width^2)
    (a_vv, a_sv, a_ss) = W_2 silu(W_1 (s, q) + b_1) + b_2
    s' = s + a_ss + a_sv sum over d of U[d] V[d],  v'[d] = v[d] + a_vv U[d]

    Parameters
    ----------
    s : (n, F) tensor
    v : (n, 3, F) tensor
    messages : (n, 4, F) tensor
        m_s, then the components of m_v.
    w : (2 F, F) tensor
    w_1 : (F, 2 F) tensor
    b_1 : (F,) tensor
    w_2 : (3 F, F) tensor
    b_2 : (3 F,) tensor
    width : float

    Returns
    -------
    s' : (n, F) tensor
    v' : (n, 3, F) tensor
    """
    if s.is_cpu and not w.requires_grad:
        return torch.ops.mlip.equivariant_update(s, v, messages, w, w_1, b_1, w_2, b_2, width)
    return composed_equivariant_update(s, v, messages, w, w_1, b_1, w_2, b_2, width)


def composed_equivariant_update(
    s: Tensor,
    v: Tensor,
    messages: Tensor,
    w: Tensor,
    w_1: Tensor,
    b_1: Tensor,
    w_2: Tensor,
    b_2: Tensor,
    width: float,
) -> tuple[Tensor, Tensor]:
    """:func:`equivariant_update` of torch's own operators."""
    s, v = s + messages[:, 0], v + messages[:, 1:]
    u_v, v_v = functional.linear(v, w).chunk(2, dim=2)  # (n, 3, F) each
    sq = torch.cat((s, smooth_norm(v_v, width)), dim=1)  # (n, 2 F)
    a = functional.linear(functional.silu(functional.linear(sq, w_1, b_1)), w_2, b_2)
    a_vv, a_sv, a_ss = a.chunk(3, dim=1)  # (n, F) each
    return s + a_ss + a_sv * (u_v * v_v).sum(dim=1), v + a_vv[:, None, :] * u_v


def gated_vectors(
    s: Tensor,
    v: Tensor,
    w: Tensor,
    w_1: Tensor,
    b_1: Tensor,
    w_2: Tensor,
    b_2: Tensor,
    width: float,
) -> tuple[Tensor, Tensor]:
    """Scalars open and close vectors of another number O of features: figure 3.

    (U, V)[d] = W v[d],  q = sqrt(sum over d of U[d]^2 + width^2)
    (t, g) = W_2 silu(W_1 (s, q) + b_1) + b_2
    s' = silu(t),  v'[d] = g V[d]

    Parameters
    ----------
    s : (n, F) tensor
    v : (n, 3, F) tensor
    w : (2 O, F) tensor
    w_1 : (F, F + O) tensor
    b_1 : (F,) tensor
    w_2 : (2 O, F) tensor
    b_2 : (2 O,) tensor
    width : float

    Returns
    -------
    s' : (n, O) tensor
    v' : (n, 3, O) tensor
    """
    if s.is_cpu and not w.requires_grad:
        return torch.ops.mlip.gated_vectors(s, v, w, w_1, b_1, w_2, b_2, width)
    return composed_gated_vectors(s, v, w, w_1, b_1, w_2, b_2, width)


def composed_gated_vectors(
    s: Tensor,
    v: Tensor,
    w: Tensor,
    w_1: Tensor,
    b_1: Tensor,
    w_2: Tensor,
    b_2: Tensor,
    width: float,
) -> tuple[Tensor, Tensor]:
    """:func:`gated_vectors` of torch's own operators."""
    u_v, v_v = functional.linear(v, w).chunk(2, dim=2)  # (n, 3, O) each
    sq = torch.cat((s, smooth_norm(u_v, width)), dim=1)  # (n, F + O)
    out = functional.linear(functional.silu(functional.linear(sq, w_1, b_1)), w_2, b_2)
    t, gate = out.chunk(2, dim=1)  # (n, O) each
    return functional.silu(t), gate[:, None, :] * v_v


def smooth_norm(vectors: Tensor, width: float) -> Tensor:
    """Length of vector features, without the cone that a length has at zero.

    sqrt(|v|^2 + width^2)

    At a site with inversion symmetry all vector features vanish. There the energy has to be a smooth function of
    displacements, or the crystal has neither force constants nor phonons. A width far below the features of a
    displaced atom would be a cone again for all displacements that matter.

    Parameters
    ----------
    vectors : (n, 3, F) tensor
    width : float

    Returns
    -------
    (n, F) tensor
    """
    return torch.sqrt((vectors * vectors).sum(dim=1) + width * width)

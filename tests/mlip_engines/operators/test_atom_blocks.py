"""Dense layers of one atom against their formulas written out with matrices, derivatives against finite differences."""

import resource
from pathlib import Path

import pytest
import torch

from mlip_engines.operators import (
    are_compiled,
    composed_equivariant_update,
    composed_gated_vectors,
    composed_message_sources,
    equivariant_update,
    gated_vectors,
    message_sources,
)
from tolerances import TOLERANCE

WIDTH = 0.7


def silu(x):
    return x / (1.0 + torch.exp(-x))


def dense(x, w, b):
    return torch.einsum("...i,oi->...o", x, w) + b


def sources_written_out(s, v, w_1, b_1, w_2, b_2, has_vectors):
    p_s, p_v, p_a = dense(silu(dense(s, w_1, b_1)), w_2, b_2).tensor_split(3, dim=1)
    carried = [p_v * v[:, d] for d in range(3)] if has_vectors else []
    return torch.cat([p_s, p_a, *carried], dim=1)


def update_written_out(s, v, messages, w, w_1, b_1, w_2, b_2, width):
    s, v = s + messages[:, 0], v + messages[:, 1:]
    u, t = (dense(v, half, 0.0) for half in w.tensor_split(2))
    q = (t.square().sum(1) + width**2).sqrt()
    a = dense(silu(dense(torch.cat((s, q), 1), w_1, b_1)), w_2, b_2)
    a_vv, a_sv, a_ss = a.tensor_split(3, dim=1)
    dot = sum(u[:, d] * t[:, d] for d in range(3))
    return s + a_ss + a_sv * dot, torch.stack([v[:, d] + a_vv * u[:, d] for d in range(3)], 1)


def gated_written_out(s, v, w, w_1, b_1, w_2, b_2, width):
    u, t = (dense(v, half, 0.0) for half in w.tensor_split(2))
    q = (u.square().sum(1) + width**2).sqrt()
    t_s, gate = dense(silu(dense(torch.cat((s, q), 1), w_1, b_1)), w_2, b_2).tensor_split(2, 1)
    return silu(t_s), torch.stack([gate * t[:, d] for d in range(3)], 1)


def layer(n_in, n_out, dtype):
    return torch.randn(n_out, n_in, dtype=dtype) * n_in**-0.5, torch.randn(n_out, dtype=dtype)


def features(n, f, dtype, shapes):
    return [torch.randn(n, *shape, f, dtype=dtype, requires_grad=True) for shape in shapes]


def sources_case(n, f, dtype, has_vectors):
    inputs = features(n, f, dtype, [(), (3,)])
    return inputs, (*layer(f, f, dtype), *layer(f, 3 * f, dtype), has_vectors)


def update_case(n, f, dtype):
    inputs = features(n, f, dtype, [(), (3,), (4,)])
    weights = layer(f, 2 * f, dtype)[0], *layer(2 * f, f, dtype), *layer(f, 3 * f, dtype)
    return inputs, (*weights, WIDTH)


def gated_case(n, f, dtype, n_out):
    inputs = features(n, f, dtype, [(), (3,)])
    weights = layer(f, 2 * n_out, dtype)[0], *layer(f + n_out, f, dtype)
    return inputs, (*weights, *layer(f, 2 * n_out, dtype), WIDTH)


# each with its arguments, the operator, its composed form and its oracle
CASES = {
    "sources": (
        lambda n, f, t: sources_case(n, f, t, True),
        (message_sources, composed_message_sources),
        sources_written_out,
    ),
    "sources of the first layer": (
        lambda n, f, t: sources_case(n, f, t, False),
        (message_sources, composed_message_sources),
        sources_written_out,
    ),
    "update": (
        update_case,
        (equivariant_update, composed_equivariant_update),
        update_written_out,
    ),
    "gated": (
        lambda n, f, t: gated_case(n, f, t, f),
        (gated_vectors, composed_gated_vectors),
        gated_written_out,
    ),
    "gated to one": (
        lambda n, f, t: gated_case(n, f, t, 1),
        (gated_vectors, composed_gated_vectors),
        gated_written_out,
    ),
}


def all_of(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


def gradients_of(outputs, inputs, by):
    found = torch.autograd.grad(outputs, inputs, by, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]


# one block of atoms, a part of one, and several; vectors of columns with and without a remainder
@pytest.mark.parametrize("n, f", [(0, 48), (1, 1), (7, 5), (24, 16), (50, 48), (30, 64), (3, 100)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_equals_the_formulas_and_so_do_its_derivatives(name, compiled, dtype, n, f):
    torch.manual_seed(f)
    case, functions, written_out = CASES[name]
    function = functions[0 if compiled else 1]
    inputs, rest = case(n, f, getattr(torch, dtype))
    found, expected = all_of(function(*inputs, *rest)), all_of(written_out(*inputs, *rest))
    with torch.no_grad():
        again = all_of(function(*inputs, *rest))  # another way through the loops
    by = [torch.randn_like(x) for x in expected]
    limit = TOLERANCE[dtype].equality
    for a, b in zip(
        [*found, *again, *gradients_of(found, inputs, by)],
        [*expected, *expected, *gradients_of(expected, inputs, by)],
        strict=True,
    ):
        scale = b.detach().abs().max().item() if b.numel() else 0.0
        torch.testing.assert_close(a, b, rtol=limit, atol=limit * scale)


@pytest.mark.parametrize("name", CASES)
def test_first_and_second_derivatives_equal_finite_differences(name):
    """By the weights too, which training needs."""
    torch.manual_seed(0)
    case, (function, _), _ = CASES[name]
    inputs, rest = case(2, 3, torch.float64)
    assert torch.autograd.gradcheck(lambda *x: function(*x, *rest), inputs)
    assert torch.autograd.gradgradcheck(lambda *x: function(*x, *rest), inputs)
    weights = [w.requires_grad_(True) for w in rest[:-1]]
    operator = getattr(torch.ops.mlip, function.__name__)
    assert torch.autograd.gradcheck(lambda *x: operator(*x, rest[-1]), (*inputs, *weights))


def test_one_result_alone_is_differentiated():
    torch.manual_seed(0)
    (s, v, messages), rest = update_case(5, 6, torch.float64)
    for k in (0, 1):
        found = equivariant_update(s, v, messages, *rest)[k].square().sum()
        expected = update_written_out(s, v, messages, *rest)[k].square().sum()
        for a, b in zip(
            torch.autograd.grad(found, (s, v, messages)),
            torch.autograd.grad(expected, (s, v, messages)),
            strict=True,
        ):
            torch.testing.assert_close(a, b, rtol=TOLERANCE["float64"].equality, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_numbers_of_either_sign_pass_through_silu(dtype):
    """Without a NaN, as exp overflows on one side; a NaN that comes in goes out, of its atom only."""
    kind = getattr(torch, dtype)
    s = torch.tensor([[0.0], [-50.0], [80.0], [-1e4], [1e4], [float("nan")]], dtype=kind)
    v, one = torch.zeros(6, 3, 1, dtype=kind), torch.ones(1, 1, dtype=kind)
    found = message_sources(
        s, v, one, torch.zeros(1, dtype=kind), one.expand(3, 1), torch.zeros(3, dtype=kind), False
    )[:, 0]
    expected = torch.nn.functional.silu(s[:, 0])
    assert found[-1].isnan()
    torch.testing.assert_close(
        found[:-1], expected[:-1], rtol=TOLERANCE[dtype].equality, atol=1e-30
    )


def test_weights_that_are_changed_in_place_are_seen():
    """Packed layers are kept from call to call, by where the weights are; `data` changes without a trace."""
    torch.manual_seed(0)
    inputs, rest = update_case(40, 20, torch.float32)
    for weight in rest[:-1]:
        equivariant_update(*inputs, *rest)
        weight.data[..., 0] += 1.0
        found, expected = equivariant_update(*inputs, *rest), update_written_out(*inputs, *rest)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=TOLERANCE["float32"].equality)


@pytest.mark.skipif(not are_compiled(), reason="composed operators keep no layers")
def test_layers_of_models_that_are_gone_do_not_fill_the_memory():
    """Sixty large layers one after the other: 14 MB each with what is packed, of which 64 MiB and the last may stay."""

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    torch.manual_seed(0)
    kept = []
    for k in range(60):
        inputs, rest = update_case(4, 512, torch.float32)
        equivariant_update(*inputs, *rest)
        kept.append(rest)  # else the next weights come to the same place, and replace them
        if k == 5:
            before = resident()
    of_weights = sum(w.numel() * 4 / 2**20 for rest in kept[6:] for w in rest[:-1])
    assert (
        resident() - before < of_weights + 100.0
    )  # MiB; all of them packed are as much again and twice


@pytest.mark.parametrize("n_distinct", [1, 2, 8, 9, 200])
def test_atoms_of_the_same_element_send_the_same_in_the_first_layer(n_distinct):
    """What few elements send is calculated once for each of them, in any order of the atoms."""
    torch.manual_seed(n_distinct)
    (s, v), rest = sources_case(200, 20, torch.float32, False)
    s = s.detach()[torch.randint(n_distinct, (200,))]
    found, expected = message_sources(s, v, *rest), sources_written_out(s, v, *rest)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=TOLERANCE["float32"].equality)


@pytest.mark.skipif(not are_compiled(), reason="composed operators share work as torch does")
def test_threads_do_not_change_the_result():
    torch.manual_seed(0)
    inputs, rest = update_case(300, 20, torch.float32)
    before = torch.get_num_threads()
    results = []
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            found = equivariant_update(*inputs, *rest)
            results.append((*found, *gradients_of(found, inputs, found)))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.skipif(not are_compiled(), reason="torch's own operators check their arguments")
def test_arguments_that_do_not_fit_are_refused():
    (s, v, messages), rest = update_case(4, 6, torch.float32)
    with pytest.raises(RuntimeError, match="equivariant_update: expected .n, F., .n, 3, F."):
        equivariant_update(s, v, messages[:3], *rest)
    with pytest.raises(RuntimeError, match="of one type, got Float and Double"):
        equivariant_update(s, v.double(), messages, *rest)
    (s, v), rest = gated_case(4, 6, torch.float32, 2)
    with pytest.raises(RuntimeError, match="gated_vectors: expected"):
        gated_vectors(s[:, :5], v, *rest)
    (s, v), rest = sources_case(4, 6, torch.float32, True)
    with pytest.raises(RuntimeError, match="message_sources: expected"):
        message_sources(s, v[0], *rest)

"""Muon in batches: singular values go as the iteration says, and steps are those of torch."""

import pytest
import torch
from torch.optim import Muon

from mlip_train.loop.batched_muon import BatchedMuon, orthogonalised

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@pytest.mark.parametrize("shape", [(4, 8, 8), (3, 12, 5), (2, 5, 12)])
def test_singular_vectors_stay_and_values_follow_the_polynomial(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape, dtype=torch.float64)
    u, s, v = torch.linalg.svd(matrices, full_matrices=False)
    a, b, c = COEFFICIENTS
    s = s / s.square().sum(dim=1, keepdim=True).sqrt()
    for _ in range(5):
        s = a * s + b * s**3 + c * s**5
    expected = u @ torch.diag_embed(s) @ v
    torch.testing.assert_close(
        orthogonalised(matrices, COEFFICIENTS, 5), expected, rtol=0, atol=1e-12
    )


def test_a_matrix_of_zeros_does_not_move():
    assert not orthogonalised(torch.zeros(2, 4, 6), COEFFICIENTS, 5).any()


def test_steps_are_those_of_torch_but_for_the_rounding_of_bfloat16():
    shapes = [(8, 12), (12, 8), (8, 12), (16, 16)]
    runs = []
    for kind, options in ((Muon, {"adjust_lr_fn": "match_rms_adamw"}), (BatchedMuon, {})):
        torch.manual_seed(1)
        parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
        unused = torch.nn.Parameter(torch.ones(8, 8))
        start = [p.detach().clone() for p in parameters]
        optimizer = kind([*parameters, unused], lr=0.01, weight_decay=0.1, **options)
        for _ in range(3):
            for p in parameters:
                p.grad = torch.randn(p.shape)
            optimizer.step()
        assert torch.equal(unused, torch.ones(8, 8))
        runs.append([p.detach() - s for p, s in zip(parameters, start, strict=True)])
    for theirs, ours in zip(*runs, strict=True):
        # bfloat16 has eight bits; five iterations of it make a few per cent
        assert (theirs - ours).norm() < 0.03 * theirs.norm()


def test_a_state_of_torch_is_taken_over():
    """A run that was begun with the optimiser of torch resumes with this one."""
    parameter = torch.nn.Parameter(torch.randn(8, 8))
    before = Muon([parameter], lr=0.01)
    parameter.grad = torch.randn(8, 8)
    before.step()
    after = BatchedMuon([parameter], lr=0.01)
    after.load_state_dict(before.state_dict())
    buffers = [o.state[parameter]["momentum_buffer"] for o in (before, after)]
    assert torch.equal(*buffers)

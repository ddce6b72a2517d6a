"""Processes that find each other, and work that is shared out."""

import os

import pytest

from mlip_engines.diagnostics.ranks import Alone, ranks, share
from mlip_engines.launcher import without_launcher


def test_one_process_is_alone(monkeypatch):
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(ranks(), Alone)
    monkeypatch.setenv("PMI_SIZE", "1")
    assert isinstance(ranks(), Alone)


@pytest.mark.parametrize(
    "launched",
    [
        {"PMI_SIZE": "2", "PMI_RANK": "1"},
        {"PMIX_RANK": "1"},
        {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"},
    ],
)
def test_a_process_that_cannot_find_the_others_does_not_work_in_their_folder(launched, monkeypatch):
    """A launcher of one MPI library, mpi4py of another: each process would be alone."""
    for name in [n for n in os.environ if n not in without_launcher(os.environ)]:
        monkeypatch.delenv(name)
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("mlip_engines.diagnostics.ranks.MpiRanks", Alone)
    with pytest.raises(ImportError, match="they belong to two MPI libraries"):
        ranks()


def test_no_process_has_much_more_to_do_than_another():
    costs = [12.0, 4.0, 8.0, 7.0, 5.5, 4.8]
    ranks_of = share(costs, 2)
    loads = [sum(c for c, r in zip(costs, ranks_of, strict=True) if r == k) for k in range(2)]
    assert max(loads) - min(loads) < min(costs)
    assert share([1.0, 2.0], 1) == [0, 0] and share([], 3) == []

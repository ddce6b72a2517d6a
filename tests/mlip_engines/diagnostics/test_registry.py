"""The list of diagnostics: what it refuses when the program starts, and what a name brings with it."""

import pytest

from mlip_engines.diagnostics.diagnostic import ModelDiagnostic, TrajectoryDiagnostic
from mlip_engines.diagnostics.registry import DIAGNOSTICS, chosen, registered
from mlip_engines.diagnostics.result import Section


class Asked(TrajectoryDiagnostic):
    title = "A question"

    def __init__(self, name, after=()):
        self.name, self.after = name, after

    def simulations(self, case, ensembles, earlier):
        return {}

    def measure(self, case, trajectories):
        raise NotImplementedError

    def render(self, result):
        return Section()


class OfModel(ModelDiagnostic):
    title = "Another question"

    def __init__(self, name, after=()):
        self.name, self.after = name, after

    def evaluations(self, case):
        return 1.0

    def measure(self, case):
        raise NotImplementedError

    def render(self, result):
        return Section()


def names(diagnostics):
    return [d.name for d in diagnostics]


def test_a_question_brings_those_it_builds_on():
    assert names(chosen(["nvt"])) == ["stride", "nvt"]
    assert names(chosen(None)) == list(DIAGNOSTICS)
    assert set(DIAGNOSTICS) - set(names(chosen(None, quick=True))) == {"dynamics", "npt"}
    assert names(chosen(["npt"], quick=True)) == ["stride", "npt"]
    chain = registered([Asked("c", after=("b",)), Asked("b", after=("a",)), Asked("a")])
    assert names(chosen(["c"], among=chain)) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("diagnostics", "words"),
    [
        ([Asked("a"), Asked("a")], "two diagnostics are called 'a'"),
        ([Asked("a-b")], "small letters, digits and underscores, got 'a-b'"),
        ([Asked("a", after=("b",))], "a builds on 'b', which is no question to an engine"),
        ([Asked("a", after=("b",)), OfModel("b")], "a builds on 'b'"),
        ([OfModel("b", after=("a",)), Asked("a")], "b is about a model alone"),
        ([Asked("a", after=("b",)), Asked("b", after=("a",))], "a builds on itself"),
        ([object()], "expected a ModelDiagnostic"),
    ],
)
def test_what_could_not_be_run_is_refused_at_the_start(diagnostics, words):
    with pytest.raises(ValueError, match=words):
        registered(diagnostics)


def test_a_diagnostic_that_lacks_a_method_cannot_be_made():
    class Half(ModelDiagnostic):
        name, title = "half", "Half a question"

        def measure(self, case):
            raise NotImplementedError

    with pytest.raises(TypeError, match="evaluations.*render"):
        Half()


def test_an_unknown_name_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"expected names of stride, nve, .*, got 'temperature'"):
        chosen(["symmetry", "temperature"])

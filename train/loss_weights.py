"""How much each term of the loss counts: what is learned in a stage of a run."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

LOSS_FUNCTIONS = ("huber", "mse", "mae", "norm", "rms_norm")
TERMS = (
    "energy",
    "conservative",
    "non_conservative",
    "stress",
    "non_conservative_stress",
    "non_conservative_slope",
    "match",
    "match_slope",
    "denoising",
)
LABELLED_TERMS = TERMS[:6]
# The errors of a validation that say how well a term is learned; the other terms have none.
ERROR_OF_TERM = {
    "energy": "energy_mae",
    "conservative": "conservative_mae",
    "non_conservative": "non_conservative_mae",
    "stress": "stress_mae",
    "non_conservative_stress": "non_conservative_stress_mae",
    "match": "c_minus_nc_mae",
}
VECTOR_FUNCTIONS = ("norm", "rms_norm")
VECTOR_TERMS = ("conservative", "non_conservative", "match")


@dataclass(frozen=True)
class LossWeights:
    """Weights of one stage; a term with weight 0 is not evaluated.

    Stress enters as the virial per atom, -V stress / N: it is of the size of energies, intensive, and does not
    depend on how much vacuum is in a cell. Structures without a label of stress do without these terms.
    """

    energy: float = 1.0  # of the energy per atom
    conservative: float = 0.0  # of forces by differentiation against labels
    non_conservative: float = 0.0  # of the head against labels
    stress: float = 0.0  # of the virial per atom by differentiation against labels
    non_conservative_stress: float = 0.0  # of the virial per atom of the head against labels
    non_conservative_slope: float = (
        0.0  # of the change of the head over a labelled displacement, per Å
    )
    match: float = 0.0  # of the head against the model's own conservative forces
    match_slope: float = 0.0  # of the change of C - NC over a perturbation, per Å of it
    denoising: float = 0.0  # of the way back from noise, told by the head for forces
    huber: float = 0.1  # eV/Å, of force errors: quadratic below, linear above
    huber_energy: float = 0.01  # eV/atom, likewise
    huber_virial: float = 0.05  # eV/atom, likewise
    huber_slope: float = 1.0  # eV/Å^2, likewise
    functions: dict[str, str] = field(default_factory=dict)  # by term, LOSS_FUNCTIONS

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises
        ------
        ValueError
            If a weight is negative, a threshold not positive, or a term or loss function unknown.
        """
        for name in TERMS:
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in (f.name for f in fields(self) if f.name.startswith("huber")):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for term, function in self.functions.items():
            if term == "denoising":
                raise ValueError(
                    "functions: denoising is a mean square, expected no other function for it"
                )
            if term not in TERMS or function not in LOSS_FUNCTIONS:
                raise ValueError(
                    f"functions must map terms {list(TERMS)} to {list(LOSS_FUNCTIONS)}, got {term}: {function}"
                )
            if function in VECTOR_FUNCTIONS and term not in VECTOR_TERMS:
                raise ValueError(
                    f"functions: {function} is of vectors, so of the terms {list(VECTOR_TERMS)}; got {term}: {function}"
                )

    @property
    def differentiates(self) -> bool:
        """Whether conservative forces are needed."""
        return self.conservative > 0.0 or self.match > 0.0 or self.stress > 0.0

    @property
    def trains_gradient(self) -> bool:
        """Whether derivatives of the energy are compared with labels, so that they have to be differentiated too."""
        return self.conservative > 0.0 or self.stress > 0.0

    @property
    def uses_head(self) -> bool:
        """Whether the non-conservative head is needed."""
        labelled = (
            self.non_conservative,
            self.non_conservative_stress,
            self.non_conservative_slope,
        )
        return self.match > 0.0 or max(labelled) > 0.0

    @property
    def uses_stress(self) -> bool:
        """Whether labels of stress are needed."""
        return self.stress > 0.0 or self.non_conservative_stress > 0.0

    def without_labels(self) -> LossWeights:
        """Return the weights of the terms that need no labels."""
        return replace(self, **dict.fromkeys(LABELLED_TERMS, 0.0))

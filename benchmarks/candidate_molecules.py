"""Names (SMILES) of small molecules, made from cores and groups, without any list of molecules from elsewhere.

A core is a ring or a chain with places where a group can be bound; every core gets every pair of groups, and the
canonical names that occur more than once are kept once. Elements: H, C, N, O, F, S and Cl.
"""

from __future__ import annotations

import random

from rdkit import Chem, RDLogger
from rdkit.Chem.Scaffolds import MurckoScaffold

RDLogger.DisableLog("rdApp.*")

# [*:1] and [*:2] are the places of the two groups.
CORES = (
    "c1([*:1])ccc([*:2])cc1",
    "c1([*:1])cc([*:2])ccc1",
    "c1([*:1])c([*:2])cccc1",
    "c1([*:1])ccc([*:2])nc1",
    "c1([*:1])nc([*:2])ccn1",
    "c1([*:1])ccc([*:2])o1",
    "c1([*:1])ccc([*:2])s1",
    "c1([*:1])ccc([*:2])[nH]1",
    "c1([*:1])nc([*:2])c[nH]1",
    "c1([*:1])nc([*:2])cs1",
    "C1([*:1])CCC([*:2])CC1",
    "C1([*:1])CCC([*:2])C1",
    "C1([*:1])CC1[*:2]",
    "C1([*:1])COC([*:2])C1",
    "N1([*:1])CCC([*:2])CC1",
    "N1([*:1])CCOC([*:2])C1",
    "C([*:1])C[*:2]",
    "C([*:1])CC[*:2]",
    "C([*:1])C(C)[*:2]",
    "C([*:1])=C[*:2]",
    "C([*:1])#C[*:2]",
    "C([*:1])(=O)[*:2]",
    "C([*:1])(=O)N[*:2]",
    "C([*:1])(=O)O[*:2]",
    "C([*:1])S[*:2]",
    "C([*:1])O[*:2]",
    "N(C)([*:1])C[*:2]",
    "C([*:1])=N[*:2]",
    "S([*:1])(=O)(=O)[*:2]",
    "c1([*:1])ccc2[nH]cc([*:2])c2c1",
)
GROUPS = (
    "[H]",
    "F",
    "Cl",
    "C",
    "CC",
    "C(C)C",
    "C=C",
    "C#C",
    "O",
    "OC",
    "N",
    "NC",
    "N(C)C",
    "S",
    "SC",
    "C#N",
    "C=O",
    "C(=O)O",
    "C(=O)N",
    "C(=O)C",
    "C(F)(F)F",
    "[N+](=O)[O-]",
    "CO",
    "CF",
    "C1CC1",
)
# Bonds that fall apart or explode rather than exist.
UNWANTED = tuple(
    Chem.MolFromSmarts(pattern)
    for pattern in (
        "[F,Cl]-[N,O,S]",
        "[O;X2]-[O;X2]",
        "[S;X2]-[S,O,N;X2,X3]",
        "[N;X3]-[O,N;X2,X3;!$(N=*)]",
        "[O,N,S]-[C;X4]-[F,Cl;!$([F]C(F)F)]",
        "[O;H1]-[C]=[C]",
        "[C;X2]#[C;X2]-[O,N,S,F,Cl]",
        "[F,Cl]-C=O",
    )
)


def candidates(n: int, *, most_atoms: int, seed: int) -> list[str]:
    """Return `n` canonical SMILES in a random order that `seed` fixes.

    Raises
    ------
    ValueError
        If there are fewer than `n`; it says how many.
    """
    names = set()
    for core in CORES:
        for first in GROUPS:
            for second in GROUPS:
                molecule = Chem.MolFromSmiles(core.replace("[*:1]", first).replace("[*:2]", second))
                if molecule is None or any(molecule.HasSubstructMatch(p) for p in UNWANTED):
                    continue
                if Chem.AddHs(molecule).GetNumAtoms() <= most_atoms:
                    names.add(Chem.MolToSmiles(molecule))
    if len(names) < n:
        raise ValueError(
            f"expected at least {n} molecules of at most {most_atoms} atoms, got {len(names)}; ask for fewer or "
            "larger ones"
        )
    ordered = sorted(names)
    random.Random(seed).shuffle(ordered)
    return ordered[:n]


def scaffold(name: str) -> str:
    """Return the Bemis-Murcko scaffold of a molecule; chains have the empty one."""
    return MurckoScaffold.MurckoScaffoldSmiles(smiles=name)

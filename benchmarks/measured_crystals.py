"""Crystals whose lattice, elastic constants and phonons have been measured, to compare models with.

At room temperature unless the source says otherwise; zero-point motion and heat are in the numbers of experiment and
not in those of a model at rest, which is worth up to about 1 % of a lattice constant and 10 % of an elastic constant.

References
----------
Lattices: Kittel, Introduction to Solid State Physics, 8th ed. (Wiley 2005), tables 1.3, and chapter 1 for compounds;
3C-SiC: Taylor and Jones, in Silicon Carbide, Pergamon 1960. Other sources are named with the numbers:

.. [SW] Simmons and Wang, Single Crystal Elastic Constants and Calculated Aggregate Properties, MIT Press 1971.
.. [K] Kittel, chapter 3, tables 11 and 12.

These were compared with the abstracts of the papers: the constants of MgO (Sumino, Anderson, Suzuki, Phys. Chem.
Minerals 9, 38, 1983) and GaAs (McSkimin, Jayaraman, Andreatch, J. Appl. Phys. 38, 2362, 1967), the modes of silicon and
germanium (Parker, Feldman, Ashkin, Phys. Rev. 155, 712, 1967), diamond (Solin, Ramdas, Phys. Rev. B 1, 1687, 1970) and
magnesium (Parker, Feldman, Ashkin, in Light Scattering Spectra of Solids, Springer 1969). Constants of magnesium were
compared with a table that quotes the paper; those of aluminium, copper, silver, gold, platinum, molybdenum and diamond
with other tables, which have the same or differ by less than 1.5 %. The others are as they were written down from
the sources that are named, and no second source was found.
"""

from __future__ import annotations

from typing import NamedTuple

from ase import Atoms
from ase.build import bulk


class MeasuredCrystal(NamedTuple):
    """A crystal, and what experiment says of it."""

    name: str  # as ase.build.bulk takes it
    structure: str  # fcc, bcc, hcp, diamond, rocksalt, zincblende, cesiumchloride
    a: float  # Å
    c: float | None  # Å, of hcp
    constants: tuple[float, ...]  # GPa: C11, C12, C44, and C13, C33 of hcp
    constants_source: str
    phonon: float | None  # THz, of the mode that MODES names for the structure
    phonon_source: str

    def atoms(self) -> Atoms:
        """Return the primitive cell with the measured lattice, its cube or its hexagonal axis along the axes."""
        return bulk(self.name, self.structure, a=self.a, c=self.c)

    @property
    def bulk_modulus(self) -> float:
        """The bulk modulus, GPa, that follows from the elastic constants, after Voigt."""
        return bulk_modulus(self.constants)


def bulk_modulus(constants: tuple[float, ...]) -> float:
    """Return Voigt's bulk modulus of C11, C12, C44 and, of a hexagonal crystal, C13, C33, in their unit."""
    c11, c12 = constants[:2]
    c13, c33 = constants[3:] if len(constants) == 5 else (c12, c11)
    return (2.0 * (c11 + c12) + 4.0 * c13 + c33) / 9.0


# Which mode is compared: the label of the point of seekpath, which of the frequencies there in rising order, in words.
# Optical modes of ionic crystals are the transverse ones: without the field of the charges all three are alike.
MODES = {
    "fcc": ("L", -1, "L, longitudinal"),
    "bcc": ("N", -1, "N, longitudinal"),
    "hcp": ("Γ", 3, "Γ, E2g"),
    "diamond": ("Γ", -1, "Γ, optical"),
    "rocksalt": ("Γ", -1, "Γ, TO"),
    "zincblende": ("Γ", -1, "Γ, TO"),
    "cesiumchloride": ("Γ", -1, "Γ, TO"),
}

CRYSTALS = (
    MeasuredCrystal(
        "Al", "fcc", 4.05, None, (106.8, 60.7, 28.2), "SW", 9.69, "Stedman and Nilsson 1966, 80 K"
    ),
    MeasuredCrystal(
        "Cu", "fcc", 3.61, None, (168.4, 121.4, 75.4), "K", 7.30, "Svensson et al. 1967"
    ),
    MeasuredCrystal("Ag", "fcc", 4.09, None, (124.0, 93.7, 46.1), "K", None, ""),
    MeasuredCrystal("Au", "fcc", 4.08, None, (192.3, 163.1, 42.0), "K", 4.70, "Lynn et al. 1973"),
    MeasuredCrystal(
        "Ni", "fcc", 3.52, None, (250.8, 150.0, 123.5), "K", 8.88, "Birgeneau et al. 1964"
    ),
    MeasuredCrystal(
        "Pt", "fcc", 3.92, None, (346.7, 250.7, 76.5), "SW", 5.85, "Dutton et al. 1972, 90 K"
    ),
    MeasuredCrystal(
        "Na", "bcc", 4.225, None, (7.4, 6.2, 4.2), "K", 3.82, "Woods et al. 1962, 90 K"
    ),
    MeasuredCrystal(
        "Fe", "bcc", 2.87, None, (234.0, 136.0, 118.0), "K", 9.26, "Brockhouse et al. 1967"
    ),
    MeasuredCrystal(
        "Mo", "bcc", 3.15, None, (463.7, 157.8, 109.2), "SW", 8.14, "Powell et al. 1968"
    ),
    MeasuredCrystal(
        "W", "bcc", 3.16, None, (523.3, 204.5, 160.7), "K", 6.75, "Larose and Brockhouse 1976"
    ),
    MeasuredCrystal(
        "Mg",
        "hcp",
        3.21,
        5.21,
        (59.4, 25.6, 16.4, 21.4, 61.6),
        "Slutsky and Garland 1957",
        3.60,
        "Parker et al. 1969, 120 per cm",
    ),
    MeasuredCrystal(
        "Ti",
        "hcp",
        2.95,
        4.68,
        (162.4, 92.0, 46.7, 69.0, 180.7),
        "Fisher and Renken 1964",
        None,
        "",
    ),
    MeasuredCrystal(
        "C",
        "diamond",
        3.567,
        None,
        (1079.0, 124.0, 578.0),
        "McSkimin and Andreatch 1972",
        39.9,
        "Solin and Ramdas 1970, 1332 per cm",
    ),
    MeasuredCrystal(
        "Si",
        "diamond",
        5.430,
        None,
        (165.7, 63.9, 79.6),
        "SW",
        15.6,
        "Parker et al. 1967, 520.2 per cm",
    ),
    MeasuredCrystal(
        "Ge",
        "diamond",
        5.658,
        None,
        (128.9, 48.3, 67.1),
        "McSkimin 1953",
        9.01,
        "Parker et al. 1967, 300.7 per cm",
    ),
    MeasuredCrystal(
        "NaCl",
        "rocksalt",
        5.63,
        None,
        (48.7, 12.4, 12.6),
        "K",
        4.92,
        "Raunio et al. 1969, 164 per cm",
    ),
    MeasuredCrystal(
        "MgO",
        "rocksalt",
        4.21,
        None,
        (296.6, 95.9, 156.2),
        "Sumino et al. 1983",
        12.0,
        "Jasperse et al. 1966, 401 per cm",
    ),
    MeasuredCrystal(
        "LiF",
        "rocksalt",
        4.02,
        None,
        (111.2, 42.0, 62.8),
        "K",
        9.17,
        "Jasperse et al. 1966, 306 per cm",
    ),
    MeasuredCrystal(
        "GaAs",
        "zincblende",
        5.653,
        None,
        (118.8, 53.7, 59.4),
        "McSkimin et al. 1967",
        8.05,
        "Mooradian and Wright 1966, 269 per cm",
    ),
    MeasuredCrystal(
        "SiC",
        "zincblende",
        4.36,
        None,
        (390.0, 142.0, 256.0),
        "Lambrecht et al. 1991",
        23.9,
        "Feldman et al. 1968, 796 per cm",
    ),
)

"""The numeric unit constants of the Python side; internal units are eV, Å and amu.

Values follow from the exact SI definitions of 2019 (e, N_A, k_B).
"""

EV_TO_KJ_PER_MOL = 96.48533212331002  # e N_A / 1000
EV_TO_KCAL_PER_MOL = EV_TO_KJ_PER_MOL / 4.184
NM_TO_ANGSTROM = 10.0
ANGSTROM_TO_NM = 1.0 / NM_TO_ANGSTROM
BOLTZMANN_EV_PER_KELVIN = 8.617333262e-5
EV_PER_CUBIC_ANGSTROM_TO_BAR = 1.602176634e6
EV_PER_CUBIC_ANGSTROM_TO_GPA = 160.2176634
MEV_PER_EV = 1000.0

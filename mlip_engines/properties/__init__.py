"""Properties of a model or of a trajectory, as pure functions: arrays, structures and models go in, numbers come out.

Nothing here judges, draws, writes a file or starts an engine; :mod:`mlip_engines.diagnostics` does that with these
functions. Lengths are in Å, energies in eV, times in ps, masses in amu; another unit is in the name.

============================  ==================================================================================
module                        what it computes
============================  ==================================================================================
``deviation``                 how far several models deviate from their mean
``errors``                    errors of a model on labelled structures
``force_field``               forces of a model as a function of positions, and products with their Jacobian
``jacobian``                  the Jacobian of the forces, and how much of it belongs to no energy
``work``                      the work of the forces around a closed path
``relaxation``                the minimum that a minimiser finds from a structure
``symmetry``                  how far energy and forces depend on the orientation of a structure
``molecules``                 which atoms are a molecule
``orientation``               directions of molecules, and their correlation
``radial_distribution``       g(r)
``velocity_spectrum``         the power spectrum of velocities
``diffusion``                 mean square displacement and diffusion coefficient
``flux``                      how fast energy travels, for the thermal conductivity
``lindemann``                 fluctuations of distances: whether something melts or falls apart
``hypervirial``               the configurational temperature of positions, without velocities
``motion``                    the same temperature of translation, libration, bend and stretch of molecules
``linear_theory``             what r-RESPA under a thermostat samples in harmonic wells
``thermodynamics``            temperature above that of the bath, enthalpy
============================  ==================================================================================

Examples
--------
>>> import numpy as np
>>> from mlip_engines.properties import asymmetry
>>> asymmetry(np.array([[0.0, 1.0], [-1.0, 0.0]]))  # a Jacobian with nothing but curl
1.0
"""

from mlip_engines.lazy import imported_on_use

_PUBLIC = {
    "BathedRespa": "linear_theory",
    "Deviation": "deviation",
    "ForceField": "force_field",
    "ModelErrors": "errors",
    "Relaxation": "relaxation",
    "asymmetry": "jacobian",
    "committee_deviation": "deviation",
    "configurational_temperature": "hypervirial",
    "configurational_temperature_of_motions": "motion",
    "diffusion_coefficient": "diffusion",
    "enthalpy": "thermodynamics",
    "evaluate_model": "errors",
    "excess_temperature": "thermodynamics",
    "find_molecules": "molecules",
    "heat_flux": "flux",
    "jacobian_asymmetry": "jacobian",
    "linear_molecules": "linear_theory",
    "lindemann_index": "lindemann",
    "loop_work": "work",
    "mean_square_displacement": "diffusion",
    "motion_projectors": "motion",
    "orientational_correlation": "orientation",
    "orientational_spread": "symmetry",
    "pair_distribution": "radial_distribution",
    "power_spectrum": "velocity_spectrum",
    "relax": "relaxation",
    "sampling": "linear_theory",
}

__all__ = sorted(_PUBLIC)
__getattr__ = imported_on_use(__name__, _PUBLIC)

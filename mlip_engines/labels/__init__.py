"""Energies, forces and stresses that came with structures: whether they can be right, and where a model gives them."""

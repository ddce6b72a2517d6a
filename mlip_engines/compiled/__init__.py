"""Libraries that are compiled on the machine where they run: what each is compiled for, where it is kept, and how.

LAMMPS reaches this room in every process that it starts, so nothing here imports torch or numpy.
"""

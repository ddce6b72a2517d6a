"""Labels of structures: energies, forces and stresses that a file or a model gives for them.

==================  ==============================================================================================
module              what it is about
==================  ==============================================================================================
``reading``         structures from a file of any format, checked: :func:`~mlip_engines.labels.reading.read_checked`
``checks``          what cannot be right is refused, what may be wrong is a warning
``geometry``        atoms on top of each other, cells that cannot be, lengths in another unit
``presence``        labels that are missing or not finite
``isolated``        single atoms whose energies are those of free elements
``weights``         how much a structure counts in a loss, as its file says it
``energies``        outliers, energies that do not grow with the number of atoms
``forces``          outliers, forces in another unit than the energies
``stresses``        sign and unit of a stress
``watch``           what is seen while structures are read, by the next two
``unread``          entries that nothing reads, such as a second energy or a charge
``repeats``         equal geometries, and whether their labels agree
``agreement``       whether energies, forces and stresses belong together
``pair_potential``  a pair potential fitted to forces, by which agreement judges
``composition``     reference energies of the elements that fit a set of structures
``batch``           labels of several structures as tensors
``labelling``       structures labelled by a model: :func:`~mlip_engines.labels.labelling.label`
``places``          how messages name a structure of a file
==================  ==============================================================================================
"""

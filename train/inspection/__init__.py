"""Data before a training: what is in a set, as a page, and a recipe that fits it.

==============  ======================================================================================
module          what it is about
==============  ======================================================================================
``survey``      numbers about the structures and labels of a set
``page``        these numbers as a page and as lines for a terminal: ``mlip-train --check``
``proposal``    settings that fit a set, and the recipe with them: ``mlip-train init``
``beginning``   the command line of ``mlip-train init``
==============  ======================================================================================
"""

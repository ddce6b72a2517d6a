"""Training: from a recipe and labelled structures to a checkpoint that mlip-export turns into a model file.

===================  ===============================================================================================
room                 what is in it
===================  ===============================================================================================
``recipe``           a run as plain YAML: network, stages, batches; ``recipes/`` holds those that come with the package
``loss_weights``     how much each term of the loss counts in a stage
``networks``         networks, one paper a file
``potentials``       potentials in closed form, which tests use where a network would be
``data``             files to structures with neighbour lists, and structures to batches
``machine``          device, precision, processes: how a run uses its machine; knows nothing of the rest
``loop``             the run itself: loss, steps, validation, checkpoints, resume, report
``command``          ``mlip-train``; on several devices ``torchrun --nproc-per-node 2 -m mlip_train.command ...``
===================  ===============================================================================================

Imports go from ``loop`` to all others, from ``data`` to ``machine``, and from ``recipe`` to ``data``, ``machine`` and
``loss_weights``. Here too, energies are differentiated in :mod:`mlip_engines.model.derivatives` only; the gradient of
the loss is taken in the training loop.
"""

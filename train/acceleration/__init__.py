"""From any model file to one that r-RESPA runs faster: a small network learns the forces of the model.

:mod:`~mlip_train.acceleration.run` is the whole: rounds of sampling (:mod:`~mlip_train.acceleration.sampling`),
labelling and training (:mod:`~mlip_train.acceleration.teaching`), and measuring
(:mod:`~mlip_train.acceleration.climb`), whose results are kept step by step in a
:mod:`~mlip_train.acceleration.journal`, so that a run that was stopped goes on.
"""

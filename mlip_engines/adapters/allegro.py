"""Models of Allegro: ``mlip-export --from allegro FILE -o model.pt``, the same as ``--from nequip``.

Allegro is an extension of NequIP; their files are of one kind.
"""

from mlip_engines.adapters.nequip import open

__all__ = ["open"]

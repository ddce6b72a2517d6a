"""The physics of a model, one question per file; :mod:`mlip_engines.validate` asks them all."""

"""The physics of a model, one question per file; :mod:`mlip_engines.commands.validate` asks them all."""

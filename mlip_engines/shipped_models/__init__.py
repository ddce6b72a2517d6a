"""The model files that come with the package, each with a card that describes it."""

from pathlib import Path


def models_directory() -> Path:
    """Return the folder of the shipped models."""
    return Path(__file__).parent

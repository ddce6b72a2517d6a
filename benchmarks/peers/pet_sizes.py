"""Sizes of a PET, the same for every implementation of it."""

import argparse
from pathlib import Path

CUTOFF, CUTOFF_WIDTH = 4.5, 1.0  # Å
SPECIES = [1, 8]
SEED = 1


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Let a parser take them."""
    parser.add_argument(
        "--features", type=int, default=64, help="of an edge; a node has four times"
    )
    parser.add_argument("--heads", type=int, default=4, help="of attention")
    parser.add_argument("--layers", type=int, default=3, help="of message passing")
    parser.add_argument("--attention-layers", type=int, default=1, help="in each of them")


def stem_of(maker: str, options: argparse.Namespace) -> Path:
    """Return the path of a network's files, without what comes after the dot."""
    sizes = options.features, options.heads, options.layers, options.attention_layers
    return options.files / f"{maker}-pet-{'-'.join(map(str, sizes))}"

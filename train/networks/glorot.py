"""Weights to begin with that keep the size of what passes through many products.

Glorot, Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010, equation 16.
"""

from torch import nn


def begin_with_glorot(network: nn.Module) -> None:
    """Draw the matrices of all linear layers anew, and set their biases to zero.

    Torch draws matrices that are 1.7 times smaller. Where vectors, gates, attention and radial functions are
    multiplied with each other, that is taken to a high power: forces of a new network then are thousands of times
    smaller than those of the data, and gradients with them.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

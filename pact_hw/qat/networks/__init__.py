"""Networks: plain float modules by name (``float_network``), and the digits network as a list of layers."""

from .catalogue import CATALOGUE, Entry, float_network
from .listed import MAX_SEED, NETWORKS, Layer, Network, Widths, build
from .parameters import load_parameters

__all__ = [
    "CATALOGUE",
    "MAX_SEED",
    "NETWORKS",
    "Entry",
    "Layer",
    "Network",
    "Widths",
    "build",
    "float_network",
    "load_parameters",
]

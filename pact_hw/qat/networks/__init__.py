"""Networks: plain float modules by name (``float_network``)."""

from .catalogue import CATALOGUE, MAX_SEED, Entry, float_network
from .parameters import load_parameters

__all__ = ["CATALOGUE", "MAX_SEED", "Entry", "float_network", "load_parameters"]

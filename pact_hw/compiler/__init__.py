"""From an integer network to what a core runs: operations, transfers, a memory image."""

from .compile import compile_network
from .compiled import Compiled, LayerReport, Piece, load_compiled, save_compiled
from .image import Image
from .placement import Placement

__all__ = [
    "Compiled",
    "Image",
    "LayerReport",
    "Piece",
    "Placement",
    "compile_network",
    "load_compiled",
    "save_compiled",
]

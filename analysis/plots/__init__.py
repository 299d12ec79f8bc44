"""The figures: each a function of rows, without computation."""

from .ablation import footprint, superlinear, superlinearity_map, traffic
from .networks import networks, pareto, roofline
from .own import area_fit, area_performance, energy
from .paper import fig6b, fig6c
from .style import save, style

__all__ = [
    "area_fit",
    "area_performance",
    "energy",
    "fig6b",
    "fig6c",
    "footprint",
    "networks",
    "pareto",
    "roofline",
    "save",
    "style",
    "superlinear",
    "superlinearity_map",
    "traffic",
]

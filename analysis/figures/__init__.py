"""The numbers behind the figures, each as a list of rows.

Bandwidths are in GB/s (1e9 bytes); None is unlimited.
"""

from .ablation import footprint, superlinear, superlinear_range, superlinearity_map, traffic
from .networks import networks, pareto, roofline
from .own import area_fit, area_performance, energy
from .paper import Rows, errors, fig6b, fig6c, narrow_edges, sensitivity

__all__ = [
    "Rows",
    "area_fit",
    "area_performance",
    "energy",
    "errors",
    "fig6b",
    "fig6c",
    "footprint",
    "narrow_edges",
    "networks",
    "pareto",
    "roofline",
    "sensitivity",
    "superlinear",
    "superlinear_range",
    "superlinearity_map",
    "traffic",
]

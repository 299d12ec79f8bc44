"""What each operation of a model means for integer layers, by name."""

from __future__ import annotations

from . import pointwise, pooled, qlinear, shaping, steps, weighted
from .reader import Handler

HANDLERS: dict[str, Handler] = {
    **weighted.HANDLERS,
    **pooled.HANDLERS,
    **pointwise.HANDLERS,
    **shaping.HANDLERS,
    **qlinear.HANDLERS,
    **steps.HANDLERS,
}

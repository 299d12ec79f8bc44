"""What stays on the chip, and what has to cross its pins: an explicit policy.

On-chip memory holds, in this order of right:

1. what the running layer needs: its input and output at activation precision and the residual
   stream. What does not fit is written out and read back (``spilled``);
2. weights that stay there from one batch to the next (``retained``), in what is left when the layer
   with the largest need runs;
3. everything else is fetched once per batch, while its layer computes (``streamed``). Where neither a
   layer's activations nor its weights fit, one of them is fetched again for every piece of the other
   (``reloaded``): half of the memory for each, and the cheaper of the two orders.

A layer that computes for t seconds hides ``t * bandwidth`` bytes of its weights; only the *exposed*
rest costs time. Retaining an exposed byte saves 1/bandwidth seconds whichever layer it belongs to, and
retaining a hidden byte saves none: so exposed bytes go first (each layer the same share), hidden ones
into what is left. No choice of bytes gives a shorter time.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from .system import Floats as Floats


class Retention(enum.Enum):
    """What stays on the chip."""

    NOTHING = "nothing"
    """Neither weights between batches nor activations between layers."""
    NONE = "none"
    """No weights: every one is fetched for every batch; activations stay if they fit."""
    EXPOSED_FIRST = "exposed-first"
    """By benefit: weights whose transfer does not hide behind computation, then others."""


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """Bytes per design and layer (shape (designs, layers)) and batch."""

    retained: Floats
    streamed: Floats
    spilled: Floats
    """Activations written out and read back: both transfers counted."""
    reloaded: Floats
    """Fetched again, beyond the first time."""

    @property
    def moved(self) -> Floats:
        """Everything that crosses the pins while the layer runs."""
        return self.streamed + self.spilled + self.reloaded


def _share(available: Floats, wanted: Floats) -> Floats:
    """The part of ``wanted`` that fits in ``available``, 0 to 1; 0 where nothing is wanted."""
    return np.minimum(1.0, np.divide(available, wanted, out=np.zeros_like(wanted), where=wanted > 0))


def _pieces(size: Floats, room: Floats) -> Floats:
    """How many pieces of at most ``room`` bytes ``size`` bytes are cut into; no piece is below a byte."""
    result: Floats = np.maximum(1.0, np.ceil(size / np.maximum(room, 1.0)))
    return result


def _reloads(capacity: Floats, live: Floats, weights: Floats, border: Floats | float) -> Floats:
    """Bytes fetched again by layers that do not fit, in the cheaper of two orders."""
    room = capacity / 2
    further_stripes = _pieces(live, room) - 1
    stripe_by_stripe = further_stripes * (np.maximum(0.0, weights - room) + border)
    block_by_block = (_pieces(weights, room) - 1) * np.maximum(0.0, live - capacity)
    result: Floats = np.where(live > capacity, np.minimum(stripe_by_stripe, block_by_block), 0.0)
    return result


def allocate(
    *,
    capacity: Floats,
    live: Floats,
    weights: Floats,
    hidden: Floats,
    retention: Retention,
    border: Floats | float = 0.0,
) -> Allocation:
    """Share out on-chip memory.

    Args:
        capacity: bytes for tensors, shape (designs, 1).
        live: bytes of activations and residual stream per layer, shape (designs, layers).
        weights: bytes of weights per layer.
        hidden: bytes that cross the pins while the layer computes (may be infinite).
        retention: the policy.
        border: bytes that two neighbouring stripes of a layer's input share.
    """
    # Nothing can cross more often than once as an input or an output.
    spilled = np.minimum(2 * np.maximum(0.0, live - capacity), live)
    reloaded = _reloads(capacity, live, weights, border)
    free = np.maximum(0.0, capacity - live.max(axis=1, keepdims=True))
    if retention is Retention.NOTHING:
        spilled = live
    if retention is not Retention.EXPOSED_FIRST:
        free = np.zeros_like(free)
    # Spills and reloads use the pins first: what they take hides no weights.
    exposed = np.clip(weights - np.maximum(0.0, hidden - spilled - reloaded), 0.0, weights)
    wanted = exposed.sum(axis=1, keepdims=True)
    retained = exposed * _share(free, wanted)
    rest = weights - exposed
    retained = retained + rest * _share(np.maximum(0.0, free - wanted), rest.sum(axis=1, keepdims=True))
    return Allocation(retained=retained, streamed=weights - retained, spilled=spilled, reloaded=reloaded)

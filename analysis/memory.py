"""What stays on the chip, and what has to cross its pins: an explicit policy.

On-chip memory holds, in this order of right:

1. what the running layer needs: its input and output at activation precision and the residual
   stream. What does not fit is written out and read back (``spilled``);
2. weights that stay there from one batch to the next (``retained``), in what is left when the layer
   with the largest need runs;
3. everything else is fetched once per batch, while its layer computes.

A layer that computes for t seconds hides ``t * bandwidth`` bytes of its weights; only the *exposed*
rest costs time. Retaining an exposed byte saves 1/bandwidth seconds whichever layer it belongs to, and
retaining a hidden byte saves none: so exposed bytes go first (each layer the same share), hidden ones
into what is left. No choice of bytes gives a shorter time.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Retention(enum.Enum):
    """Which weights stay on the chip between batches."""

    NONE = "none"
    """None: every weight is fetched for every batch."""
    EXPOSED_FIRST = "exposed-first"
    """By benefit: bytes whose transfer does not hide behind computation, then others."""


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """Bytes per design and layer (shape (designs, layers)) and batch."""

    retained: Floats
    streamed: Floats
    spilled: Floats
    """Activations written out and read back: both transfers counted."""


def _share(available: Floats, wanted: Floats) -> Floats:
    """The part of ``wanted`` that fits in ``available``, 0 to 1; 0 where nothing is wanted."""
    return np.minimum(1.0, np.divide(available, wanted, out=np.zeros_like(wanted), where=wanted > 0))


def allocate(
    *, capacity: Floats, live: Floats, weights: Floats, hidden: Floats, retention: Retention
) -> Allocation:
    """Share out on-chip memory.

    Args:
        capacity: bytes for tensors, shape (designs, 1).
        live: bytes of activations and residual stream per layer, shape (designs, layers).
        weights: bytes of weights per layer.
        hidden: bytes that cross the pins while the layer computes (may be infinite).
        retention: the policy.
    """
    spilled = 2 * np.maximum(0.0, live - capacity)
    free = np.maximum(0.0, capacity - live.max(axis=1, keepdims=True))
    if retention is Retention.NONE:
        free = np.zeros_like(free)
    # A spill uses the pins first: what it takes hides no weights.
    exposed = np.clip(weights - np.maximum(0.0, hidden - spilled), 0.0, weights)
    wanted = exposed.sum(axis=1, keepdims=True)
    retained = exposed * _share(free, wanted)
    rest = weights - exposed
    retained = retained + rest * _share(np.maximum(0.0, free - wanted), rest.sum(axis=1, keepdims=True))
    return Allocation(retained=retained, streamed=weights - retained, spilled=spilled)

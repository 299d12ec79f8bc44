"""DoReFa weights (Zhou et al., arXiv 1606.06160, equation 9), as the PACT paper uses them.

``q = round(n (t / (2 max|t|) + 1/2))`` with ``t = tanh(w)`` and ``n = 2**bits - 1``; the weight is
``2 q / n - 1``. So the integer weights are the odd levels ``2 q - n`` (``WeightEncoding.ODD``).
"""

from __future__ import annotations

import torch
from torch import Tensor


def _steps(weight: Tensor, bits: int) -> Tensor:
    """``n (t / (2 max|t|) + 1/2)``: the code before rounding, 0..n."""
    t = torch.tanh(weight)
    largest = t.abs().amax().clamp(min=torch.finfo(t.dtype).tiny)  # all weights 0: no division by 0
    return ((1 << bits) - 1) * (t / (2 * largest) + 0.5)


def dorefa_codes(weight: Tensor, bits: int) -> Tensor:
    """The unsigned codes q (int64) of ``weight``, of its shape."""
    with torch.no_grad():
        return _steps(weight, bits).round().long()


def dorefa(weight: Tensor, bits: int) -> Tensor:
    """The quantised weights, in [-1, 1]; the gradient passes straight through the rounding only."""
    steps = _steps(weight, bits)
    q = steps + (steps.round() - steps).detach()  # exact: both differences are representable
    return 2 * q / ((1 << bits) - 1) - 1

"""The integer semantics, in numpy int64: naive, and obviously right."""

from .matmul import decode_weights, matmul
from .network import from_rows, im2col, run, to_rows, weight_matrix
from .requantise import multiply_shift

__all__ = [
    "decode_weights",
    "from_rows",
    "im2col",
    "matmul",
    "multiply_shift",
    "run",
    "to_rows",
    "weight_matrix",
]

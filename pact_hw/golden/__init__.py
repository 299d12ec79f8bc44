"""The integer semantics, in numpy int64: naive, and obviously right."""

from .matmul import decode_weights, matmul
from .network import from_rows, im2col, input_levels, residual_operand, run, to_rows, weight_matrix
from .offset import offset_add
from .requantise import multiply_shift, thresholds

__all__ = [
    "decode_weights",
    "from_rows",
    "im2col",
    "input_levels",
    "matmul",
    "multiply_shift",
    "offset_add",
    "residual_operand",
    "run",
    "thresholds",
    "to_rows",
    "weight_matrix",
]

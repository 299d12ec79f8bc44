"""The integer semantics, in numpy int64: naive, and obviously right."""

from .matmul import decode_weights, matmul
from .requantise import multiply_shift

__all__ = ["decode_weights", "matmul", "multiply_shift"]

"""Real synthesis of generated designs: Yosys and abc, any cell library."""

from .run import synthesise

__all__ = ["synthesise"]

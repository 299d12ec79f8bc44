"""The command line: the one place where the rooms meet. Nothing imports it."""

from .main import main

__all__ = ["main"]

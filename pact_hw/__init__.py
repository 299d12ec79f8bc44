"""pact-hw: what each bit of precision costs in hardware, and what it buys.

Importing this package loads neither torch nor amaranth.
"""

__version__ = "0.1.0"

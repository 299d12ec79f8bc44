"""What runs inside the simulator: drives the streams, compares with ``pact_hw.golden``.

Imports cocotb, numpy, the specification, the reference and the vectors; never the hardware's sources.
"""

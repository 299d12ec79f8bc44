"""Amaranth to Verilog: processing elements, arrays, the requantiser, and their emission."""

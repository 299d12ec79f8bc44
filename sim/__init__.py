"""Simulation of generated designs: products in, bit-exact comparison and cycle counts out."""

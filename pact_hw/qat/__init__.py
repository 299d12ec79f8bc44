"""PyTorch: PACT, weight quantisers, layers, networks, training, and conversion to integers.

Importing this package loads nothing; its modules load torch.
"""

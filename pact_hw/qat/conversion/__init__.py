"""From a quantised PyTorch network to integers, proved equal.

``graph`` reads the network's layers off its fx graph; ``staircase``, ``search`` and ``proof`` make
each requantiser; ``integers`` runs the result on torch tensors; ``compare`` counts differences.
"""

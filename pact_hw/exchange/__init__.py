"""In from, and out to, other tools: QONNX and ONNX with quantisers.

``files`` reads models without trusting them; ``reader`` makes integer layers of their nodes, with
the proved requantisers of ``qat.conversion``; ``check`` compares with the tools' own executors;
``writer`` writes our networks as QONNX. The packages of the extra ``onnx`` load when needed.
"""

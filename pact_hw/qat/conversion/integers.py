"""A quantised network as integers: its layers, tensors, and what the proofs found."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from torch import fx

from ...errors import InputError
from ...network_files import Arrays
from ...progress import SILENT, Progress
from ...spec import NetworkSpec
from ...spec.layer import Shape
from .builder import Builder
from .graph import GraphReader
from .requantiser import Rules


@dataclass(frozen=True, kw_only=True)
class Converted:
    """The integer network, and how it hangs together with the PyTorch network that it came from."""

    network: NetworkSpec
    tensors: Arrays
    proofs: dict[str, dict[str, Any]]
    """Of each requantised layer: channels, thresholds checked, widths, fallbacks."""
    nodes: dict[str, tuple[str, Fraction]]
    """By layer (and "input"): the graph's node with the same values, and what one level is worth."""


def to_integers(
    model: fx.GraphModule,
    *,
    name: str,
    input_shape: Shape,
    rules: Rules | None = None,
    progress: Progress = SILENT,
) -> Converted:
    """``model`` (from ``quantise``, in evaluation mode) as integers.

    Convert it in float64 (``model.double()``): there it has the weight codes and clips that the
    comparison is made with.

    Raises:
        InputError: a module cannot be computed in integers exactly; it is named.
    """
    if model.training:
        raise InputError("a network is converted in evaluation mode: call model.eval() first")
    builder = Builder(model, rules or Rules())
    with progress.task("find and prove requantisers", total=len(model.graph.nodes)) as advance:
        GraphReader(model, input_shape, builder).run(advance)
    return Converted(
        network=builder.network(name), tensors=builder.tensors, proofs=builder.proofs, nodes=builder.nodes
    )

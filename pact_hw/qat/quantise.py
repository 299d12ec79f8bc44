"""``quantise``: an ordinary float network, and the same with PACT and quantised weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from torch import fx, nn

from ..errors import InputError
from ..spec.formats import MAX_BITS, check_int
from .binary import Binary
from .dorefa import DoReFa
from .operations import Op
from .pact import ALPHA_START, PACT, ActQuantiser
from .placement import IMAGE_ALPHA, Choice, Placement, signed
from .trace import trace
from .weights import WeightQuantiser

Bits = int | Mapping[str, int | None]
"""One width; or widths by patterns of module paths, the last that matches counts, None is float."""


class _Widths:
    """A width by module path; every pattern must match something."""

    def __init__(self, name: str, bits: Bits) -> None:
        self.name = name
        self.patterns = dict(bits) if isinstance(bits, Mapping) else {"*": bits}
        self.unused = set(self.patterns) - {"*"}
        for value in self.patterns.values():
            if value is not None:
                check_int(name, value, 1, MAX_BITS)

    def __call__(self, path: str, default: int | None = None, *, edge: bool = False) -> int | None:
        """The width at ``path``; at an edge ``default``, unless a pattern other than * matches."""
        matching = [p for p in self.patterns if fnmatchcase(path, p)]
        self.unused.difference_update(matching)
        if edge and set(matching) <= {"*"}:
            return default
        if not matching:
            raise InputError(f"{self.name} has no pattern for module {path!r}; add '*'")
        return self.patterns[matching[-1]]

    def check_used(self) -> None:
        """Refuse patterns that match no module."""
        if self.unused:
            raise InputError(f"{self.name}: pattern {min(self.unused)!r} matches no quantised module")


def quantise(
    model: nn.Module,
    act_bits: Bits = 4,
    weight_bits: Bits = 4,
    *,
    edge_bits: int | None = 8,
    residual_bits: Bits = 8,
    weights: Callable[[int], WeightQuantiser] = DoReFa,
    activation: type[PACT] = PACT,
    alpha: float = ALPHA_START,
    input_quantiser: ActQuantiser | None = None,
    tie_residuals: bool = False,
) -> fx.GraphModule:
    """A copy of ``model`` with PACT in place of every ReLU, and quantised weights.

    The float weights stay its parameters, under their old names; each PACT has its ``alpha`` where
    the ReLU was. Signed quantisers are added as ``placement`` says. Set all clips from data with
    ``calibrate``, then train as usual (``with_alpha_group`` makes the optimiser).

    Args:
        model: an ordinary network of one input; it is not changed.
        act_bits: 1 to 16, or by pattern, such as ``{"*": 4, "layer3.*": 2}``. A ReLU at None stays.
        weight_bits: likewise, by the paths of convolutions and linear layers. 1 bit is ``Binary``.
        edge_bits: of the image, of the weights of the first and the last layer, and of what the last
            layer alone reads; None leaves these in floating point.
        residual_bits: of values that are behind no activation and are added or used more than once.
        weights: the weights' quantiser for 2 bits and more (``DoReFa``, ``SAWB``, or a function).
        activation: ``PACT`` or ``PACTPlus``.
        alpha: the clips' first value (6 in place of ReLU6).
        input_quantiser: of the image, in place of a signed one whose clip is not trained. For images
            that are unsigned levels over n: ``PACT(bits, alpha=1.0)``.
        tie_residuals: one clip for a PACT behind an addition and the PACT whose levels are added, where
            their widths are equal. Requantisers are then narrow: ``round(x) + r`` is exact.

    Raises:
        InputError: an operation that cannot be quantised, named by its module's path; a width out of
            range, or a pattern that matches nothing.
    """
    acts, layers = _Widths("act_bits", act_bits), _Widths("weight_bits", weight_bits)
    residuals = _Widths("residual_bits", residual_bits)
    if edge_bits is not None:
        check_int("edge_bits", edge_bits, 1, MAX_BITS)

    def weight_quantiser(path: str, edge: bool) -> WeightQuantiser | None:
        bits = layers(path, edge_bits, edge=edge)
        if bits is None:
            return None
        try:
            return Binary() if bits == 1 else weights(bits)
        except InputError as error:
            raise InputError(f"module {path!r}: {error}") from None

    def activation_for(path: str, last: bool, module: nn.Module) -> PACT | None:
        bits = acts(path, edge_bits, edge=last)
        return None if bits is None else activation(bits, 6.0 if isinstance(module, nn.ReLU6) else alpha)

    def image(path: str) -> ActQuantiser | None:
        if input_quantiser is not None:
            quantiser = copy.deepcopy(input_quantiser)
        elif (bits := acts(path, edge_bits, edge=True)) is None:
            return None
        else:
            quantiser = signed(path, bits, IMAGE_ALPHA)
        quantiser.alpha.requires_grad_(False)
        return quantiser

    def residual(path: str) -> int:
        bits = residuals(path)
        if bits is None:
            raise InputError(f"residual_bits of {path!r} must be a width, not None")
        return bits

    traced = trace(copy.deepcopy(model))
    ops = [node.meta["op"] for node in traced.graph.nodes]
    if ops.count(Op.INPUT) != 1 or Op.LAYER not in ops:
        raise InputError(
            f"{type(model).__name__} has {ops.count(Op.INPUT)} inputs and {ops.count(Op.LAYER)} layers, "
            "expected one input and at least one layer"
        )
    choice = Choice(
        weights=weight_quantiser,
        activation=activation_for,
        input_bits=lambda path, last: acts(path, edge_bits, edge=last),
        residual_bits=residual,
        image=image,
        tie_residuals=tie_residuals,
    )
    Placement(traced, choice).run()
    traced.delete_all_unused_submodules()
    for widths in (acts, layers, residuals):
        widths.check_used()
    return traced.train(model.training)

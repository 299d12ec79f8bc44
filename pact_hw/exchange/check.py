"""An imported network against the executor of the model's own tools, layer by layer.

Each layer reads the executor's own levels, so that one difference is counted once: where every
layer agrees on what it is given, so does the network. The executor computes in float32. Where its
level is not ours, but the exact argument lies as near to a tie as float32 can tell, it is counted as
a tie, not as a mismatch.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ..errors import InputError
from ..golden.matmul import Int64
from ..golden.network import accumulate, from_rows, residual_operand, run_layer, to_rows
from ..progress import SILENT, Progress
from ..qat.conversion.requantiser import Channels
from ..spec import LayerKind, LayerSpec, NetworkSpec
from .executors import batch, executor
from .files import INTEGER_TYPES, Model
from .layers import GridBuilder
from .tensors import Array

FLOAT_ERROR = Fraction(1, 1 << 20)
"""Error of a float32 sum that we take for possible, relative to its largest: that of 16 roundings."""
COUNTS = ("levels_compared", "level_mismatches", "float_ties")
MOST_VALUES = 1 << 25
"""Values of one layer, unfolded for the reference, that are still compared."""


def compare(
    model: Model,
    network: NetworkSpec,
    builder: GridBuilder,
    *,
    images: int,
    seed: int = 0,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Counts over ``images`` random inputs, in all and by layer.

    Raises:
        InputError: the network is too large for this, or the executor gives something of another shape.
        ToolError: the executor cannot run the model.
    """
    observed = builder.observed
    if not images:
        none: dict[str, Any] = {"executor": None, "images": 0, "worst_logit_error": 0.0, "layers": {}}
        return {**none, **dict.fromkeys(COUNTS, 0), "class_mismatches": 0}
    name, run = executor(model, [tensor for tensor, _, _ in observed.values()])
    rng = np.random.default_rng(seed)
    layers: dict[str, dict[str, int]] = {}
    classes, worst = 0, 0.0
    count = model.batch or 1
    _check_size(network, count)
    with progress.task(f"compare with {name}", total=images) as advance:
        for _ in range(-(-images // count)):
            context = run(batch(model, _random(model, network, builder, rng, count)))
            values = {
                layer: _levels(network, layer, context[t], v, z) for layer, (t, v, z) in observed.items()
            }
            for layer in network.layers[:-1]:
                ours = run_layer(layer, builder.tensors, values)
                if layer.name not in values:  # no tensor of the model shows it
                    values[layer.name] = from_rows(ours, network.shapes[layer.name])
                    continue
                counts = layers.setdefault(layer.name, dict.fromkeys(COUNTS, 0))
                for key, amount in _compare(layer, builder, values, ours).items():
                    counts[key] += amount
            differ, error = _compare_logits(network, builder, values, context[model.output])
            classes, worst = classes + differ, max(worst, error)
            advance(count)
    totals = {key: sum(counts[key] for counts in layers.values()) for key in COUNTS}
    return {
        "executor": name,
        "images": -(-images // count) * count,
        **totals,
        "class_mismatches": classes,
        "worst_logit_error": worst,
        "layers": layers,
    }


def _random(
    model: Model, network: NetworkSpec, builder: GridBuilder, rng: np.random.Generator, count: int
) -> Array:
    """Inputs that reach every level, and beyond."""
    shape = (count, network.input_channels, network.input_height, network.input_width)
    if model.input_type in INTEGER_TYPES:
        low, high = INTEGER_TYPES[model.input_type]
        return rng.integers(low, high + 1, shape)
    assert builder.input_grid is not None
    grid = builder.input_grid
    return rng.uniform(grid.low - 1, grid.high + 1, shape) * float(grid.scale)


def _levels(network: NetworkSpec, name: str, tensor: Array, value: Fraction, zero: int) -> Int64:
    """What the executor gave, as levels in the network's own shape."""
    shape = network.shapes[name]
    if tensor.size % int(np.prod(shape)):
        raise InputError(f"layer {name!r} gives {tensor.shape}, not images of {shape}")
    return np.rint(tensor.astype(np.float64) / float(value)).astype(np.int64).reshape(-1, *shape) - zero


def _compare(layer: LayerSpec, builder: GridBuilder, values: dict[str, Int64], ours: Int64) -> dict[str, int]:
    theirs = to_rows(values[layer.name])
    wrong = np.argwhere(ours != theirs)
    channels = builder.channels.get(layer.name)
    ties = 0
    if len(wrong) and channels is not None and layer.kind is not LayerKind.MAX:
        acc = accumulate(layer, builder.tensors, values)
        residual = None
        if layer.residual is not None:
            residual = to_rows(residual_operand(layer, values[layer.residual]))
        step = 2 if channels.out.max == 1 and layer.out != channels.out else 1  # signs are -1 and 1
        for m, n in wrong[:1000].tolist():
            r = 0 if residual is None else int(residual[m, n])
            near = _near_tie(channels, n, int(acc[m, n]), r)
            ties += near and abs(int(ours[m, n]) - int(theirs[m, n])) <= step
    return {"levels_compared": ours.size, "level_mismatches": len(wrong) - ties, "float_ties": ties}


def _near_tie(channels: Channels, n: int, acc: int, residual: int) -> bool:
    """Whether float32 cannot tell on which side of a step the exact argument lies."""
    affine = channels.affines[n]
    z = affine.at(acc, residual)
    low, high = channels.intervals[n]
    largest: int = max(-low, high)
    reach = abs(affine.scale) * largest + abs(affine.offset)
    reach += abs(affine.residual_scale) * (0 if channels.residual is None else channels.residual.max)
    tie = math.floor(z) + Fraction(1, 2)
    near: bool = abs(z - tie) <= FLOAT_ERROR * max(reach, Fraction(1))
    return near


def _compare_logits(
    network: NetworkSpec, builder: GridBuilder, values: dict[str, Int64], theirs: Array
) -> tuple[int, float]:
    """Images of another class, and the largest difference of a logit, relative to the largest logit."""
    last = network.layers[-1]
    rows = run_layer(last, builder.tensors, values)
    ours = from_rows(rows, network.shapes[last.name]).reshape(len(theirs), -1)
    real = theirs.astype(np.float64).reshape(ours.shape)
    largest = max(float(np.abs(real).max()), 1e-30)
    chosen = np.take_along_axis(real, ours.argmax(axis=1)[:, None], axis=1)[:, 0]
    # Of two classes as near as float32 can tell, either will do.
    other = chosen < real.max(axis=1) - float(FLOAT_ERROR) * largest
    return int(other.sum()), float(np.abs(ours * float(builder.logit_value) - real).max() / largest)


def _check_size(network: NetworkSpec, images: int) -> None:
    shapes = network.shapes
    for layer in network.layers:
        _, y, x = shape = shapes[layer.name]
        size = images * max(y * x * layer.reduction * layer.groups, math.prod(shape))
        if size > MOST_VALUES:
            raise InputError(
                f"layer {layer.name!r} of shape {shape} is too large to be compared on {images} image(s); "
                "compare none (--images 0)"
            )

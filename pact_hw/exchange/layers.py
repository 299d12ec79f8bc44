"""Integer layers with any grid of levels behind them: zero points, narrow ranges, clips, signs."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from torch import fx, nn

from ..errors import InputError
from ..qat.conversion.affine import Affine
from ..qat.conversion.builder import Builder
from ..qat.conversion.proof import prove_thresholds
from ..qat.conversion.requantiser import Channels, Requantiser, Rules, requantiser
from ..qat.conversion.staircase import Staircase
from ..qat.conversion.values import Levels, Sums, act_for
from ..spec import ActFormat, RequantiserKind
from ..spec.layer import Shape
from ..spec.network import INPUT
from .grids import Grid, check_kept

MAX_CHANNELS, TOTAL_CHANNELS = 1 << 15, 1 << 18
"""Channels with a requantiser that is searched for, of one layer and of a network."""
_MAX_TABLE = 1 << 22
"""Thresholds of one layer that is kept as thresholds."""


@dataclass(frozen=True, kw_only=True)
class Clipped:
    """Sums behind a ReLU or a clip, which wait for a quantiser."""

    sums: Sums
    low: Fraction | None = None
    high: Fraction | None = None


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """Levels times a constant for each channel: what a sum may read as its second operand."""

    levels: Levels
    affines: list[Affine]


class GridBuilder(Builder):
    """Collects the layers of a model; ``channels`` keeps what each requantiser was asked for."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(fx.GraphModule(nn.Module(), fx.Graph()), rules)
        self.channels: dict[str, Channels] = {}
        self.input_grid: Grid | None = None
        self.left = TOTAL_CHANNELS
        self.observed: dict[str, tuple[str, Fraction, int]] = {}
        """By layer: the model's tensor, what one level of it is worth, and its zero point."""

    def set_input(self, grid: Grid, shape: Shape, *, flat: bool) -> Levels:
        """The network's input: what ``grid`` makes of the image."""
        check_kept(grid, "the input")
        if self.input is not None:
            raise InputError("the input is quantised twice")
        self.input_grid = grid
        act = act_for(grid.low, grid.high)
        self.input = Levels(name=INPUT, act=act, value=grid.scale, shape=shape, channels=shape[0], flat=flat)
        return self.input

    def requantise(self, path: str, x: Clipped | Sums | Levels, grid: Grid) -> Levels:
        """The levels that ``grid`` makes of ``x``."""
        if isinstance(x, Clipped):
            grid, x = grid.clipped(x.low, x.high), x.sums
        check_kept(grid, f"node {path!r}")
        self._spend(path, x.shape[0])
        if isinstance(x, Levels):
            same = x.value == grid.scale and grid.low <= x.act.min and x.act.max <= grid.high
            if same and not grid.bipolar:
                return x
            x = self.identity(path, x)
        act = act_for(grid.low, grid.high)
        name = self._name(x.path)
        step = Fraction(1) if grid.bipolar else grid.scale
        affines = [affine.then(1 / step) for affine in x.affines]
        residual = None if x.residual is None else x.residual.act
        whole = (act.min, act.max) == (grid.low, grid.high) and grid.before % 2 == 0 and not grid.bipolar
        wanted = Channels(
            layer=name,
            affines=[grid.argument(affine) for affine in affines] if whole else affines,
            intervals=x.intervals,
            out=act,
            residual=residual,
        )
        self.channels[name] = wanted if whole else _code_channels(wanted, grid)
        made = requantiser(wanted, self.rules) if whole else _table(wanted, self.channels[name], grid)
        return self._emit(name, x, made, act, grid.scale)

    def thresholds(
        self, path: str, x: Sums, stairs: list[Staircase], act: ActFormat, value: Fraction
    ) -> Levels:
        """The levels of ``x`` whose steps ``stairs`` are the requantiser."""
        self._spend(path, x.shape[0])
        name = self._name(x.path)
        return self._emit(name, x, _kept(name, stairs), act, value)

    def _spend(self, path: str, channels: int) -> None:
        self.left -= channels
        if channels > MAX_CHANNELS or self.left < 0:
            raise InputError(
                f"node {path!r}: {channels} channels to be requantised are too many (at most {MAX_CHANNELS}, "
                f"and {TOTAL_CHANNELS} in all)"
            )

    def result(self, path: str, x: Clipped | Sums | Levels, tensor: str) -> None:
        """The network's output, which ``tensor`` names: the sums or levels of its last layer."""
        if isinstance(x, Clipped):
            raise InputError(f"node {path!r}: the network ends in a ReLU or clip that nothing quantises")
        if isinstance(x, Levels):
            x = self.identity(path, x)
        graph = fx.Graph()
        node = graph.placeholder("output")
        self.logits(x, node)
        self.observed[self.layers[-1].name] = tensor, self.logit_value, 0


def _table(wanted: Channels, coded: Channels, grid: Grid) -> Requantiser:
    """Thresholds for a grid whose lowest and highest levels are not those of a format.

    The staircase is that of the codes; levels below the grid's lowest are reached always, those above
    its highest never.
    """
    out, codes = wanted.out, coded.out
    rows = 1 if wanted.residual is None else wanted.residual.max - wanted.residual.min + 1
    if len(wanted.affines) * rows * max(codes.max - codes.min, out.max - out.min) > _MAX_TABLE:
        raise InputError(
            f"layer {wanted.layer!r}: levels {grid.low}..{grid.high} need more than {_MAX_TABLE} thresholds"
        )
    stairs = [_embedded(stair, codes, out, grid) for stair in coded.table()]
    return _kept(wanted.layer, stairs)


def _kept(layer: str, stairs: list[Staircase]) -> Requantiser:
    """Steps as they are, proved to rise."""
    proof = {
        "channels": len(stairs),
        "thresholds_checked": prove_thresholds(layer, stairs),
        "fallback_channels": list(range(len(stairs))),
        "lowest_accumulator": min(min(stair.sign * stair.low, stair.sign * stair.high) for stair in stairs),
        "highest_accumulator": max(max(stair.sign * stair.low, stair.sign * stair.high) for stair in stairs),
    }
    tensors = {
        "thresholds": np.stack([stair.steps for stair in stairs]),
        "sign": np.array([stair.sign for stair in stairs], dtype=np.int64),
    }
    return Requantiser(kind=RequantiserKind.THRESHOLD, tensors=tensors, proof=proof)


def _span(grid: Grid) -> tuple[int, int]:
    """The lowest and the highest code; a sign's codes are 0 and 1."""
    return (0, 1) if grid.bipolar else (grid.low + grid.before, grid.high + grid.before)


def _code_channels(wanted: Channels, grid: Grid) -> Channels:
    """``wanted`` in codes, before the zero point is taken away."""
    low, high = _span(grid)

    def coded(affine: Affine) -> Affine:
        if grid.bipolar:  # code 1 where z >= 0: floor(z + 1) >= 1
            floor = Grid(scale=Fraction(1), low=0, high=1, rounding="FLOOR")
            return floor.argument(affine.then(Fraction(1), Fraction(1)))
        return grid.argument(affine.then(Fraction(1), Fraction(grid.before)))

    return Channels(
        layer=wanted.layer,
        affines=[coded(affine) for affine in wanted.affines],
        intervals=wanted.intervals,
        out=act_for(min(low, 0), high),
        residual=wanted.residual,
    )


def _embedded(stair: Staircase, codes: ActFormat, out: ActFormat, grid: Grid) -> Staircase:
    """The staircase of ``grid``'s codes as one of all levels of ``out``."""
    low, high = _span(grid)
    steps = np.empty((len(stair.steps), out.max - out.min), dtype=np.int64)
    for i, level in enumerate(range(out.min + 1, out.max + 1)):
        code = 1 if grid.bipolar else level + grid.before
        if code <= low:
            steps[:, i] = stair.low
        elif code > high:
            steps[:, i] = stair.high + 1
        else:
            steps[:, i] = stair.steps[:, code - codes.min - 1]
    return Staircase(
        sign=stair.sign, low=stair.low, high=stair.high, first=out.min, steps=steps,
        residual_min=stair.residual_min, residual_max=stair.residual_max,
    )  # fmt: skip

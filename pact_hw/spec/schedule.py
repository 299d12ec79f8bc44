"""Tile loops and exact cycle counts of a matrix product on an array.

The one source of loop order: the test bench drives it, simulation asserts it, analysis reads it.

Output stationary (M pixels, N channels, K reduction terms)::

    for n0 in 0, cols ..< N:              # output channels, cols at a time
        for m0 in 0, rows ..< M:          # output pixels, rows at a time
            for plane in planes:          # one; bit-serial: the activations' bits, highest first
                for k0 in 0, lanes ..< K: # one beat: rows x lanes and cols x lanes operands
            drain cols beats              # column 0 first: rows accumulators each; wide: one beat

Weight stationary::

    for n0 in 0, cols ..< N:
        for k0 in 0, rows * lanes ..< K:
            load rows beats               # the bottom row's weights first
            for m in 0 ..< M:             # one beat: rows x lanes activations, cols partial sums
                                          # one output beat: cols partial sums
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from .formats import check_int
from .hardware import HardwareSpec
from .kinds import Dataflow


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


@dataclass(frozen=True, kw_only=True)
class MatrixSchedule:
    """An ``M x K`` by ``K x N`` product on one array, without stalls.

    ``cycles`` counts from the cycle in which the first operand beat is accepted to the cycle in
    which the last result is taken, both included.
    """

    spec: HardwareSpec
    m: int
    k: int
    n: int

    def __post_init__(self) -> None:
        check_int("M", self.m, 1, 1 << 40)
        check_int("N", self.n, 1, 1 << 40)
        if self.k > self.spec.max_reduction:
            raise InputError(
                f"reduction length {self.k} exceeds the {self.spec.max_reduction} terms for which "
                f"{self.spec.name} has exact accumulators"
            )
        check_int("K", self.k, 1, self.spec.max_reduction)

    @property
    def beats_per_tile(self) -> int:
        """Operand beats of a tile; weight stationary: without the ``rows`` load beats."""
        if self._output_stationary:
            return self.spec.planes * _ceil(self.k, self.spec.lanes)
        return self.m

    @property
    def tiles(self) -> int:
        """How many times the tile's inner loop runs."""
        n_tiles = _ceil(self.n, self.spec.cols)
        if self._output_stationary:
            return n_tiles * _ceil(self.m, self.spec.rows)
        return n_tiles * _ceil(self.k, self.spec.rows * self.spec.lanes)

    @property
    def tile_cycles(self) -> int:
        """Cycles from one tile's first beat to the next tile's first beat."""
        spec = self.spec
        if self._output_stationary:
            # The last beat passes the operand registers (and stages) while nothing else happens, then
            # the sums leave.
            idle = spec.array_latency_cycles - spec.result_latency_cycles - 1
            return self.beats_per_tile + idle + spec.drain_cycles
        # The next weights are let in when the last result has left the array.
        return spec.rows + self.beats_per_tile + spec.array_latency_cycles

    @property
    def cycles(self) -> int:
        """Cycles of the whole product."""
        spec = self.spec
        return self.tiles * self.tile_cycles + spec.result_latency_cycles + spec.requantiser_latency_cycles

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates: M K N."""
        return self.m * self.k * self.n

    @property
    def utilisation(self) -> float:
        """Useful MACs over what the array could have done in ``cycles``."""
        return self.macs * self.spec.planes / (self.cycles * self.spec.macs_per_cycle)

    @property
    def _output_stationary(self) -> bool:
        return self.spec.dataflow is Dataflow.OUTPUT_STATIONARY


def schedule(spec: HardwareSpec, *, m: int, k: int, n: int) -> MatrixSchedule:
    """The schedule of an ``m x k`` by ``k x n`` product on ``spec``.

    Raises:
        InputError: a dimension is not positive, or ``k`` exceeds ``spec.max_reduction``.
    """
    return MatrixSchedule(spec=spec, m=m, k=k, n=n)

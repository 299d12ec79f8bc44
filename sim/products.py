"""Matrix products to run on an array: given ones, corner cases, random ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pact_hw.errors import InputError
from pact_hw.golden import matmul
from pact_hw.spec import (
    HardwareSpec,
    MacKind,
    RequantiserSpec,
    WeightEncoding,
    accumulator_range,
    schedule,
)

from .random_scales import extreme, spread
from .scales import Int64, Scale, Thresholds

__all__ = ["MatrixProduct", "Scale", "Thresholds", "random_products"]

MANY_CHANNELS = 24
"""Of products that are to meet many different constants."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MatrixProduct:
    """``act`` times the values of ``weight``; without ``scale`` the result is the raw sums."""

    name: str
    act: Int64
    """(M, K) levels."""
    weight: Int64
    """(K, N) codes."""
    scale: Scale | Thresholds | None = None
    residual: Int64 | None = None
    """(M, N) levels, with ``scale`` only."""
    mode_bits: int | None = None
    """Width of the operands on a composable array, of the levels on a bit-serial one; None: the widest, and
    always on a fixed one."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(M, K, N)."""
        return self.act.shape[0], self.act.shape[1], self.weight.shape[1]

    def check(self, spec: HardwareSpec) -> None:
        """Refuse what cannot run on ``spec`` exactly.

        Raises:
            InputError: shapes disagree, a value does not fit its port, K is too long, or the array has
                no such mode.
        """
        spec = spec.in_mode(self.mode_bits)
        if self.act.ndim != 2 or self.weight.ndim != 2 or self.act.shape[1] != self.weight.shape[0]:
            raise InputError(
                f"product {self.name!r}: act {self.act.shape} and weight {self.weight.shape} "
                "must be M x K and K x N"
            )
        m, k, n = self.shape
        schedule(spec, m=m, k=k, n=n)
        self._check_range("act", self.act, 0, spec.act.max)
        self._check_range("weight", self.weight, 0, spec.weight.levels)
        if self.scale is None:
            if self.residual is not None:
                raise InputError(f"product {self.name!r}: a residual needs a scale")
            return
        if spec.requantiser is None:
            raise InputError(f"product {self.name!r} has a scale, but {spec.name} has no requantiser")
        kind = spec.requantiser.kind
        if self.scale.kind is not kind:
            raise InputError(
                f"product {self.name!r} has constants for {self.scale.kind.value}, "
                f"but {spec.name}'s requantiser is {kind.value}"
            )
        self._check_residual(spec.requantiser)
        if isinstance(self.scale, Thresholds):
            self._check_thresholds(self.scale, spec.requantiser)
        else:
            self._check_scale(self.scale, spec, spec.requantiser)

    def _check_residual(self, requantiser: RequantiserSpec) -> None:
        m, _k, n = self.shape
        if self.residual is None:
            return
        if self.residual.shape != (m, n):
            raise InputError(f"product {self.name!r}: residual must be {(m, n)}, not {self.residual.shape}")
        self._check_range("residual", self.residual, 0, (1 << requantiser.residual_bits) - 1)

    def _check_thresholds(self, scale: Thresholds, requantiser: RequantiserSpec) -> None:
        n = self.shape[2]
        sets = 1 if self.residual is None else requantiser.threshold_sets
        shape = scale.thresholds.shape
        if len(shape) != 3 or shape[:2] != (n, sets) or shape[2] > requantiser.steps:
            raise InputError(
                f"product {self.name!r}: thresholds must have shape ({n}, {sets}, at most "
                f"{requantiser.steps}), not {shape}"
            )
        if (np.diff(scale.thresholds) < 0).any():
            raise InputError(f"product {self.name!r}: thresholds must ascend")
        if scale.sign.shape != (n,) or not np.isin(scale.sign, (-1, 1)).all():
            raise InputError(f"product {self.name!r}: sign must be {n} times 1 or -1, not {scale.sign}")

    def _check_scale(self, scale: Scale, spec: HardwareSpec, requantiser: RequantiserSpec) -> None:
        k, n = self.shape[1:]
        for name, values in scale.columns.items():
            if values.shape != (n,):
                raise InputError(f"product {self.name!r}: {name} must have shape ({n},), not {values.shape}")
        for name, bits in (
            ("mult", requantiser.mult_bits),
            ("residual_mult", requantiser.mult_bits),
            ("add", requantiser.add_bits),
        ):
            self._check_range(name, scale.columns[name], -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        self._check_range("shift", scale.shift, 0, requantiser.max_shift)
        self._check_range("limit", np.array([scale.limit]), 0, (1 << requantiser.level_bits) - 1)
        low, high = accumulator_range(spec.act, spec.weight, k)
        largest = max(-low, high) * _magnitude(scale.mult) + _magnitude(scale.add)
        if self.residual is not None:
            largest += _magnitude(self.residual) * _magnitude(scale.residual_mult)
        if largest >= 1 << 63:
            raise InputError(
                f"product {self.name!r}: acc mult + residual residual_mult + add could reach {largest}, "
                "beyond the reference's 64 bits"
            )

    def _check_range(self, what: str, values: npt.NDArray[np.integer], low: int, high: int) -> None:
        if not np.issubdtype(values.dtype, np.integer):
            raise InputError(f"product {self.name!r}: {what} must be integers, not {values.dtype}")
        wrong = values[(values < low) | (values > high)]
        if wrong.size:
            raise InputError(f"product {self.name!r}: {what} {int(wrong[0])} is not in {low}..{high}")


def _magnitude(values: Int64) -> int:
    return int(np.abs(values).max())


def random_products(spec: HardwareSpec, count: int, seed: int) -> list[MatrixProduct]:
    """``count`` products for ``spec``: the corner cases first, then random shapes and values.

    On a requantising array products with and without a scale alternate after the extremes; on a
    composable one each corner case comes in every mode (on a bit-serial one in the widest, the narrowest and
    one between), and random products in random modes.
    """
    if count < 1:
        raise InputError(f"number of products must be at least 1, not {count}")
    rng = np.random.default_rng(seed)
    products: list[MatrixProduct] = []
    modes: tuple[int | None, ...] = spec.modes or (None,)
    some = modes
    if spec.mac_kind is MacKind.BIT_SERIAL:
        some = tuple(dict.fromkeys((modes[0], modes[len(modes) // 2], modes[-1])))
    corner_cases = [_corner_cases(spec.in_mode(mode), rng) for mode in some]
    for one_in_each_mode in zip(*corner_cases, strict=True):
        for mode, product in zip(some, one_in_each_mode, strict=True):
            if len(products) == count:
                return products
            products.append(_in_mode(product, mode))
    while len(products) < count:
        mode = modes[int(rng.integers(len(modes)))] if spec.modes else None
        set_to = spec.in_mode(mode)
        m, n = (int(rng.integers(1, 2 * size + 2)) for size in (spec.rows, spec.cols))
        k = int(rng.integers(1, min(spec.max_reduction, 3 * _reduction_step(set_to)) + 1))
        product = _in_mode(_random(f"random {len(products)}", set_to, rng, m, k, n), mode)
        products.append(_scaled(product, set_to, rng) if len(products) % 2 else product)
    return products


def _in_mode(product: MatrixProduct, bits: int | None) -> MatrixProduct:
    return product if bits is None else replace(product, name=f"{product.name}, {bits} bits", mode_bits=bits)


def _reduction_step(spec: HardwareSpec) -> int:
    """More reduction terms than a beat and a weight-stationary tile take, and not a multiple of them."""
    return spec.rows * spec.lanes + 1


def _corner_cases(spec: HardwareSpec, rng: np.random.Generator) -> Iterator[MatrixProduct]:
    rows, cols, longest = spec.rows, spec.cols, spec.max_reduction
    highest = spec.weight.levels
    lowest = 0
    if spec.weight.encoding is WeightEncoding.TWOS_COMPLEMENT:
        lowest = 1 << (spec.weight.bits - 1)
        highest = lowest - 1
    for name, code in (("highest sums", highest), ("lowest sums", lowest)):
        act = np.full((rows, longest), spec.act.max, dtype=np.int64)
        weight = np.full((longest, cols), code, dtype=np.int64)
        product = MatrixProduct(name=name, act=act, weight=weight)
        yield product
        if spec.requantiser is not None:
            many = replace(product, weight=np.full((longest, MANY_CHANNELS), code, dtype=np.int64))
            scale, residual = extreme(spec, spec.requantiser, rows, MANY_CHANNELS)
            yield replace(many, name=f"{name}, extreme constants", scale=scale, residual=residual)
            yield replace(_scaled(many, spec, rng), name=f"{name}, many channels")
    if spec.requantiser is not None:
        many = _random("many channels", spec, rng, rows, min(longest, 2 * spec.lanes), 2 * MANY_CHANNELS)
        yield _scaled(many, spec, rng)
    # Beyond the array in M and N, and a last beat that is not full.
    k = min(longest, 2 * _reduction_step(spec) + 1)
    beyond = _random("beyond the array", spec, rng, 2 * rows + 1, k, 2 * cols + 1)
    yield _scaled(beyond, spec, rng)
    yield _random("one term", spec, rng, rows, 1, cols)
    yield _random("longest reduction", spec, rng, rows, longest, cols)
    yield _all_sizes(spec, rng, lowest, highest, 4 * cols)
    if spec.requantiser is not None:
        yield _scaled(_all_sizes(spec, rng, lowest, highest, 2 * MANY_CHANNELS), spec, rng)
    yield _scaled(_random("one output", spec, rng, 1, min(7, longest), 1), spec, rng)
    zero = _random("zero activations", spec, rng, rows, min(spec.lanes, longest), cols)
    yield MatrixProduct(name=zero.name, act=np.zeros_like(zero.act), weight=zero.weight)


def _all_sizes(
    spec: HardwareSpec, rng: np.random.Generator, lowest: int, highest: int, n: int
) -> MatrixProduct:
    """Rows and columns that are ever more of the extremes."""
    m, k = 4 * spec.rows, spec.max_reduction  # so that the array's last row and column have the most
    most = rng.random((m, k)) < np.linspace(0, 1, m)[:, None]
    act = np.where(most, spec.act.max, rng.integers(0, 2, (m, 1)) * rng.integers(0, spec.act.max + 1, (m, k)))
    shares = np.linspace(0, 1, n)
    shares[: n // 2 : 2] = 1 - shares[: n // 2 : 2]  # some beside others that have few
    weight = np.where(rng.random((k, n)) < shares, highest, lowest)
    return MatrixProduct(name="sums of all sizes", act=act, weight=weight)


def _random(name: str, spec: HardwareSpec, rng: np.random.Generator, m: int, k: int, n: int) -> MatrixProduct:
    return MatrixProduct(
        name=name,
        act=rng.integers(0, spec.act.max + 1, (m, k)),
        weight=rng.integers(0, spec.weight.levels + 1, (k, n)),
    )


def _scaled(product: MatrixProduct, spec: HardwareSpec, rng: np.random.Generator) -> MatrixProduct:
    """``product`` with random constants that spread its sums over the levels, if there is a requantiser."""
    if spec.requantiser is None:
        return product
    sums = matmul(product.act, product.weight, spec.weight)
    scale, residual = spread(spec, spec.requantiser, sums, rng)
    return replace(product, scale=scale, residual=residual)

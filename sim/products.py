"""Matrix products to run on an array: given ones, corner cases, random ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pact_hw.errors import InputError
from pact_hw.golden import matmul
from pact_hw.spec import HardwareSpec, RequantiserSpec, WeightEncoding, accumulator_range, schedule

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scale:
    """Requantiser constants of a product, one per output channel (``limit``: one for all).

    ``level = clip((acc mult + residual residual_mult + add) >> shift, 0, limit)``.
    """

    mult: Int64
    """(N,)"""
    add: Int64
    """(N,)"""
    shift: Int64
    """(N,)"""
    residual_mult: Int64
    """(N,); zeros where there is no residual."""
    limit: int

    @property
    def columns(self) -> dict[str, Int64]:
        """The members with one value per output channel, by name."""
        return {
            "mult": self.mult,
            "add": self.add,
            "shift": self.shift,
            "residual_mult": self.residual_mult,
        }

    def channels(self, chosen: slice) -> Scale:
        """The constants of some of the output channels."""
        return Scale(**{name: values[chosen] for name, values in self.columns.items()}, limit=self.limit)


@dataclass(frozen=True, kw_only=True, eq=False)
class MatrixProduct:
    """``act`` times the values of ``weight``; without ``scale`` the result is the raw sums."""

    name: str
    act: Int64
    """(M, K) levels."""
    weight: Int64
    """(K, N) codes."""
    scale: Scale | None = None
    residual: Int64 | None = None
    """(M, N) levels, with ``scale`` only."""
    mode_bits: int | None = None
    """Width of the operands on a composable array; None: its widest, and always on a fixed one."""

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
        self._check_scale(self.scale, spec, spec.requantiser)

    def _check_scale(self, scale: Scale, spec: HardwareSpec, requantiser: RequantiserSpec) -> None:
        m, k, n = self.shape
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
        residual = np.zeros((m, n), dtype=np.int64) if self.residual is None else self.residual
        if residual.shape != (m, n):
            raise InputError(f"product {self.name!r}: residual must be {(m, n)}, not {residual.shape}")
        self._check_range("residual", residual, 0, (1 << requantiser.residual_bits) - 1)
        low, high = accumulator_range(spec.act, spec.weight, k)
        largest = max(-low, high) * _magnitude(scale.mult) + _magnitude(scale.add)
        largest += _magnitude(residual) * _magnitude(scale.residual_mult)
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
    composable one each corner case comes in every mode, and random products in random modes.
    """
    if count < 1:
        raise InputError(f"number of products must be at least 1, not {count}")
    rng = np.random.default_rng(seed)
    products: list[MatrixProduct] = []
    modes: tuple[int | None, ...] = spec.modes or (None,)
    corner_cases = [_corner_cases(spec.in_mode(mode), rng) for mode in modes]
    for one_in_each_mode in zip(*corner_cases, strict=True):
        for mode, product in zip(modes, one_in_each_mode, strict=True):
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
            yield _extreme(product, spec, spec.requantiser)
    # Beyond the array in M and N, and a last beat that is not full.
    k = min(longest, 2 * _reduction_step(spec) + 1)
    beyond = _random("beyond the array", spec, rng, 2 * rows + 1, k, 2 * cols + 1)
    yield _scaled(beyond, spec, rng)
    yield _random("one term", spec, rng, rows, 1, cols)
    yield _random("longest reduction", spec, rng, rows, longest, cols)
    yield _scaled(_random("one output", spec, rng, 1, min(7, longest), 1), spec, rng)
    zero = _random("zero activations", spec, rng, rows, min(spec.lanes, longest), cols)
    yield MatrixProduct(name=zero.name, act=np.zeros_like(zero.act), weight=zero.weight)


def _random(name: str, spec: HardwareSpec, rng: np.random.Generator, m: int, k: int, n: int) -> MatrixProduct:
    return MatrixProduct(
        name=name,
        act=rng.integers(0, spec.act.max + 1, (m, k)),
        weight=rng.integers(0, spec.weight.levels + 1, (k, n)),
    )


def _largest_mult(spec: HardwareSpec, requantiser: RequantiserSpec) -> int:
    """The largest multiplier that fits its port, and the reference's 64 bits with every accumulator."""
    low, high = accumulator_range(spec.act, spec.weight, spec.max_reduction)
    return min((1 << (requantiser.mult_bits - 1)) - 1, (1 << 62) // max(-low, high, 1))


def _extreme(product: MatrixProduct, spec: HardwareSpec, requantiser: RequantiserSpec) -> MatrixProduct:
    """``product`` with the largest constants of both signs, column by column."""
    m, _k, n = product.shape
    sign = np.where(np.arange(n) % 2, -1, 1)
    scale = Scale(
        mult=sign * _largest_mult(spec, requantiser),
        add=sign * ((1 << min(requantiser.add_bits - 1, 61)) - 1),
        shift=np.where(np.arange(n) % 3, requantiser.max_shift, 0),
        residual_mult=-sign * _largest_mult(spec, requantiser),
        limit=(1 << requantiser.level_bits) - 1,
    )
    residual = np.full((m, n), (1 << requantiser.residual_bits) - 1, dtype=np.int64)
    return replace(product, name=f"{product.name}, extreme scale", scale=scale, residual=residual)


def _scaled(product: MatrixProduct, spec: HardwareSpec, rng: np.random.Generator) -> MatrixProduct:
    """``product`` with random constants that spread its sums over the levels, if there is a requantiser."""
    requantiser = spec.requantiser
    if requantiser is None:
        return product
    m, _k, n = product.shape
    largest = _largest_mult(spec, requantiser)
    mult = rng.integers(-largest, largest + 1, n)
    residual_mult = rng.integers(-largest, largest + 1, n)
    spread = np.abs(matmul(product.act, product.weight, spec.weight)).max(axis=0) + 1
    bits = np.array([(int(s) * abs(int(f))).bit_length() for s, f in zip(spread, mult, strict=True)])
    shift = np.clip(bits - requantiser.level_bits + rng.integers(-1, 2, n), 0, requantiser.max_shift)
    add = rng.integers(-(1 << (requantiser.add_bits - 1)), 1 << (requantiser.add_bits - 1), n)
    add >>= np.maximum(requantiser.add_bits - 1 - np.maximum(bits, 1), 0)
    scale = Scale(
        mult=mult,
        add=np.clip(add, -(1 << 61), 1 << 61),
        shift=shift,
        residual_mult=residual_mult,
        limit=int(rng.integers(0, 1 << requantiser.level_bits)),
    )
    residual = rng.integers(0, 1 << requantiser.residual_bits, (m, n))
    return replace(product, scale=scale, residual=residual)

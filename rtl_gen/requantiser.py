"""The multiply-shift requantiser of one value: exact integers in, activation level out."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal, Value, signed

from pact_hw.spec import HardwareSpec, RequantiserSpec, signed_bits

from .arithmetic import named
from .block import Block, input_port, output_port


def output_bits(spec: HardwareSpec, requantiser: RequantiserSpec) -> int:
    """Bits of one value that leaves: a level, or a raw sum."""
    return max(requantiser.level_bits, spec.acc_bits)


def total_shape(spec: HardwareSpec, requantiser: RequantiserSpec, residual_mult_bits: int = 0) -> Shape:
    """Shape of ``acc mult + residual residual_mult + add``: holds every value, and what leaves.

    ``residual_mult`` has ``mult_bits`` bits if not said otherwise.
    """

    def signed_ends(bits: int) -> tuple[int, int]:
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    mult = signed_ends(requantiser.mult_bits)
    residuals = (0, (1 << requantiser.residual_bits) - 1)
    terms = [
        [a * b for a in signed_ends(spec.acc_bits) for b in mult],
        [a * b for a in residuals for b in signed_ends(residual_mult_bits or requantiser.mult_bits)],
        signed_ends(requantiser.add_bits),
    ]
    exact = signed_bits(sum(map(min, terms)), sum(map(max, terms)))
    return signed(max(exact, output_bits(spec, requantiser), requantiser.level_bits + 1))


class Requantiser(Block):
    """clip((acc * mult + residual * residual_mult + add) >> shift, 0, limit), every step exact.

    Three registers deep: products, sum, level. Constants come when their stage needs them, because
    all values of a beat share the registers that delay them.
    """

    def __init__(self, spec: HardwareSpec, requantiser: RequantiserSpec) -> None:
        self._spec = spec
        self._requantiser = requantiser
        residual = [
            input_port("residual", requantiser.residual_bits, "stage 1: level, unsigned"),
            input_port("residual_mult", requantiser.mult_bits, "stage 1: two's complement"),
        ]
        super().__init__(
            f"{spec.name}_requantiser",
            [
                input_port("advance", 1, "the pipeline moves"),
                input_port("acc", spec.acc_bits, "stage 1: accumulator, two's complement"),
                input_port("mult", requantiser.mult_bits, "stage 1: two's complement"),
                *(residual if requantiser.residual_bits else []),
                input_port("add", requantiser.add_bits, "stage 2: two's complement"),
                input_port("shift", requantiser.shift_bits, "stage 3: unsigned"),
                input_port("limit", requantiser.level_bits, "stage 3: highest level, unsigned"),
                input_port("raw", 1, "stage 3: the sum instead of the level"),
                output_port("data", output_bits(spec, requantiser), "level, or the sum's low bits"),
            ],
        )

    def _build(self, m: Module) -> None:
        total = self._total(m, self.advance, self.advance)
        level = self._level(m, total)
        data_next = named(m, "data_next", Mux(self.raw, total[: len(self.data)], level), len(self.data))
        with m.If(self.advance):
            m.d.sync += self.data.eq(data_next)

    def _total(self, m: Module, load_products: Value, load_total: Value) -> Signal:
        """The registered sum that is to be shifted, behind the registered products."""
        acc, mult, add = self.acc.as_signed(), self.mult.as_signed(), self.add.as_signed()
        total = Signal(self._total_shape())
        product = self._product(m, acc, mult, load_products)
        products_sum: Value = product
        if self._requantiser.residual_bits:
            residual_mult = self.residual_mult.as_signed()
            residual_product = Signal(signed(len(self.residual) + len(residual_mult)))
            residual_product_next = named(
                m, "residual_product_next", self.residual * residual_mult, residual_product.shape()
            )
            with m.If(load_products):
                m.d.sync += residual_product.eq(residual_product_next)
            products = product + residual_product
            products_sum = named(m, "products_sum", products, products.shape())
        total_next = named(m, "total_next", products_sum + add, total.shape())
        with m.If(load_total):
            m.d.sync += total.eq(total_next)
        return total

    def _total_shape(self) -> Shape:
        return total_shape(self._spec, self._requantiser)

    def _product(self, m: Module, acc: Value, mult: Value, load: Value) -> Signal:
        """The registered product of the accumulator."""
        product = Signal(signed(len(acc) + len(mult)))
        product_next = named(m, "product_next", acc * mult, product.shape())
        with m.If(load):
            m.d.sync += product.eq(product_next)
        return product

    def _level(self, m: Module, total: Signal) -> Signal:
        """``total``, shifted and saturated."""
        shifted = named(m, "shifted", total >> self.shift, total.shape())
        limit = self.limit
        # Only asked where the sign bit is 0.
        above_limit = named(m, "above_limit", shifted[:-1] > limit, 1)
        saturated = named(m, "saturated", Mux(above_limit, limit, shifted[: len(limit)]), limit.shape())
        return named(m, "level", Mux(shifted[-1], 0, saturated), limit.shape())

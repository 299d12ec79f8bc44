"""The integer network on torch tensors: the numbers of ``pact_hw.golden``, at the speed of floating point.

It cannot round. A sum of products of integers is exact in floating point as long as no partial sum
leaves the integers that the type holds, +-2**24 in float32 and +-2**53 in float64: every product,
and every sum of some of the products in any order, lies between the sum of all negative and the sum
of all positive ones, which the actual weights bound. So each layer computes in the narrowest of
float32, float64 and int64 whose integers hold its own bounds. The requantiser's ``acc mult + r
residual_mult + add`` likewise is exact in float64 below 2**53. Its constants are divided by
``2**shift`` beforehand, which changes exponents only, and the floor is the shift. Beyond 2**53 it is
done in int64.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from ... import golden
from ...golden.network import Tensors
from ...spec import LayerKind, LayerSpec, NetworkSpec, RequantiserKind
from ...spec.network import INPUT
from .values import weight_intervals

_EXACT = ((1 << 24, torch.float32), (1 << 53, torch.float64))


def exact_dtype(largest: int) -> torch.dtype:
    """The narrowest type in which integers up to ``largest`` in magnitude are exact."""
    for limit, dtype in _EXACT:
        if largest <= limit:
            return dtype
    return torch.int64


class IntegerLayer:
    """One layer, ready to run; its output has the type that its readers want."""

    def __init__(self, layer: LayerSpec, tensors: Tensors) -> None:
        self.layer = layer
        self.largest = self._largest_sum(tensors)
        self.dtype = exact_dtype(self.largest)
        self.weight = None
        if layer.weight is not None:
            codes = np.asarray(tensors[f"{layer.name}.weight"], dtype=np.int64)
            values = golden.decode_weights(codes, layer.weight)
            self.weight = torch.from_numpy(values).to(self.dtype)
        self.constants = {
            name.rpartition(".")[2]: torch.from_numpy(np.asarray(value, dtype=np.int64))
            for name, value in tensors.items()
            if name.startswith(f"{layer.name}.") and not name.endswith(".weight")
        }
        self.scaled = self._requantiser_dtype()
        self.columns = {
            name: self._column(self.constants[name])
            for name in ("mult", "add", "residual_mult")
            if name in self.constants
        }

    def _column(self, values: Tensor) -> Tensor:
        """Constants by channel; in float64 divided by ``2**shift``, which is exact."""
        if self.scaled is torch.float64 and "shift" in self.constants:
            values = torch.ldexp(values.double(), -self.constants["shift"])
        return values[:, None, None]

    def _largest_sum(self, tensors: Tensors) -> int:
        layer = self.layer
        if layer.weight is None:
            return max(-layer.act.min, layer.act.max) * layer.reduction
        codes = np.asarray(tensors[f"{layer.name}.weight"], dtype=np.int64)
        return max(max(-low, high) for low, high in weight_intervals(codes, layer.weight, layer.act))

    def _requantiser_dtype(self) -> torch.dtype:
        """The type in which ``acc mult + r residual_mult + add``, and all in it, is exact."""
        if "mult" not in self.constants:
            return torch.int64
        largest = {name: int(self.constants[name].abs().max()) for name in self.constants}
        residual = 0 if self.layer.residual_act is None else self.layer.residual_act.max
        residual = max(residual, 0 if self.layer.residual_act is None else -self.layer.residual_act.min)
        total = self.largest * largest["mult"] + residual * largest.get("residual_mult", 0) + largest["add"]
        return torch.float64 if total < 1 << 53 else torch.int64

    def sums(self, values: dict[str, Tensor]) -> Tensor:
        """The exact sums, B x N x OY x OX, in the layer's type."""
        layer, x = self.layer, values[self.layer.source].to(self.dtype)
        if layer.kind is LayerKind.CONCAT:
            return torch.cat([x, *(values[name].to(self.dtype) for name in layer.concat)], dim=1)
        if layer.kind is LayerKind.SUM:
            if layer.kernel == 1 and not layer.padding:
                return x[:, :, :: layer.stride, :: layer.stride]
            x = F.pad(x, (layer.padding,) * 4)
            windows = x.unfold(2, layer.kernel, layer.stride).unfold(3, layer.kernel, layer.stride)
            return windows.sum(dim=(4, 5))
        assert self.weight is not None
        if layer.kind is LayerKind.LINEAR:
            return F.linear(x.flatten(1), self.weight)[:, :, None, None]
        return F.conv2d(x, self.weight, stride=layer.stride, padding=layer.padding, groups=layer.groups)

    def __call__(self, values: dict[str, Tensor]) -> Tensor:
        """Levels in float32 where that holds them; logits in int64."""
        layer = self.layer
        if layer.kind is LayerKind.MAX:
            x = values[layer.source]
            x = F.pad(x, (layer.padding,) * 4, value=layer.act.min)
            return F.max_pool2d(x, layer.kernel, layer.stride)
        acc = self.sums(values)
        if layer.out is None:
            logits = acc.to(torch.int64)
            if layer.bias_shift is None:
                return logits
            return (logits << layer.bias_shift) + self.constants["add"][:, None, None]
        residual = self._residual(values)
        if layer.requantiser is RequantiserKind.THRESHOLD:
            return self._thresholds(acc, residual)
        total = torch.addcmul(self.columns["add"], acc.to(self.scaled), self.columns["mult"])
        if residual is not None:
            first = layer.residual_channel
            mine = total[:, first : first + residual.shape[1]]
            factor = self.columns["residual_mult"][first : first + residual.shape[1]]
            mine.addcmul_(residual.to(self.scaled), factor)
        if self.scaled is torch.int64:
            total >>= self.constants["shift"][:, None, None]
        else:
            total.floor_()
        return total.clamp_(layer.out.min, layer.out.max).to(torch.float32)

    def _residual(self, values: dict[str, Tensor]) -> Tensor | None:
        """The channels of the residual operand that there are."""
        if self.layer.residual is None:
            return None
        step = self.layer.residual_stride
        return values[self.layer.residual][:, :, ::step, ::step]

    def _thresholds(self, acc: Tensor, residual: Tensor | None) -> Tensor:
        layer = self.layer
        assert layer.out is not None
        signed = acc.to(torch.int64) * self.constants["sign"][:, None, None]
        table = self.constants["thresholds"]
        # All rows of a channel are one ascending list when each is moved above the one before it.
        span = int(max(table.abs().max(), signed.abs().max())) * 2 + 2
        rows = torch.arange(table.shape[1])[:, None] * span
        levels = torch.empty(signed.shape, dtype=torch.float32)
        for n in range(layer.out_channels):
            at = signed[:, n].contiguous()
            row = torch.zeros_like(at)
            own = n - layer.residual_channel
            if layer.residual_act is not None:
                row -= layer.residual_act.min
                if residual is not None and 0 <= own < residual.shape[1]:
                    row += residual[:, own].to(torch.int64)
            found = torch.searchsorted((table[n] + rows).flatten(), at + row * span, right=True)
            levels[:, n] = (found - row * table.shape[2] + layer.out.min).to(torch.float32)
        return levels


class IntegerNetwork:
    """A whole network on torch tensors."""

    def __init__(self, network: NetworkSpec, tensors: Tensors) -> None:
        self.network, self.tensors = network, tensors
        self.layers = [IntegerLayer(layer, tensors) for layer in network.layers]
        last_use: dict[str, str] = {}
        for layer in network.layers:
            last_use |= {name: layer.name for name in (layer.source, layer.residual, *layer.concat) if name}
        self.dead = {
            layer.name: [n for n, at in last_use.items() if at == layer.name] for layer in network.layers
        }

    @torch.inference_mode()
    def outputs(self, levels: npt.NDArray[np.integer]) -> Iterator[tuple[str, Tensor]]:
        """Each layer's name and output (B x N x OY x OX), in order; what nobody needs any more is freed."""
        values = {INPUT: torch.from_numpy(np.ascontiguousarray(levels, dtype=np.float32))}
        for layer in self.layers:
            output = layer(values)
            values[layer.layer.name] = output
            for name in self.dead[layer.layer.name]:
                del values[name]
            yield layer.layer.name, output

    def logits(self, images: npt.NDArray[np.integer], *, batch: int = 50) -> npt.NDArray[np.int64]:
        """The integer logits (B x classes) of ``images``: pixels, or levels where there is no table."""
        found = []
        for start in range(0, len(images), batch):
            levels = golden.input_levels(self.network, self.tensors, images[start : start + batch])
            ((_, logits),) = deque(self.outputs(levels), maxlen=1)
            found.append(logits.flatten(1).numpy())
        return np.concatenate(found)

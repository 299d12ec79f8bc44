"""Layers as operations: which pixels, which weights, which constants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..golden.matmul import Int64, decode_weights
from ..golden.network import Tensors, weight_matrix
from ..golden.offset import offset_add
from ..spec import ActFormat, LayerKind, LayerSpec, NetworkSpec, RequantiserKind, signed_bits
from ..spec.core import RESULT_BITS, CoreSpec
from ..spec.network import INPUT
from ..spec.program import Opcode
from .image import Image
from .image_layout import lay_out_image
from .placement import Placement, place
from .slots import Slots, channel_slots
from .weights import Codes, slices
from .work import Constants, Residual, Source, Steps, Work

ODD_STRIPS = "input 1"
"""Where every second strip of the image is put."""


@dataclass(frozen=True)
class Lowered:
    """A network as operations in order, and its tensors, none of which has an address yet."""

    works: list[Work]
    placements: dict[str, Placement]
    image: Image


def lower(network: NetworkSpec, tensors: Tensors, core: CoreSpec) -> Lowered:
    """The operations of ``network`` on ``core``.

    Raises:
        InputError: a layer is nothing that the core can do; the message says which and what.
    """
    return Lowering(network, tensors, core).result()


class Lowering:
    """Layer by layer; ``result`` gives all."""

    def __init__(self, network: NetworkSpec, tensors: Tensors, core: CoreSpec) -> None:
        self._network, self._tensors, self._core = network, tensors, core
        self._slots = channel_slots(network, core)
        self._image = lay_out_image(network, core, self._slots[INPUT])
        self._placements = {INPUT: replace(self._image.placement, height=self._image.lines)}
        if self._image.strips > 1:
            self._placements[ODD_STRIPS] = self._placements[INPUT]
        self._shapes = network.shapes
        for layer in network.layers:
            act = layer.out or ActFormat(bits=1)
            self._placements[layer.name] = place(
                core, act, self._slots[layer.name], *self._shapes[layer.name][1:]
            )

    def result(self) -> Lowered:
        """Everything."""
        works = [
            part
            for layer in self._network.layers
            for work in self._layer(layer)
            for part in self._strips(work)
        ]
        return Lowered(works, self._placements, self._image)

    def _strips(self, work: Work) -> Iterator[Work]:
        """``work`` cut into the strips in which the image comes."""
        if work.source.tensor != INPUT or self._image.strips == 1:
            yield work
            return
        lines, height = self._image.lines, work.out_height
        for strip in range(self._image.strips):
            top = strip * lines
            rows = min(lines, height - top)
            yield replace(
                work,
                source=replace(work.source, tensor=ODD_STRIPS if strip % 2 else INPUT, height=rows),
                y=Steps(1, 1, top),  # output line ``top`` is the strip's line 0
                top=top,
                out_height=rows,
                strip=strip,
                macs=work.macs * rows // height,
            )

    def _layer(self, layer: LayerSpec) -> Iterator[Work]:
        self._check(layer)
        if layer.kind.weighted:
            yield from self._matrix(layer)
        else:
            yield from self._windows(layer)

    def _check(self, layer: LayerSpec) -> None:
        """Refuse what the core's numbers do not hold."""
        core, name = self._core, layer.name
        if layer.requantised and layer.requantiser is RequantiserKind.THRESHOLD:
            raise InputError(f"layer {name!r}: thresholds are not on this core; it multiplies and shifts")
        need = layer.reduction
        if need > core.array.max_reduction:
            raise InputError(
                f"layer {name!r} adds up {need} products, the core at most {core.array.max_reduction}"
            )
        formats = [("levels", layer.act.bits, core.widest_act_bits)]
        if layer.out is not None:
            formats.append(("levels", layer.out.bits, min(core.widest_act_bits, core.requantiser.level_bits)))
        if layer.residual_act is not None:
            formats.append(("residual levels", layer.residual_act.bits, core.requantiser.residual_bits))
        if layer.weight is not None:
            formats.append(("weights", layer.weight.bits, core.widest_weight_bits))
        for what, bits, have in formats:
            if bits > have:
                raise InputError(f"layer {name!r} has {what} of {bits} bits, the core of at most {have}")
        bits = signed_bits(*self._sums(layer))
        have = core.sum_bits if layer.out is not None else min(RESULT_BITS, core.sum_bits)
        if bits > have:
            raise InputError(f"layer {name!r} has sums of {bits} bits, the core of at most {have}")

    def _sums(self, layer: LayerSpec) -> tuple[int, int]:
        """The lowest and the highest sum of codes that there can be."""
        codes = layer.act.max - layer.act.min
        if layer.weight is None:
            return 0, codes * layer.reduction
        weights = decode_weights(weight_matrix(layer, self._tensors[f"{layer.name}.weight"]), layer.weight)
        low, high = np.minimum(weights, 0).sum(axis=0).min(), np.maximum(weights, 0).sum(axis=0).max()
        return int(low) * codes, int(high) * codes

    def _source(self, layer: LayerSpec, tensor: str) -> Source:
        """All pixels of ``tensor`` as ``layer`` reads them, and all their words."""
        place = self._placements[tensor]
        if tensor != INPUT or not self._image.padding:
            if tensor != INPUT and layer.kind is not LayerKind.MAX and layer.padding and place.low:
                raise InputError(
                    f"layer {layer.name!r} pads signed levels, which on a core only the input can do"
                )
            return Source(tensor=tensor, height=place.height, width=place.width, words=place.pixel)
        _, height, width = self._shapes[INPUT]
        around = layer.padding if layer.kind is not LayerKind.MAX else 0  # which the core leaves out
        start = self._image.padding - around
        return Source(
            tensor=tensor, height=height + 2 * around, width=width + 2 * around, top=start, left=start,
            words=place.pixel,
        )  # fmt: skip

    def _steps(self, layer: LayerSpec, source: Source) -> dict[str, Steps]:
        """Kernel, stride and padding of ``layer`` over ``source``."""
        physical = source.tensor == INPUT and self._image.padding and layer.kind is not LayerKind.MAX
        fold = self._image.fold if source.tensor == INPUT else None
        if fold is not None and fold.taps:
            return {"y": Steps(layer.kernel, layer.stride, 0), "x": Steps(fold.parts, 1, 0)}
        if fold is not None:
            return {"y": Steps(1, 1, 0), "x": Steps(1, 1, 0)}
        if layer.kind is LayerKind.LINEAR:
            return {"y": Steps(source.height, 1, 0), "x": Steps(source.width, 1, 0)}
        steps = Steps(layer.kernel, layer.stride, 0 if physical else layer.padding)
        return {"y": steps, "x": steps}

    def _matrix(self, layer: LayerSpec) -> Iterator[Work]:
        core, source_place = self._core, self._placements[layer.source]
        shape = self._shapes[layer.name]
        codes = slices(layer, self._tensors[f"{layer.name}.weight"], core.array.weight, core.weight_slices)
        whole = self._source(layer, layer.source)
        steps = self._steps(layer, whole)
        per_group = layer.out_channels // layer.groups
        starts = self._group_starts(layer)
        fold = self._image.fold if layer.source == INPUT else None
        for group in range(layer.groups):
            outs = range(group * per_group, (group + 1) * per_group)
            first_word, end_word, taps = self._taps(layer, group)
            first_n, n_tiles = starts[group], starts[group + 1] - starts[group]
            yield Work(
                layer=layer.name,
                opcode=Opcode.MATRIX,
                source=replace(
                    whole,
                    first_word=first_word,
                    words=source_place.pixel - source_place.groups + end_word - first_word,
                ),
                act_slices=source_place.planes,
                y=steps["y"],
                x=steps["x"],
                out_height=shape[1],
                out_width=shape[2],
                out=layer.out,
                first_n=first_n,
                n_tiles=n_tiles,
                weights=self._weights(
                    codes[:, outs.start : outs.stop], taps, steps, outs, layer, first_n, n_tiles
                ),
                constants=self._constants(layer, layer.act, outs, first_n, n_tiles),
                residual=self._residual(layer, first_n, n_tiles),
                folded=fold is not None and fold.taps > 0,
                macs=len(outs) * layer.reduction * shape[1] * shape[2],
            )

    def _group_starts(self, layer: LayerSpec) -> list[int]:
        """Column group at which each group's results start, and where the last one's end.

        Each writes up to the next one, so that slots without a channel get code 0.
        """
        cols, slots = self._core.array.cols, self._slots[layer.name]
        step = layer.out_channels // layer.groups
        firsts = [min(slots[start : start + step]) for start in range(0, layer.out_channels, step)]
        ends = [max(slots[start : start + step]) for start in range(0, layer.out_channels, step)]
        starts = [0] + [first // cols for first in firsts[1:]]
        last = ends[-1] // cols + 1
        if layer.out is not None:
            last = self._placements[layer.name].groups * self._core.col_groups
        if any(end // cols >= start for end, start in zip(ends, starts[1:], strict=False)):
            raise InputError(
                f"layer {layer.name!r}: its groups' results share columns; they cannot be placed"
            )
        return [*starts, last]

    def _taps(self, layer: LayerSpec, group: int) -> tuple[int, int, Slots]:
        """Of ``group``: first word and end within a plane, and the slots of its channels from there."""
        place, fold = self._placements[layer.source], self._image.fold
        if layer.source == INPUT and fold is not None:
            return 0, place.groups, place.slots
        if layer.groups == 1:
            return 0, place.groups, place.slots
        step, word = layer.in_channels // layer.groups, self._core.word_channels
        mine = place.slots[group * step : (group + 1) * step]
        first, end = min(mine) // word, max(mine) // word + 1
        others = set(place.slots) - set(mine)
        if any(first <= slot // word < end for slot in others):
            raise InputError(
                f"layer {layer.name!r}: groups of {step} channels share words of {word}: cannot be placed"
            )
        return first, end, tuple(slot - first * word for slot in mine)

    def _weights(
        self,
        codes: Codes,
        slots: Slots,
        steps: dict[str, Steps],
        outs: range,
        layer: LayerSpec,
        first_n: int,
        n_tiles: int,
    ) -> Codes:
        """``codes`` (slices x channels x ...) as Work has them."""
        array, fold = self._core.array, self._image.fold if layer.source == INPUT else None
        ky, kx = steps["y"].kernel, steps["x"].kernel
        if layer.kind is LayerKind.LINEAR:
            codes = codes.reshape(*codes.shape[:2], -1, ky, kx)
        if fold is not None:
            codes = _fold_weights(codes, fold.taps)
            slots = tuple(range(codes.shape[2]))
        beats = max(slots) // array.lanes + 1
        spread = np.zeros((len(codes), n_tiles * array.cols, ky, kx, beats * array.lanes), dtype=np.uint16)
        rows = np.array([self._slots[layer.name][n] for n in outs]) - first_n * array.cols
        spread[:, rows[:, None], :, :, np.array(slots)] = codes.transpose(1, 2, 0, 3, 4)
        parts = spread.reshape(len(codes), n_tiles, array.cols, ky, kx, beats, array.lanes)
        return np.ascontiguousarray(parts.transpose(1, 0, 3, 4, 5, 2, 6))

    def _constants(
        self, layer: LayerSpec, act: ActFormat, outs: range, first_n: int, n_tiles: int
    ) -> Constants | None:
        """Requantiser constants of the layer's channels ``outs``, 0 for slots without a channel."""
        if layer.out is None:
            return None
        cols, n = self._core.array.cols, layer.out_channels
        zero, one = np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.int64)
        if layer.kind is LayerKind.MAX:
            values = {"mult": one, "add": zero, "shift": zero, "residual_mult": zero}
        else:
            named = {
                name: np.asarray(self._tensors[f"{layer.name}.{name}"], dtype=np.int64)
                for name in ("mult", "shift")
            }
            residual_mult = self._residual_mult(layer)
            tensors = {**self._tensors, f"{layer.name}.residual_mult": residual_mult}
            add = offset_add(replace(layer, act=act), tensors)
            values = {**named, "add": add, "residual_mult": residual_mult}
        rows = np.array([self._slots[layer.name][n] for n in outs]) - first_n * cols
        spread = {}
        for name, value in values.items():
            spread[name] = np.zeros(n_tiles * cols, dtype=np.int64)
            spread[name][rows] = value[list(outs)]
        self._check_constants(layer, spread)
        return Constants(**spread, limit=layer.out.max - layer.out.min)

    def _residual_mult(self, layer: LayerSpec) -> Int64:
        """0 for channels that have no residual operand: code 0 there is not level 0 if levels are signed."""
        found = np.zeros(layer.out_channels, dtype=np.int64)
        if layer.residual is not None:
            first = layer.residual_channel
            mine = slice(first, first + self._shapes[layer.residual][0])
            found[mine] = self._tensors[f"{layer.name}.residual_mult"][mine]
        return found

    def _check_constants(self, layer: LayerSpec, values: dict[str, Int64]) -> None:
        spec = self._core.requantiser
        limits = {"mult": spec.mult_bits, "residual_mult": spec.mult_bits, "add": spec.add_bits}
        for name, bits in limits.items():
            end = 1 << (bits - 1)
            if values[name].min() < -end or values[name].max() >= end:
                worst = max(values[name].tolist(), key=abs)
                raise InputError(
                    f"layer {layer.name!r} has {name} {worst}, the core's requantiser {bits} bits for it"
                )
        if values["shift"].max() > spec.max_shift:
            raise InputError(
                f"layer {layer.name!r} shifts by {values['shift'].max()}, the core's requantiser by at most "
                f"{spec.max_shift}"
            )

    def _residual(self, layer: LayerSpec, first_n: int, n_tiles: int) -> Residual | None:
        """The residual operand of the result's column groups from ``first_n`` on."""
        if layer.residual is None:
            return None
        cols, place = self._core.array.cols, self._placements[layer.residual]
        step = (self._slots[layer.name][layer.residual_channel] - place.slots[0]) // cols
        begin = max(first_n, step)
        end = min(first_n + n_tiles, step + max(place.slots) // cols + 1)
        if begin >= end:
            return None
        source = self._source(replace(layer, padding=0), layer.residual)
        return Residual(
            tensor=layer.residual, stride=layer.residual_stride, top=source.top, left=source.left,
            first_group=begin - step, first=begin - first_n, count=end - begin,
        )  # fmt: skip

    def _windows(self, layer: LayerSpec) -> Iterator[Work]:
        """A sum or a maximum; a concatenation as one sum for each of its operands."""
        if layer.residual is not None:
            raise InputError(
                f"layer {layer.name!r}: a {layer.kind.value} layer has no residual operand on this core"
            )
        channel = first_n = 0
        cols, shape = self._core.array.cols, self._shapes[layer.name]
        operands = (layer.source, *layer.concat)
        for operand in operands:
            source, place = self._source(layer, operand), self._placements[operand]
            outs = range(channel, channel + self._shapes[operand][0])
            channel = outs.stop
            last = operand == operands[-1] and channel == layer.out_channels
            whole = self._placements[layer.name].groups * self._core.col_groups
            end = whole if last and layer.out else first_n + max(place.slots) // cols + 1
            steps = self._steps(layer, source)
            yield Work(
                layer=layer.name,
                opcode=Opcode.MAX if layer.kind is LayerKind.MAX else Opcode.SUM,
                source=source,
                act_slices=place.planes,
                y=steps["y"],
                x=steps["x"],
                out_height=shape[1],
                out_width=shape[2],
                out=layer.out,
                first_n=first_n,
                n_tiles=end - first_n,
                constants=self._constants(layer, self._act(operand), outs, first_n, end - first_n),
                macs=0,
            )
            first_n = end

    def _act(self, tensor: str) -> ActFormat:
        if tensor == INPUT:
            return self._network.input_act
        found = next(layer.out for layer in self._network.layers if layer.name == tensor)
        assert found is not None
        return found


def _fold_weights(codes: Codes, taps: int) -> Codes:
    """Slices x N x C x FY x FX for an image unfolded: C x taps x FY x parts in x, or wholly K x 1 x 1."""
    w, n, c, ky, kx = codes.shape
    if not taps:
        return codes.transpose(0, 1, 3, 4, 2).reshape(w, n, -1, 1, 1)
    parts = -(-kx // taps)
    padded = np.pad(codes, ((0, 0), (0, 0), (0, 0), (0, 0), (0, parts * taps - kx)))
    split = padded.reshape(w, n, c, ky, parts, taps)
    return split.transpose(0, 1, 5, 2, 3, 4).reshape(w, n, taps * c, ky, parts)

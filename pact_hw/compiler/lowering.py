"""Layers as operations: which pixels, which weights, which constants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..golden.matmul import Int64
from ..golden.network import Tensors
from ..spec import ActFormat, LayerKind, LayerSpec, NetworkSpec
from ..spec.core import CoreSpec
from ..spec.network import INPUT
from ..spec.program import Opcode
from .channel_groups import channels_read, group_starts
from .image import Image
from .image_layout import borders, lay_out_image
from .limits import check_layer
from .modes import tensor_modes
from .operands import Outputs, border_constants, diagonal_weights, place_constants, place_weights
from .placement import Placement, place
from .slots import channel_slots, diagonal
from .weights import slices
from .work import Constants, Residual, Source, Steps, Work


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
        self._modes = tensor_modes(network, core)
        self._slots = channel_slots(network, core, self._modes)
        self._image = lay_out_image(network, core, self._modes[INPUT], self._slots[INPUT])
        self._placements = {INPUT: self._image.placement}
        self._shapes = network.shapes
        border = borders(network)
        for layer in network.layers:
            act, (_, height, width) = layer.out or ActFormat(bits=1), self._shapes[layer.name]
            self._placements[layer.name] = place(
                self._modes[layer.name], act, self._slots[layer.name], height, width, border[layer.name]
            )

    def result(self) -> Lowered:
        """Everything."""
        works = [work for layer in self._network.layers for work in self._layer(layer)]
        return Lowered(works, self._placements, self._image)

    def _layer(self, layer: LayerSpec) -> Iterator[Work]:
        check_layer(layer, self._tensors, self._core)
        yield from self._border(layer)
        if diagonal(layer, self._core):
            yield self._depthwise(layer)
        elif layer.kind.weighted:
            yield from self._matrix(layer)
        else:
            yield from self._windows(layer)

    def _source(self, layer: LayerSpec, tensor: str) -> Source:
        """All pixels of ``tensor`` as ``layer`` reads them, and all their words.

        Of a border as much as is the layer's padding; a maximum leaves out what is beyond the tensor.
        """
        place = self._placements[tensor]
        around = layer.padding if place.border and layer.kind is not LayerKind.MAX else 0
        less = 2 * (place.border - around)
        return Source(
            tensor=tensor, height=place.height - less, width=place.width - less, top=less // 2,
            left=less // 2, words=place.pixel,
        )  # fmt: skip

    def _steps(self, layer: LayerSpec, source: Source) -> tuple[Steps, Steps]:
        """Kernel, stride and padding of ``layer`` over ``source``, y and x."""
        fold = self._image.fold if source.tensor == INPUT else None
        if fold is not None and fold.taps:
            return Steps(layer.kernel, layer.stride, 0), Steps(fold.parts, 1, 0)
        if fold is not None:
            return Steps(1, 1, 0), Steps(1, 1, 0)
        if layer.kind is LayerKind.LINEAR:
            return Steps(source.height, 1, 0), Steps(source.width, 1, 0)
        bordered = self._placements[source.tensor].border and layer.kind is not LayerKind.MAX
        steps = Steps(layer.kernel, layer.stride, 0 if bordered else layer.padding)
        return steps, steps

    def _matrix(self, layer: LayerSpec) -> Iterator[Work]:
        core, source_place = self._core, self._placements[layer.source]
        shape = self._shapes[layer.name]
        mode = self._modes[layer.source]
        format_ = replace(core.array.weight, bits=mode.weight_bits)
        codes = slices(layer, self._tensors[f"{layer.name}.weight"], format_, core.weight_slices)
        whole = self._source(layer, layer.source)
        steps = self._steps(layer, whole)
        fold = self._image.fold if layer.source == INPUT else None
        per_group = layer.out_channels // layer.groups
        end = None if layer.out is None else self._column_groups(layer.name)
        starts = group_starts(layer, self._slots[layer.name], core.array.cols, end)
        for group in range(layer.groups):
            channels = range(group * per_group, (group + 1) * per_group)
            first_n, n_tiles = starts[group], starts[group + 1] - starts[group]
            outputs = Outputs(channels, self._slots[layer.name], first_n, n_tiles)
            first_word, end_word, slots = channels_read(layer, source_place, group)
            yield Work(
                layer=layer.name,
                opcode=Opcode.MATRIX,
                source=replace(
                    whole,
                    first_word=first_word,
                    words=source_place.pixel - source_place.groups + end_word - first_word,
                ),
                act_slices=source_place.planes,
                y=steps[0],
                x=steps[1],
                out_height=shape[1],
                out_width=shape[2],
                out=layer.out,
                first_n=first_n,
                n_tiles=n_tiles,
                weights=place_weights(
                    layer,
                    codes[:, channels.start : channels.stop],
                    slots,
                    steps,
                    outputs,
                    mode,
                    core.array.cols,
                    fold,
                ),
                constants=self._constants(layer, layer.act, outputs),
                residual=self._residual(layer, first_n, n_tiles),
                mode=mode,
                folded=fold is not None and fold.taps > 0,
                macs=len(channels) * layer.reduction * shape[1] * shape[2],
            )

    def _depthwise(self, layer: LayerSpec) -> Work:
        core, place, shape = self._core, self._placements[layer.source], self._shapes[layer.name]
        codes = slices(layer, self._tensors[f"{layer.name}.weight"], core.array.weight, core.weight_slices)
        source = self._source(layer, layer.source)
        steps = self._steps(layer, source)
        n_tiles = self._column_groups(layer.source)
        outputs = Outputs(range(layer.out_channels), self._slots[layer.name], 0, n_tiles)
        weights, more = diagonal_weights(codes, outputs, place.planes, core)
        return Work(
            layer=layer.name,
            opcode=Opcode.MATRIX,
            source=source,
            act_slices=place.planes,
            y=steps[0],
            x=steps[1],
            out_height=shape[1],
            out_width=shape[2],
            out=layer.out,
            first_n=0,
            n_tiles=n_tiles,
            weights=weights,
            constants=self._constants(layer, layer.act, outputs, more),
            residual=self._residual(layer, 0, n_tiles),
            mode=core.modes[0],
            diagonal=True,
            macs=layer.out_channels * layer.reduction * shape[1] * shape[2],
        )

    def _constants(
        self, layer: LayerSpec, act: ActFormat, outputs: Outputs, more: Int64 | None = None
    ) -> Constants | None:
        residuals = range(0)
        if layer.residual is not None:
            first = layer.residual_channel
            residuals = range(first, first + self._shapes[layer.residual][0])
        return place_constants(layer, act, self._tensors, outputs, self._core, residuals, more)

    def _column_groups(self, tensor: str) -> int:
        """How many times ``cols`` codes a plane of one of ``tensor``'s pixels has."""
        place = self._placements[tensor]
        return place.groups * place.word_channels // self._core.array.cols

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
        channel = first_n = 0
        cols, shape = self._core.array.cols, self._shapes[layer.name]
        operands = (layer.source, *layer.concat)
        for index, operand in enumerate(operands):
            source, place = self._source(layer, operand), self._placements[operand]
            end = first_n + max(place.slots) // cols + 1
            if index == len(operands) - 1 and layer.out is not None:
                end = self._column_groups(layer.name)
            channels = range(channel, channel + self._shapes[operand][0])
            outputs = Outputs(channels, self._slots[layer.name], first_n, end - first_n)
            y, x = self._steps(layer, source)
            yield Work(
                layer=layer.name,
                opcode=Opcode.MAX if layer.kind is LayerKind.MAX else Opcode.SUM,
                source=replace(source, words=place.groups),
                act_slices=place.planes,
                y=y,
                x=x,
                out_height=shape[1],
                out_width=shape[2],
                out=layer.out,
                first_n=first_n,
                n_tiles=end - first_n,
                constants=self._constants(layer, self._act(operand), outputs),
                macs=0,
            )
            channel, first_n = channels.stop, end

    def _border(self, layer: LayerSpec) -> Iterator[Work]:
        """Level 0 wherever a bordered tensor will lie: a sum over nothing."""
        place = self._placements[layer.name]
        if not place.border or layer.out is None:
            return
        channels, n_tiles = range(layer.out_channels), self._column_groups(layer.name)
        outputs = Outputs(channels, self._slots[layer.name], 0, n_tiles)
        one = Steps(1, 1, 0)
        yield Work(
            layer=layer.name,
            opcode=Opcode.SUM,
            source=Source(tensor=layer.name, height=place.height, width=place.width, words=0),
            act_slices=1,
            y=one,
            x=one,
            out_height=place.height,
            out_width=place.width,
            top=-place.border,
            left=-place.border,
            out=layer.out,
            first_n=0,
            n_tiles=n_tiles,
            constants=border_constants(layer.out, outputs, self._core),
            macs=0,
        )

    def _act(self, tensor: str) -> ActFormat:
        if tensor == INPUT:
            return self._network.input_act
        found = next(layer.out for layer in self._network.layers if layer.name == tensor)
        assert found is not None
        return found

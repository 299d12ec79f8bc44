"""The integer layers of a network, as they are found."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import fx

from ...errors import InputError
from ...network_files import Arrays
from ...spec import ActFormat, LayerKind, LayerSpec, NetworkSpec, RequantiserKind
from ...spec.layer import Shape
from ...spec.network import INPUT
from ..pact import ActQuantiser
from .affine import Affine
from .logits import bias_constants
from .requantiser import Channels, Requantiser, Rules, requantiser
from .values import Levels, Pixels, Sums, act_for

PIXELS = 8
"""Bits of the pixels that ``Normalise`` reads."""


class Builder:
    """Collects layers, tensors and proofs; ``nodes`` says which node of the graph gives which levels."""

    def __init__(self, model: fx.GraphModule, rules: Rules) -> None:
        self.model, self.rules = model, rules
        self.layers: list[LayerSpec] = []
        self.tensors: Arrays = {}
        self.proofs: dict[str, dict[str, Any]] = {}
        self.nodes: dict[str, tuple[str, Fraction]] = {}
        """By layer: the graph's node, and what one level of it is worth."""
        self.input: Levels | None = None
        self.pixel_bits: int | None = None
        self.logit_value = Fraction(1)
        self._exact: dict[int, tuple[Sums, Levels]] = {}

    def network(self, name: str) -> NetworkSpec:
        """The network that was read."""
        assert self.input is not None
        channels, height, width = self.input.shape
        return NetworkSpec(
            name=name,
            input_channels=channels,
            input_height=height,
            input_width=width,
            input_act=self.input.act,
            pixel_bits=self.pixel_bits,
            layers=tuple(self.layers),
        )

    def observe(self, node: fx.Node, levels: Levels) -> None:
        """``node`` gives ``levels``; the first node that gives a layer's whole output is kept."""
        if levels.plain:
            self.nodes.setdefault(levels.name, (node.name, levels.value))

    def quantise(self, path: str, quantiser: ActQuantiser, x: Pixels | Levels | Sums) -> Levels:
        """The levels of ``quantiser`` for what it reads."""
        alpha, act = quantiser.alpha.item(), quantiser.format
        if not 0 < alpha < float("inf"):
            raise InputError(f"module {path!r} cannot be converted: its alpha is {alpha}")
        value = Fraction(alpha) / act.max
        if isinstance(x, Pixels):
            return self._image(path, quantiser, x, value)
        if isinstance(x, Levels):
            x = self.identity(path, x)
        affines = [affine.then(1 / value) for affine in x.affines]
        residual = None if x.residual is None else x.residual.act
        name = self._name(x.path)
        channels = Channels(layer=name, affines=affines, intervals=x.intervals, out=act, residual=residual)
        return self._emit(name, x, requantiser(channels, self.rules), act, value)

    def identity(self, path: str, x: Levels) -> Sums:
        """``x`` as sums of one term each, for a requantiser alone."""
        if x.channels != x.shape[0] or x.padding:
            raise InputError(f"module {path!r} cannot be converted: it reads padded levels")
        return Sums(
            path=path,
            kind=LayerKind.SUM,
            source=Levels(**{**vars(x), "stride": 1}),
            shape=x.shape,
            affines=[Affine(scale=x.value)] * x.shape[0],
            intervals=[(x.act.min, x.act.max)] * x.shape[0],
            act=x.act,
            geometry={"stride": x.stride},
            flat=x.flat,
        )

    @staticmethod
    def is_exact(sums: Sums) -> bool:
        """Whether the sums are levels of one worth as they are."""
        return (
            not sums.kind.weighted
            and sums.residual is None
            and all(a == sums.affines[0] and a.offset == 0 and a.scale > 0 for a in sums.affines)
        )

    def exact(self, sums: Sums) -> Levels:
        """``sums`` as levels, without rounding: average pooling, or a concatenation of one scale.

        Raises:
            InputError: they are scaled, and nothing quantises them.
        """
        if (known := self.exact_levels(sums)) is not None:
            return known
        if not self.is_exact(sums):
            raise InputError(
                f"module {sums.path!r} cannot be converted: its output is read without having been quantised"
            )
        low = min(low for low, _ in sums.intervals)
        high = max(high for _, high in sums.intervals)
        try:
            act = act_for(low, high) if sums.kind is LayerKind.SUM else sums.act
        except InputError:
            raise InputError(
                f"module {sums.path!r} cannot be converted: its sums are from {low} to {high}: put a "
                "quantiser behind it"
            ) from None
        n = sums.shape[0]
        same = {"mult": np.ones(n, dtype=np.int64), "add": np.zeros(n, dtype=np.int64)}
        passed = Requantiser(
            kind=RequantiserKind.MULTIPLY_SHIFT,
            tensors={**same, "shift": np.zeros(n, dtype=np.int64)},
            proof={"channels": n, "thresholds_checked": 0, "exact_sums": True},
        )
        levels = self._emit(self._name(sums.path), sums, passed, act, sums.affines[0].scale)
        self._exact[id(sums)] = sums, levels  # the sums are kept, or their id could be used again
        return levels

    def exact_levels(self, sums: Sums) -> Levels | None:
        """What ``exact`` made of ``sums``, if it did."""
        return self._exact[id(sums)][1] if id(sums) in self._exact else None

    def maximum(self, path: str, x: Levels, shape: Shape, geometry: dict[str, Any]) -> Levels:
        """The greatest levels of windows."""
        name = self._name(path)
        n = shape[0]
        self.layers.append(
            LayerSpec(
                name=name,
                kind=LayerKind.MAX,
                source=x.name,
                act=x.act,
                in_channels=n,
                out_channels=n,
                out=x.act,
                **geometry,
            )
        )
        return Levels(name=name, act=x.act, value=x.value, shape=shape, channels=n)

    def logits(self, sums: Sums, node: fx.Node) -> None:
        """The network's last layer."""
        scales = {affine.scale for affine in sums.affines}
        if len(scales) > 1 or min(scales) <= 0 or sums.residual is not None:
            raise InputError(
                f"module {sums.path!r} cannot be converted: logits must have one positive scale and no "
                "residual operand"
            )
        name, scale = self._name(sums.path), scales.pop()
        biases = [affine.offset / scale for affine in sums.affines]
        bias_shift = None
        if any(biases):
            try:
                bias_shift, self.tensors[f"{name}.add"] = bias_constants(biases)
            except InputError as error:
                raise InputError(f"module {sums.path!r} cannot be converted: {error}") from None
        self._append(name, sums, bias_shift=bias_shift)
        self.logit_value = scale / (1 << (bias_shift or 0))
        self.nodes[name] = node.name, self.logit_value

    def _image(self, path: str, quantiser: ActQuantiser, x: Pixels, value: Fraction) -> Levels:
        if self.input is not None:
            raise InputError(f"module {path!r} cannot be converted: the image has a quantiser already")
        act: ActFormat = quantiser.format
        self.input = Levels(name=INPUT, act=act, value=value, shape=x.shape, channels=x.shape[0])
        if x.path:
            pixels = torch.arange(1 << PIXELS, dtype=torch.uint8).expand(x.shape[0], -1)[None, :, None]
            with torch.no_grad():
                values: Any = pixels
                for module in x.path:
                    values = self.model.get_submodule(module)(values)
                table = quantiser.levels(quantiser(values))[0, :, 0].cpu().numpy()
            if act != ActFormat(bits=PIXELS) or (table != pixels[0, :, 0].numpy()).any():
                self.pixel_bits, self.tensors[f"{INPUT}.levels"] = PIXELS, table.astype(np.int64)
        return self.input

    def _emit(self, name: str, sums: Sums, made: Requantiser, act: ActFormat, value: Fraction) -> Levels:
        self._append(name, sums, out=act, requantiser=made.kind)
        self.tensors |= {f"{name}.{tensor}": values for tensor, values in made.tensors.items()}
        self.proofs[name] = made.proof
        return Levels(
            name=name, act=act, value=value, shape=sums.shape, channels=sums.shape[0], flat=sums.flat
        )

    def _append(self, name: str, sums: Sums, **members: Any) -> None:
        if sums.residual is not None:
            members |= {
                "residual": sums.residual.name,
                "residual_act": sums.residual.act,
                "residual_stride": sums.residual.stride,
                "residual_channel": sums.residual.channel,
            }
        self.layers.append(
            LayerSpec(
                name=name,
                kind=sums.kind,
                source=sums.source.name,
                act=sums.act,
                weight=sums.weight,
                in_channels=sums.in_channels,
                out_channels=sums.shape[0],
                concat=tuple(other.name for other in sums.others),
                **sums.geometry,
                **members,
            )
        )
        if sums.codes is not None:
            self.tensors[f"{name}.weight"] = sums.codes.astype(np.int64)

    def _name(self, path: str) -> str:
        """A layer's name for ``path``: a letter first, 64 characters at most, not in use."""
        name = re.sub(r"[^A-Za-z0-9_]", "_", path)
        name = (name if name[:1].isalpha() else f"layer_{name}")[-56:].lstrip("_0123456789")
        used = {layer.name for layer in self.layers} | {INPUT}
        candidate, count = name, 1
        while candidate in used:
            count += 1
            candidate = f"{name}_{count}"
        return candidate

"""A plain functional core: what ``pact_hw.spec.program`` says, in numpy, without time.

Written from the docstring alone; only the sums over beats, rows and pixels are done at once.
"""

from __future__ import annotations

import numpy as np

from pact_hw.golden.matmul import decode_weights
from pact_hw.spec import WeightEncoding
from pact_hw.spec.program import (
    FIELDS,
    TRANSFER_FIELDS,
    TRANSFER_WORDS,
    WORDS,
    Destination,
    Opcode,
    decode,
)
from pact_hw.spec.registers import BASE_ALIGNMENT


def unpack(data, word_bytes, bits, elements):
    """Memory words as words x elements unsigned numbers."""
    words = np.frombuffer(data, np.uint8).reshape(-1, word_bytes)
    spread = np.unpackbits(words, axis=1, bitorder="little")[:, : elements * bits]
    return spread.reshape(len(words), elements, bits).astype(np.int64) @ (1 << np.arange(bits))


def signed(values, bits):
    return np.where(values >> (bits - 1), values - (1 << bits), values)


class Machine:
    """Runs a program. ``eager``: transfers run as early as they may, else as late."""

    def __init__(self, core, model, transfers, image, *, eager=True):
        self.core, self.model, self.eager = core, model, eager
        self.image = np.frombuffer(image, np.uint8).copy()
        self.known = np.ones(len(image), dtype=bool)  # bytes of it that the host or a store has written
        self.array = core.array
        words = [
            int.from_bytes(model[i : i + 4], "little") for i in range(0, transfers * TRANSFER_WORDS * 4, 4)
        ]
        self.transfers = [
            decode(TRANSFER_FIELDS, words[i : i + TRANSFER_WORDS])
            for i in range(0, len(words), TRANSFER_WORDS)
        ]
        # -1 would show up wherever something is read that nobody wrote
        self.memory = np.full((core.activation_words, core.word_channels), -(1 << 20), dtype=np.int64)
        self.constants = np.zeros((core.constant_words, self.array.cols, 4), dtype=np.int64)
        self.program = []
        self.ring, self.partial = [], 0
        self.done_transfers = self.done_operations = 0
        self.results = []
        self.after_operation = None

    def word_bytes(self, bits):
        return -(-bits // self.core.bus_bits) * self.core.bus_bits // 8

    # -- transfers

    def step_transfers(self, need=None):
        """Run transfers: all that may run, or (not eager) until ``need()`` holds."""
        while self.done_transfers < len(self.transfers) and (need is None or not need()):
            transfer = self.transfers[self.done_transfers]
            if transfer["after_operations"] > self.done_operations or not self.bring(transfer):
                return
            self.done_transfers += 1

    def bring(self, t):
        core, cols = self.core, self.array.cols
        kinds = {
            Destination.PROGRAM: (32, 1, 32),
            Destination.WEIGHTS: (core.weight_word_bits, core.weight_word_bits, 1),
            Destination.CONSTANTS: (core.constant_word_bits, cols * core.channel_constant_bits, 1),
            Destination.ACTIVATIONS: (core.word_bits, core.word_channels, core.code_bits),
        }
        word_bits, elements, bits = kinds[Destination(t["destination"])]
        size = self.word_bytes(word_bits)
        data = self.image if t["destination"] == Destination.ACTIVATIONS else self.model
        span = slice(t["source"], t["source"] + t["words"] * size)
        data = data[span]
        assert len(data) == t["words"] * size
        if t["destination"] == Destination.ACTIVATIONS:
            assert self.known[span].all(), "brings what nobody stored"
        if t["destination"] == Destination.WEIGHTS:
            room = core.weight_words - len(self.ring)
            take = min(room, t["words"] - self.partial)
            part = data[self.partial * size : (self.partial + take) * size]
            self.ring.extend(unpack(part, size, bits, elements))
            self.partial = (self.partial + take) % t["words"]
            return self.partial == 0 and take > 0
        values = unpack(data, size, bits, elements)
        span = slice(t["address"], t["address"] + t["words"])
        if t["destination"] == Destination.PROGRAM:
            assert span.stop <= core.program_words
            self.program = values[:, 0].tolist()
        elif t["destination"] == Destination.CONSTANTS:
            assert span.stop <= core.constant_words
            self.constants[span] = self.split_constants(values)
        else:
            assert span.stop <= core.activation_words
            self.memory[span] = values
        return True

    def split_constants(self, bits):
        r = self.core.requantiser
        bits = bits.reshape(len(bits), self.array.cols, -1)
        found, at = [], 0
        residual_mult_bits = self.core.residual_mult_bits
        for width, sign in ((r.mult_bits, 1), (r.add_bits, 1), (r.shift_bits, 0), (residual_mult_bits, 1)):
            value = bits[..., at : at + width] @ (1 << np.arange(width))
            found.append(signed(value, width) if sign else value)
            at += width
        return np.stack(found, axis=-1)

    # -- operations

    def run(self):
        if self.eager:
            self.step_transfers()
        else:
            self.step_transfers(lambda: self.done_transfers >= 1)
        while True:
            start = self.done_operations * WORDS
            f = decode(FIELDS, self.program[start : start + WORDS])
            if f["opcode"] == Opcode.END:
                break
            if not self.eager:
                self.step_transfers(lambda f=f: self.done_transfers >= f["after_transfers"])
            assert self.done_transfers >= f["after_transfers"], "would wait for ever"
            kinds = {Opcode.MATRIX: self.matrix, Opcode.STORE: self.store}
            kinds.get(f["opcode"], self.window)(f)
            self.done_operations += 1
            if self.after_operation:
                self.after_operation(self.done_operations - 1)
            if self.eager:
                self.step_transfers()
        assert not self.ring
        assert self.done_transfers == len(self.transfers), "left over"
        return b"".join(self.results)

    def store(self, f):
        """Words as an activation transfer brings them; what nobody wrote is not known in memory either."""
        core, size = self.core, self.word_bytes(self.core.word_bits)
        assert f["words"] * size % BASE_ALIGNMENT == f["memory"] % BASE_ALIGNMENT == 0
        assert f["source"] + f["words"] <= core.activation_words
        codes = self.memory[f["source"] : f["source"] + f["words"]]
        bits = (codes[..., None] >> np.arange(core.code_bits) & 1).astype(np.uint8)
        words = np.packbits(bits.reshape(f["words"], -1), axis=1, bitorder="little")
        span = slice(f["memory"], f["memory"] + f["words"] * size)
        self.image[span] = np.pad(words, ((0, 0), (0, size - words.shape[1]))).ravel()
        self.known[span] = np.repeat((codes >= 0).all(axis=1), size)

    def tile_weights(self, first, words):
        """An n-tile's weights, from word ``first`` of the ring on; they stay there."""
        self.step_transfers(lambda: len(self.ring) >= first + words)
        assert len(self.ring) >= first + words, "would wait for ever"
        return np.stack(self.ring[first : first + words])

    def free(self, words):
        del self.ring[:words]
        if self.eager:
            self.step_transfers()

    def patches(self, f, ty, tx):
        """Rows x patch lane groups x lanes."""
        rows = []
        py, px, word = (np.arange(f[name]) for name in ("patch_y", "patch_x", "pixel_words"))
        for gy, gx in np.ndindex(f["grid_y"], f["grid_x"]):
            y = f["origin_y"] + ty * f["tile_y"] + gy * f["row_y"] + py * f["load_step"]
            x = f["origin_x"] + tx * f["tile_x"] + gx * f["row_x"] + px * f["load_step"]
            line = (
                f["source"]
                + f["origin"]
                + ty * f["tile_y_words"]
                + gy * f["row_y_words"]
                + py * f["load_y_words"]
            )
            pixel = tx * f["tile_x_words"] + gx * f["row_x_words"] + px * f["load_x_words"]
            address = line[:, None, None] + pixel[None, :, None] + word
            inside = ((y >= 0) & (y < f["source_height"]))[:, None] & ((x >= 0) & (x < f["source_width"]))
            found = self.memory[np.where(inside[..., None], address, 0)] * inside[..., None, None]
            rows.append(found.reshape(-1, self.core.word_channels))
        assert len(rows) == self.array.rows
        patches = np.stack(rows)
        assert patches.shape[1] <= self.core.patch_words
        if self.array.modes:
            return self.operands(patches, self.array.modes[f["mode"]])
        return patches.reshape(len(rows), -1, self.array.lanes)

    def operands(self, patches, bits):
        """Rows x lane groups (of the widest mode) x lanes * i * j: operands in a mode of ``bits``."""
        array, rows = self.array, len(patches)
        lanes, n, k = array.lanes, array.operand_words, array.act.bits // bits
        per_code = bits // array.narrowest_bits
        places = 1 << array.narrowest_bits * np.arange(per_code)
        codes = patches.reshape(rows, -1, lanes, n, k, per_code) @ places
        found = np.full((rows, codes.shape[1], n, lanes, k, k), -1)
        for group in range(0, n, k):
            behind = int(f"{group:0{n.bit_length() - 1}b}"[::-1], 2)
            for j in range(k):
                found[:, :, group, :, :, j] = codes[:, :, :, j * n // k + behind]
        return found.reshape(rows, codes.shape[1] * n, -1)

    def weight_codes(self, words, bits):
        """Words of the ring (bits) as words x cols x lanes codes; of a mode of ``bits`` lanes * i * j."""
        array = self.array
        if not array.modes:
            codes = words.reshape(len(words), -1, array.weight.bits) @ (1 << np.arange(array.weight.bits))
            return codes.reshape(len(words), array.cols, -1)
        n, k = array.operand_words, array.act.bits // bits
        codes = words.reshape(len(words), array.cols, array.lanes, n, k, bits) @ (1 << np.arange(bits))
        return codes[:, :, :, :: n // k].reshape(len(words), array.cols, -1)

    def matrix(self, f):
        array = self.array
        kernel = np.ogrid[: f["kernel_y"], : f["kernel_x"], : f["channel_beats"]]
        mode = array.in_mode(array.modes[f["mode"]]) if array.modes else array
        step = array.act.bits // mode.act.bits
        beats = (kernel[0] * f["act_kernel_y"] + kernel[1] * f["act_kernel_x"] + kernel[2] * step).ravel()
        block = np.ogrid[: f["block_y"], : f["block_x"], : f["act_slices"]]
        pixels = block[0] * f["act_y"] + block[1] * f["act_x"] + block[2] * f["act_slice"]
        words = len(beats) * f["weight_slices"]
        for ty, tx in np.ndindex(f["tiles_y"], f["tiles_x"]):
            patches = self.patches(f, ty, tx)
            for n in range(f["n_tiles"]):
                first = n * words if f["weights_stay"] else 0
                codes = self.weight_codes(self.tile_weights(first, words), mode.weight.bits)
                codes = codes.reshape(f["weight_slices"], len(beats), array.cols, -1)
                if f["diagonal"]:
                    sums = self.diagonal(f, n, patches, pixels[..., None] + beats, codes[..., 0])
                    self.drain(f, ty, tx, n, sums)
                    if not f["weights_stay"]:
                        self.free(words)
                    continue
                values = decode_weights(codes, mode.weight).transpose(0, 1, 3, 2)
                values = values.reshape(f["weight_slices"], -1, array.cols)
                # rows, y, x, a, beat, lane
                acts = patches[:, pixels[..., None] + beats + n * f["act_n"]]
                acts = acts.reshape(*acts.shape[:4], -1)
                assert acts.min() >= 0, "reads what nobody wrote"
                sums = np.einsum("ryxak,wkc->ryxawc", acts.astype(float), values.astype(float), optimize=True)
                assert np.abs(sums).max(initial=0) < 1 << (array.acc_bits - 1)
                self.drain(f, ty, tx, n, sums.astype(np.int64))
                if not f["weights_stay"]:
                    self.free(words)
        if f["weights_stay"]:
            self.free(words * f["n_tiles"])

    def diagonal(self, f, n, patches, addresses, codes):
        """Each column's own channel; codes: weight slices x beats x cols."""
        core, bits = self.core, self.array.weight.bits
        addresses = addresses + n // core.col_groups * f["act_n"]
        assert not (addresses % core.lane_groups).any()
        words = patches.reshape(self.array.rows, -1, core.word_channels)
        part = n % core.col_groups * self.array.cols
        acts = words[:, addresses // core.lane_groups, part : part + self.array.cols]  # r y x a beat col
        assert acts.min() >= 0, "reads what nobody wrote"
        sign = codes >> (bits - 1)
        if self.array.weight.encoding is WeightEncoding.ODD:
            magnitude = (codes & ((1 << (bits - 1)) - 1)) << 1 | 1
        else:
            magnitude = np.abs(signed(codes, bits))
        inverted = (1 << self.array.act.bits) - 1 - acts
        return np.einsum("ryxakc,wkc->ryxawc", acts, magnitude * (1 - sign)) + np.einsum(
            "ryxakc,wkc->ryxawc", inverted, magnitude * sign
        )

    def drain(self, f, ty, tx, n, sums):
        """Sums: rows x block_y x block_x x act slices x weight slices x cols."""
        bits, weight_bits = self.array.act.bits, self.array.weight.bits
        scale = 1 << (
            np.arange(f["act_slices"])[:, None] * bits + np.arange(f["weight_slices"]) * weight_bits
        )
        total = np.einsum("ryxawc,aw->ryxc", sums, scale)
        for y, x in np.ndindex(f["block_y"], f["block_x"]):
            for row, (gy, gx) in enumerate(np.ndindex(f["grid_y"], f["grid_x"])):
                oy = ty * f["tile_out_y"] + gy * f["block_y"] + y
                ox = tx * f["tile_out_x"] + gx * f["block_x"] + x
                if oy >= f["out_height"] or ox >= f["out_width"]:
                    continue

                def at(name, n, gy=gy, gx=gx, y=y, x=x):
                    n *= self.parts(f"{name}_mode", f)
                    return (
                        f[name] + ty * f[f"{name}_tile_y"] + gy * f[f"{name}_row_y"] + y * f[f"{name}_y"]
                        + tx * f[f"{name}_tile_x"] + gx * f[f"{name}_row_x"] + x * f[f"{name}_x"] + n
                    )  # fmt: skip

                residual = 0
                if f["residual_planes"] and 0 <= n - f["residual_first"] < f["residual_count"]:
                    residual = self.read_group(f, at("residual", n))
                self.finish(f, n + tx * f["constants_tile_x"], total[row, y, x], residual, at("out", n))

    def read_group(self, f, address):
        """A whole level of each column of the residual operand."""
        level, parts = 0, self.parts("residual_mode", f)
        for plane in range(f["residual_planes"]):
            word, part = divmod(address + plane * f["residual_plane"], self.core.col_groups)
            assert 0 <= word < self.core.activation_words
            assert part % parts == 0
            codes = self.memory[word, part * self.array.cols : (part + parts) * self.array.cols]
            assert codes.min() >= 0, "reads what nobody wrote"
            codes = codes.reshape(-1, parts) @ (1 << self.core.code_bits * np.arange(parts))
            level = level + (codes << plane * self.array.act.bits)
        return level

    def finish(self, f, n, acc, residual, out):
        bits, cols = self.core.sum_bits, self.array.cols
        acc = signed(acc & ((1 << bits) - 1), bits)  # columns without a channel may wrap
        if f["raw"]:
            data = b"".join((int(v) & 0xFFFFFFFF).to_bytes(4, "little") for v in acc)
            self.results.append(data.ljust(self.word_bytes(32 * cols), b"\0"))
            return
        bits = self.core.requantised_bits
        acc = signed(acc & ((1 << bits) - 1), bits)
        mult, add, shift, residual_mult = self.constants[f["constants"] + n].T
        level = np.clip((acc * mult + residual * residual_mult + add) >> shift, 0, f["limit"])
        act_bits, parts, narrow = self.array.act.bits, self.parts("out_mode", f), self.core.code_bits
        for plane in range(f["out_planes"]):
            word, part = divmod(out + plane * f["out_plane"], self.core.col_groups)
            assert part % parts == 0
            code = (level >> plane * act_bits)[:, None] >> narrow * np.arange(parts) & ((1 << narrow) - 1)
            self.memory[word, part * cols : (part + parts) * cols] = code.ravel()

    def parts(self, field, f):
        """Column groups that cols codes take in the mode of ``field``."""
        return self.array.operand_words >> f[field]

    def window(self, f):
        for ty, tx, n in np.ndindex(f["tiles_y"], f["tiles_x"], f["n_tiles"]):
            acc = np.zeros(self.array.cols, dtype=np.int64)
            for gy, gx in np.ndindex(f["grid_y"], f["grid_x"]):
                y = f["origin_y"] + ty * f["tile_out_y"] + gy
                x = f["origin_x"] + tx * f["tile_out_x"] + gx
                if not (0 <= y < f["out_height"] and 0 <= x < f["out_width"]):
                    continue
                if not 0 <= n - f["residual_first"] < f["residual_count"]:
                    continue
                n_parts = n * self.parts("residual_mode", f)
                level = self.read_group(
                    f,
                    f["residual"] + ty * f["residual_tile_y"] + gy * f["residual_row_y"]
                    + tx * f["residual_tile_x"] + gx * f["residual_row_x"] + n_parts,
                )  # fmt: skip
                acc = acc + level if f["opcode"] == Opcode.SUM else np.maximum(acc, level)
            out = f["out"] + ty * f["out_tile_y"] + tx * f["out_tile_x"] + n * self.parts("out_mode", f)
            self.finish(f, n, acc, 0, out)

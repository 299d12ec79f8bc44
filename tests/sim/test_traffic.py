"""The beats against the port contract, by a model of the array in Python's own integers."""

import numpy as np
import pytest

from pact_hw.golden import decode_weights
from pact_hw.spec import ActFormat, Dataflow, HardwareSpec, RequantiserSpec, WeightEncoding, WeightFormat
from sim.bench.check import compare
from sim.bench.packing import pack
from sim.bench.traffic import payloads, scale_columns, traffic
from sim.products import random_products


def _spec(dataflow, encoding, requantiser=None):
    return HardwareSpec(
        act=ActFormat(bits=3),
        weight=WeightFormat(bits=2, encoding=encoding),
        rows=3,
        cols=2,
        lanes=2,
        max_reduction=15,
        dataflow=dataflow,
        requantiser=requantiser,
    )


def _field(text, index, bits, *, signed=False):
    value = (int(text, 2) >> (index * bits)) & ((1 << bits) - 1)
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def _weight(spec, text, index):
    code = np.array(_field(text, index, spec.weight.bits))
    return int(decode_weights(code, spec.weight))


def _dot(spec, act, row, weight, col):
    return sum(
        _field(act, row * spec.lanes + lane, spec.act.bits) * _weight(spec, weight, col * spec.lanes + lane)
        for lane in range(spec.lanes)
    )


def _output_stationary_model(spec, beats):
    tiles, acc = [], np.zeros((spec.rows, spec.cols), dtype=np.int64)
    for act, weight, last in beats:
        for row in range(spec.rows):
            for col in range(spec.cols):
                acc[row, col] += _dot(spec, act, row, weight, col)
        if last == "1":
            tiles += [acc[:, col].copy() for col in range(spec.cols)]
            acc[:] = 0
    return np.array(tiles)


def _weight_stationary_model(spec, weights, beats):
    out, tile = [], None
    for act, last in beats:
        tile = tile or [next(weights)[0] for _row in range(spec.rows)][::-1]
        out.append(
            [
                sum(_dot(spec, act, row, tile[row], col) for row in range(spec.rows))
                for col in range(spec.cols)
            ]
        )
        if last == "1":
            tile = None
    assert next(weights, None) is None
    return np.array(out)


@pytest.mark.parametrize("encoding", WeightEncoding)
@pytest.mark.parametrize("dataflow", Dataflow)
def test_beats_give_the_expected_results(dataflow, encoding):
    spec = _spec(dataflow, encoding)
    for product in random_products(spec, 14, seed=2):
        beats = traffic(spec, product)
        if dataflow is Dataflow.OUTPUT_STATIONARY:
            got = _output_stationary_model(spec, beats.sources["in"])
        else:
            got = _weight_stationary_model(spec, beats.sources["weight"], beats.sources["in"])
        assert np.array_equal(got, beats.expected), product.name
        assert len(beats.last) == len(beats.expected)


def test_constants_give_the_expected_levels():
    requantiser = RequantiserSpec(mult_bits=9, add_bits=14, max_shift=11, level_bits=5, residual_bits=4)
    spec = _spec(Dataflow.OUTPUT_STATIONARY, WeightEncoding.ODD, requantiser)
    for product in random_products(spec, 16, seed=5):
        beats = traffic(spec, product)
        sums = _output_stationary_model(spec, beats.sources["in"])
        names = (*scale_columns(requantiser), "residual")
        assert payloads(spec, "scale") == tuple(f"scale_{name}" for name in names)
        for acc, texts, expected in zip(sums, beats.sources["scale"], beats.expected, strict=True):
            text = dict(zip(names, texts, strict=True))
            mult, add, residual_mult = (
                _field(text[name], 0, len(text[name]), signed=True)
                for name in ("mult", "add", "residual_mult")
            )
            for row in range(spec.rows):
                residual = _field(text["residual"], row, requantiser.residual_bits)
                total = int(acc[row]) * mult + residual * residual_mult + add
                level = min(max(total >> int(text["shift"], 2), 0), int(text["limit"], 2))
                assert expected[row] == (total if text["raw"] == "1" else level), product.name


@pytest.mark.parametrize("dataflow", Dataflow)
def test_the_first_mismatch_is_named(dataflow):
    spec = _spec(dataflow, WeightEncoding.ODD)
    product = random_products(spec, 3, seed=0)[2]
    beats = traffic(spec, product)
    values = beats.expected.copy()
    values[7, 1] -= 5
    values[9, 0] += 1
    last = ["1" if is_last else "0" for is_last in beats.last]
    outcome = compare(beats, pack(values, beats.value_bits), last)
    assert (outcome["values_compared"], outcome["mismatches"]) == (values.size, 2)
    first = outcome["first_mismatch"]
    assert (first["expected"], first["got"]) == (beats.expected[7, 1], beats.expected[7, 1] - 5)
    if dataflow is Dataflow.OUTPUT_STATIONARY:  # 3 m tiles of 3 rows; beat 7 is column 1 of tile 3
        assert first["where"] == "row 1, column 3 (array row 1, array column 1, tile 3)"
    else:  # M = 7: beat 7 is the first of the second K tile
        assert first["where"] == "row 0, column 1 (partial sum 1, array column 1, tile 1)"


def test_a_wrong_last_and_missing_beats_are_mismatches():
    spec = _spec(Dataflow.OUTPUT_STATIONARY, WeightEncoding.ODD)
    beats = traffic(spec, random_products(spec, 3, seed=0)[2])
    texts = pack(beats.expected, beats.value_bits)
    outcome = compare(beats, texts, ["0"] * len(texts))
    assert outcome["mismatches"] == int(beats.last.sum())
    assert outcome["first_mismatch"] == {"where": "out_last of output beat 1", "expected": 1, "got": 0}
    outcome = compare(beats, texts[:-2], ["1" if is_last else "0" for is_last in beats.last[:-2]])
    assert (outcome["mismatches"], outcome["first_mismatch"]) == (2 * spec.rows, None)

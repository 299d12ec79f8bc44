import dataclasses
import json

import numpy as np
import pytest

from pact_hw.errors import InputError
from pact_hw.spec import ActFormat, HardwareSpec, RequantiserSpec, WeightFormat
from sim.products import random_products
from sim.vectors import PLAIN, Run, load_vectors, save_vectors

SPEC = HardwareSpec(
    act=ActFormat(bits=4),
    weight=WeightFormat(bits=4),
    rows=2,
    cols=2,
    lanes=2,
    max_reduction=20,
    requantiser=RequantiserSpec(),
)
RUNS = [Run(product=1, scenario=PLAIN, stalls=0.25, seed=3)]


@pytest.fixture
def saved(tmp_path):
    products = random_products(SPEC, 12, seed=0)
    digest = save_vectors(tmp_path / "vectors.json", SPEC, products, RUNS)
    return tmp_path / "vectors.json", products, digest


def test_products_and_runs_come_back(saved):
    path, products, digest = saved
    loaded = load_vectors(path, SPEC)
    assert (loaded.digest, loaded.runs) == (digest, RUNS)
    for got, product in zip(loaded.products, products, strict=True):
        assert got.name == product.name
        assert np.array_equal(got.act, product.act)
        assert np.array_equal(got.weight, product.weight)
        assert (got.scale is None) == (product.scale is None)
        if got.scale is not None and product.scale is not None:
            assert got.scale.limit == product.scale.limit
            assert all(np.array_equal(got.scale.columns[k], v) for k, v in product.scale.columns.items())
            assert np.array_equal(got.residual, product.residual)


def test_equal_products_give_equal_bytes(saved, tmp_path):
    path, products, digest = saved
    other = tmp_path / "other.json"
    assert save_vectors(other, SPEC, products, RUNS) == digest
    assert other.read_bytes() == path.read_bytes()


def test_vectors_for_other_hardware_are_refused(saved):
    other = dataclasses.replace(SPEC, rows=3)
    with pytest.raises(InputError, match=rf"is for hardware {SPEC.digest[:12]}\.\.\., but mac_array is"):
        load_vectors(saved[0], other)


def test_edited_json_is_refused(saved):
    document = json.loads(saved[0].read_text())
    document["runs"][0]["seed"] = 4
    saved[0].write_text(json.dumps(document))
    with pytest.raises(InputError, match="does not match its content"):
        load_vectors(saved[0], SPEC)


def test_an_edited_npz_is_refused(saved):
    npz = saved[0].with_suffix(".npz")
    data = bytearray(npz.read_bytes())
    data[len(data) // 2] ^= 1
    npz.write_bytes(data)
    with pytest.raises(
        InputError, match=r"vectors\.npz: its SHA-256 is not the one that vectors\.json names"
    ):
        load_vectors(saved[0], SPEC)

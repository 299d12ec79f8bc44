"""Integer networks on disk: what is written comes back, everything else is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from pact_hw.errors import InputError
from pact_hw.golden import offset_add
from pact_hw.network_files import load_network, required_requantiser, save_network
from pact_hw.spec import (
    ActEncoding,
    ActFormat,
    LayerKind,
    LayerSpec,
    NetworkSpec,
    RequantiserKind,
    RequantiserSpec,
    WeightFormat,
    seal,
)

A = ActFormat(bits=4)
CONV = LayerSpec(
    name="c", kind=LayerKind.CONV, source="input", act=A, weight=WeightFormat(bits=3), in_channels=2,
    out_channels=2, kernel=3, padding=1, residual="input", residual_act=A, out=A,
)  # fmt: skip
HEAD = LayerSpec(
    name="head",
    kind=LayerKind.LINEAR,
    source="c",
    act=A,
    weight=WeightFormat(bits=2),
    in_channels=18,
    out_channels=3,
)
NETWORK = NetworkSpec(
    name="n", input_channels=2, input_height=3, input_width=3, input_act=A, layers=(CONV, HEAD)
)


def tensors():
    random = np.random.default_rng(0)
    return {
        "c.weight": random.integers(0, 8, (2, 2, 3, 3)),
        "c.mult": np.array([100, -200]),
        "c.add": np.array([5000, -1]),
        "c.shift": np.array([12, 3]),
        "c.residual_mult": np.array([300, 255]),
        "head.weight": random.integers(0, 4, (3, 18)),
    }


@pytest.fixture
def folder(tmp_path):
    save_network(tmp_path, NETWORK, tensors())
    return tmp_path


def rewrite(folder, **changes):
    """weights.npz with other tensors, and network.json as it was."""
    merged = {name: value for name, value in {**tensors(), **changes}.items() if value is not None}
    np.savez(folder / "weights.npz", **merged)


def test_round_trip_is_deterministic(folder, tmp_path_factory):
    network, loaded = load_network(folder)
    assert network == NETWORK
    assert loaded.keys() == tensors().keys()
    assert all(np.array_equal(value, loaded[name]) for name, value in tensors().items())
    other = tmp_path_factory.mktemp("other")
    save_network(other, network, loaded)
    for name in ("network.json", "weights.npz"):
        assert (other / name).read_bytes() == (folder / name).read_bytes()


def test_thresholds_pixels_and_biases_survive_too(tmp_path):
    conv = replace(CONV, requantiser=RequantiserKind.THRESHOLD)
    network = replace(NETWORK, layers=(conv, replace(HEAD, bias_shift=2)), pixel_bits=3)
    random = np.random.default_rng(1)
    kept = {name: value for name, value in tensors().items() if name.endswith("weight")} | {
        "c.thresholds": random.integers(-9, 9, (2, 16, 15)),
        "c.sign": np.array([1, -1]),
        "head.add": np.array([1, 2, -3]),
        "input.levels": random.integers(0, 16, (2, 8)),
    }
    save_network(tmp_path, network, kept)
    again, loaded = load_network(tmp_path)
    assert again == network
    assert loaded.keys() == kept.keys()
    assert all(np.array_equal(value, loaded[name]) for name, value in kept.items())
    with pytest.raises(InputError, match=r"tensor 'input.levels' has values outside 0..15$"):
        save_network(tmp_path, network, kept | {"input.levels": np.full((2, 8), 16)})


def test_signed_levels_need_the_addends_of_offset_binary():
    signed = ActFormat(bits=4, encoding=ActEncoding.SYMMETRIC)
    conv = replace(CONV, act=signed, residual_act=signed, out=signed)
    network = replace(NETWORK, input_act=signed, layers=(conv, replace(HEAD, act=signed)))
    needed = required_requantiser(network, tensors())
    wanted = np.abs(offset_add(conv, tensors())).max()
    assert needed.add_bits == int(wanted).bit_length() + 1 > 14


def test_required_requantiser_is_the_narrowest():
    assert required_requantiser(NETWORK, tensors()) == RequantiserSpec(
        mult_bits=10, add_bits=14, max_shift=12, level_bits=4, residual_bits=4
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"c.add": None}, r"tensor 'c.add' is missing or does not belong to the network"),
        ({"x": np.zeros(1, dtype=np.int64)}, r"tensor 'x' is missing or does not belong to the network"),
        ({"c.add": np.zeros(3, dtype=np.int64)}, r"tensor 'c.add' has shape \(3,\), expected \(2,\)"),
        ({"c.weight": np.full((2, 2, 3, 3), 8)}, r"tensor 'c.weight' has values outside 0..7"),
        ({"c.shift": np.array([-1, 0])}, r"tensor 'c.shift' has values outside 0..60"),
        ({"c.add": np.zeros(2)}, r"tensor 'c.add' is float64, expected int64"),
        ({"c.add": np.array([5000, 0])}, r"tensor 'c.add' was edited since the conversion; convert again"),
        ({"c.add": np.zeros(100_000, dtype=np.int64)}, r"'c.add.npy' is too large or is not the network's"),
        ({"c.add": np.array([{}, {}])}, r"cannot be read: Object arrays cannot be loaded[^\n]*"),
    ],
)
def test_other_tensors_are_refused(folder, changes, message):
    rewrite(folder, **changes)
    with pytest.raises(InputError, match=rf"^{re.escape(str(folder / 'weights.npz'))}: {message}$"):
        load_network(folder)


@pytest.mark.parametrize("broken", [b"", b"PK\x03\x04", b"\x80\x04."])
def test_damaged_archives_are_refused(folder, broken):
    (folder / "weights.npz").write_bytes(broken)
    with pytest.raises(InputError, match=r"weights.npz: cannot be read: [^\n]+$"):
        load_network(folder)


def test_truncated_archive_is_refused(folder):
    path = folder / "weights.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"weights.npz: cannot be read: [^\n]+$"):
        load_network(folder)


@pytest.mark.parametrize("missing", ["network.json", "weights.npz"])
def test_missing_files_are_refused(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(InputError, match=rf"{missing}: no such file$"):
        load_network(folder)


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"x: no such folder$"):
        load_network(tmp_path / "x")


def edit(folder, change, *, reseal):
    path = folder / "network.json"
    body = json.loads(path.read_text())
    change(body)
    if reseal:
        del body["digest"], body["schema"]
        body = seal(body)
    path.write_text(json.dumps(body))


@pytest.mark.parametrize(
    ("change", "reseal", "message"),
    [
        (
            lambda b: b["network"].update(name="m"),
            False,
            r"its digest '[0-9a-f]{12}' does not match",
        ),
        (lambda b: b.pop("network"), True, r"KeyError: 'network'"),
        (lambda b: b.update(tensors_sha256=3), True, r"TypeError: "),
        (
            lambda b: b["network"]["layers"][0].update(kernel=99),
            True,
            r"kernel must be an integer from 1 to 15",
        ),
        (lambda b: b["network"]["layers"][0].update(source="head"), True, r"layer 'c' reads 'head'"),
    ],
)
def test_other_descriptions_are_refused(folder, change, reseal, message):
    edit(folder, change, reseal=reseal)
    with pytest.raises(InputError, match=rf"^{re.escape(str(folder / 'network.json'))}: {message}"):
        load_network(folder)


def test_saving_refuses_what_loading_would(tmp_path):
    with pytest.raises(InputError, match=r"tensor 'c.mult' is missing"):
        save_network(tmp_path, NETWORK, {k: v for k, v in tensors().items() if k != "c.mult"})
    assert list(tmp_path.iterdir()) == []

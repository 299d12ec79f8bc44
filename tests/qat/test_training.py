"""Training, checkpoints and the conversion command on the digits, in a few epochs."""

from __future__ import annotations

import json
import pickle
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pact_hw.errors import InputError
from pact_hw.network_files import load_network
from pact_hw.qat.augment import crop, flip
from pact_hw.qat.checkpoint import CHECKPOINT
from pact_hw.qat.convert import convert
from pact_hw.qat.data import digits
from pact_hw.qat.fit import SMALL, classify, few_threads
from pact_hw.qat.networks import float_network
from pact_hw.qat.quantised import Quantised, load_quantised
from pact_hw.qat.training import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(act_bits=4, weight_bits=4, seed=1, epochs=5, out=folder)


def test_metrics(trained):
    folder, metrics = trained
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert metrics["accuracy"] > 0.8
    assert metrics["float_accuracy"] > 0.8
    assert (metrics["training_images"], metrics["held_out_images"]) == (1437, 360)
    assert set(metrics["alpha"]) == {"relu0", "relu1", "relu2", "relu3"}


def test_training_is_deterministic(trained, tmp_path):
    folder, metrics = trained
    again = train(act_bits=4, weight_bits=4, seed=1, epochs=5, out=tmp_path)
    timeless = [{k: v for k, v in m.items() if "seconds" not in k} for m in (metrics, again)]
    assert timeless[0] == timeless[1]
    assert (folder / CHECKPOINT).read_bytes() == (tmp_path / CHECKPOINT).read_bytes()


def test_the_seed_and_nothing_else_decides():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    networks = [float_network("digits", seed) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), state)
    first, second, third = (next(network.parameters()) for network in networks)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_small_networks_are_trained_with_one_thread():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with few_threads(float_network("digits")):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with few_threads(torch.nn.Linear(SMALL, 1)):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_convert_writes_what_it_returns(trained, tmp_path):
    folder, metrics = trained
    exactness = convert(folder, tmp_path)
    assert exactness == json.loads((tmp_path / "exactness.json").read_text())
    assert exactness["level_mismatches"] == 0
    assert exactness["logit_mismatches"] == exactness["class_mismatches"] == 0
    assert exactness["accuracy"] == pytest.approx(metrics["accuracy"], abs=0.01)
    network, _ = load_network(tmp_path)
    assert network.digest == exactness["network_digest"]


def test_held_out_images_are_held_out():
    train_images, test_images = digits(3)
    seen = {image.tobytes() for image in train_images.levels}
    assert sum(image.tobytes() in seen for image in test_images.levels) == 0
    assert np.bincount(test_images.labels).min() >= 34
    assert train_images.levels.min() == 0
    assert train_images.levels.max() == 255
    assert np.array_equal(digits(3)[1].levels, test_images.levels)
    assert not np.array_equal(digits(4)[1].labels, test_images.labels)


@pytest.mark.parametrize("margin", [1, 2])
def test_crops_move_by_at_most_the_margin(margin):
    images = torch.arange(1, 10, dtype=torch.uint8).reshape(1, 1, 3, 3).repeat(600, 1, 1, 1)
    moved = crop(images, margin, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(images[0, 0], (margin,) * 4)
    places = range(2 * margin + 1)
    allowed = {bytes(padded[y : y + 3, x : x + 3].flatten().tolist()) for y in places for x in places}
    assert {bytes(image.flatten().tolist()) for image in moved} == allowed


def test_flips_mirror_half_of_the_images():
    images = torch.arange(6, dtype=torch.uint8).reshape(1, 1, 2, 3).repeat(1000, 1, 1, 1)
    flipped = flip(images, torch.Generator().manual_seed(0))
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    assert ((flipped == images).flatten(1).all(1) ^ mirrored).all()
    assert 430 < mirrored.sum() < 570


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": "vgg"}, r"network must be one of digits, resnet20, .*, not 'vgg'"),
        ({"weights": "ternary"}, r"weights must be one of dorefa, sawb, not 'ternary'"),
        ({"act_bits": 0}, r"act_bits must be an integer from 1 to 16, not 0"),
        ({"weight_bits": 33}, r"weight_bits must be an integer from 1 to 16, not 33"),
        ({"seed": -1}, r"seed must be an integer from 0 to 4294967295, not -1"),
        ({"epochs": -1}, r"epochs must be an integer from 0 to 100000, not -1"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message, tmp_path):
    with pytest.raises(InputError, match=f"^{message}$"):
        train(**{"act_bits": 4, "weight_bits": 4, "out": tmp_path, **arguments})
    assert list(tmp_path.iterdir()) == []


def metadata(**changes):
    members = {"schema": 1, "network": "digits", "seed": 1, "act_bits": 4, "weight_bits": 4, "edge_bits": 8}
    members |= {"residual_bits": 8, "weights": "dorefa"}
    return {"pact_hw": json.dumps({k: v for k, v in {**members, **changes}.items() if v is not None})}


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (metadata(schema=9), r"schema 9 is not supported, expected 1$"),
        (metadata(network="vgg"), r"network must be one of digits, .*, not 'vgg'$"),
        (metadata(act_bits="x"), r"act_bits must be an integer from 1 to 16, not 'x'$"),
        (metadata(network=None), r"metadata: .* missing 1 required keyword-only argument: 'network'$"),
        (metadata(colour=3), r"metadata: .* unexpected keyword argument 'colour'$"),
        (metadata(weight_bits=40), r"weight_bits must be an integer from 1 to 16, not 40$"),
        ({"pact_hw": "{"}, r"cannot be read: Expecting property name"),
        ({}, r"is not a checkpoint of pact-hw$"),
        ({"pact_hw": "3"}, r"is not a checkpoint of pact-hw$"),
    ],
)
def test_wrong_metadata_is_refused(trained, tmp_path, described, message):
    tensors = load_file(trained[0] / CHECKPOINT)
    save_file(tensors, tmp_path / CHECKPOINT, described)
    with pytest.raises(InputError, match=message) as caught:
        load_quantised(tmp_path)
    assert "\n" not in str(caught.value)


def _set(name, change):
    return lambda tensors: tensors.__setitem__(name, change(tensors[name]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("bn0.bias"), r"tensor 'bn0.bias' is missing"),
        (lambda t: t.update(other=torch.zeros(1)), r"tensor 'other' is missing or does not belong"),
        (_set("head.weight", lambda t: t[:, :5].contiguous()), r"\[10, 5\], expected .* \[10, 512\]"),
        (_set("bn0.bias", lambda t: t.double()), r"is torch.float64 \[16\], expected torch.float32"),
        (_set("bn0.bias", lambda t: t * torch.nan), r"'bn0.bias' has values that"),
        (_set("relu0.alpha", lambda t: t * 0), r"relu0.alpha must be positive, not 0.0$"),
        (_set("bn0.running_var", lambda t: -t), r"'bn0.running_var' has negative"),
    ],
)
def test_wrong_tensors_are_refused(trained, tmp_path, change, message):
    tensors = load_file(trained[0] / CHECKPOINT)
    change(tensors)
    save_file(tensors, tmp_path / CHECKPOINT, metadata())
    with pytest.raises(InputError, match=message) as caught:
        load_quantised(tmp_path)
    assert "\n" not in str(caught.value)


class Bomb:
    """Unpickling it fails the test."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_no_checkpoint_a_pickle_and_a_piece(trained, tmp_path):
    path = tmp_path / CHECKPOINT
    with pytest.raises(InputError, match=rf"^{re.escape(str(tmp_path / 'x'))}: no such folder$"):
        load_quantised(tmp_path / "x")
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: no such file$"):
        load_quantised(tmp_path)
    whole = (trained[0] / CHECKPOINT).read_bytes()
    for broken in (pickle.dumps(Bomb()), whole[: len(whole) // 2], whole[:5], b"", b"\xff" * 64):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: cannot be read: [^\n]+$"):
            load_quantised(tmp_path)


def test_loading_gives_the_trained_network(trained):
    folder, metrics = trained
    model, made_of = load_quantised(folder)
    assert made_of == Quantised(network="digits", act_bits=4, weight_bits=4, seed=1)
    held_out = digits(made_of.seed)[1]
    right = classify(model, held_out) == torch.from_numpy(held_out.labels)
    assert right.double().mean().item() == metrics["accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("bits", "least"), [(4, 0.97), (2, 0.95), (8, 0.97)])
def test_held_out_accuracy(bits, least, seed, tmp_path):
    metrics = train(act_bits=bits, weight_bits=bits, seed=seed, out=tmp_path)
    assert metrics["accuracy"] >= least
    assert convert(tmp_path, tmp_path)["level_mismatches"] == 0

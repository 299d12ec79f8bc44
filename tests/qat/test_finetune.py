"""Training of the catalogue's networks on a handful of images: resumption, logs, preparation."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_data_sets import write_cifar10

from pact_hw.errors import InputError
from pact_hw.progress import Progress
from pact_hw.qat.calibrate import calibrate
from pact_hw.qat.checkpoint import CHECKPOINT
from pact_hw.qat.data import load
from pact_hw.qat.finetune import finetune
from pact_hw.qat.fit import classify, fit
from pact_hw.qat.networks import float_network
from pact_hw.qat.pact import ALPHA_START, PACT, SignedPACT
from pact_hw.qat.prepare import equalise, measure_statistics
from pact_hw.qat.quantised import Quantised, load_quantised
from pact_hw.qat.recipes import RECIPES
from pact_hw.qat.resume import LOG, STATE, read_log, save_state

MADE_OF = Quantised(network="resnet20", act_bits=4, weight_bits=4, seed=1)
EPOCHS = 3
OPTIONS = {"epochs": EPOCHS, "images_per_epoch": 16}


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """A folder with data, float parameters, and a training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("finetune")
    write_cifar10(folder)
    network = float_network("resnet20", 7)
    state = {k: v.numpy() for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    np.savez(folder / "float.npz", **state)
    metrics = finetune(MADE_OF, init=folder / "float.npz", data=folder, out=folder / "whole", **OPTIONS)
    return folder, metrics


def test_metrics_and_log(setting):
    folder, metrics = setting
    assert json.loads((folder / "whole" / "metrics.json").read_text()) == metrics
    assert metrics["held_out_images"] == 4
    accuracy, theirs = metrics["accuracy"], metrics["float_accuracy"]
    assert 4 * (accuracy - theirs) == len(metrics["won"]) - len(metrics["lost"])
    lines = read_log(folder / "whole")
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert all(np.isfinite(line["loss"]) for line in lines)
    assert lines[-1]["alpha"].keys() == metrics["alpha"].keys()
    assert not (folder / "whole" / STATE).exists()


def test_the_checkpoint_is_the_network(setting):
    folder, metrics = setting
    model, made_of = load_quantised(folder / "whole")
    assert made_of == MADE_OF
    test = load("cifar10", folder, size=32)[1]
    right = classify(model, test) == torch.from_numpy(test.batch(np.arange(4)).labels)
    assert right.double().mean().item() == metrics["accuracy"]


def test_a_killed_training_goes_on_exactly(setting, tmp_path):
    """SIGKILL behind the second epoch; then the same losses, clips and parameters, byte for byte."""
    folder, metrics = setting
    script = f"""
        import os, signal
        from contextlib import contextmanager
        from pathlib import Path
        from pact_hw.progress import Progress
        from pact_hw.qat.finetune import finetune
        from pact_hw.qat.quantised import Quantised

        class Killer(Progress):
            done = 0

            @contextmanager
            def task(self, description, total=None):
                def advance(count):
                    self.done += count
                    if self.done == 2:
                        os.kill(os.getpid(), signal.SIGKILL)
                yield advance

        folder = Path({str(folder)!r})
        finetune({MADE_OF!r}, init=folder / "float.npz", data=folder, out=Path({str(tmp_path)!r}),
                 progress=Killer(), **{OPTIONS!r})
        """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / STATE).is_file()
    assert not (tmp_path / "metrics.json").exists()
    with (tmp_path / LOG).open("a") as file:
        file.write('{"epoch": 3, "step": 3, "loss": 9')  # cut short in the epoch that is lost
    again = finetune(MADE_OF, init=folder / "float.npz", data=folder, out=tmp_path, **OPTIONS)
    assert (tmp_path / LOG).read_text() == (folder / "whole" / LOG).read_text()
    assert (tmp_path / CHECKPOINT).read_bytes() == (folder / "whole" / CHECKPOINT).read_bytes()
    assert {**again, "seconds": 0} == {**metrics, "seconds": 0}


def test_the_state_of_another_training_is_refused(setting, tmp_path):
    folder, _ = setting
    arguments = {"init": folder / "float.npz", "data": folder, "out": tmp_path}
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    save_state(tmp_path, torch.nn.Linear(1, 1), optimiser, epoch=1, training={"act_bits": 3})
    with pytest.raises(InputError, match=r"resume.safetensors: is of another training \(act_bits 3, not 4\)"):
        finetune(MADE_OF, **arguments, **OPTIONS)
    (tmp_path / STATE).write_bytes(b"x" * 40)
    with pytest.raises(InputError, match=r"^[^\n]*resume.safetensors: cannot be read: [^\n]+$"):
        finetune(MADE_OF, **arguments, **OPTIONS)


@pytest.mark.parametrize("changed", ["init", "data"])
def test_a_training_does_not_go_on_from_another_start_or_with_other_data(setting, tmp_path, changed):
    folder, _ = setting

    class Killed(Progress):
        @contextmanager
        def task(self, description, total=None):
            def advance(count):
                if count:
                    raise KeyboardInterrupt

            yield advance

    arguments = {"init": folder / "float.npz", "data": folder, "out": tmp_path / "out"}
    with pytest.raises(KeyboardInterrupt):
        finetune(MADE_OF, **arguments, **OPTIONS, progress=Killed())
    assert (tmp_path / "out" / STATE).is_file()
    if changed == "init":
        with np.load(folder / "float.npz") as file:
            np.savez(tmp_path / "float.npz", **{**file, "linear.bias": file["linear.bias"] + 1})
        arguments["init"] = tmp_path / "float.npz"
    else:
        write_cifar10(tmp_path, first=1)
        arguments["data"] = tmp_path
    name = {"init": "init_sha256", "data": "first_images_sha256"}[changed]
    with pytest.raises(
        InputError, match=rf"resume.safetensors: is of another training \({name} '\w+', not '\w+'\)"
    ):
        finetune(MADE_OF, **arguments, **OPTIONS)


def test_no_epochs_calibrate_only(setting, tmp_path):
    folder, _ = setting
    metrics = finetune(MADE_OF, init=folder / "float.npz", data=folder, out=tmp_path, epochs=0)
    model, _ = load_quantised(tmp_path)
    alphas = {name: module.alpha.item() for name, module in model.named_modules() if isinstance(module, PACT)}
    assert all(alpha > 0 and alpha != ALPHA_START for alpha in alphas.values())
    assert all(metrics["alpha"][name] == pytest.approx(alpha, abs=1e-6) for name, alpha in alphas.items())
    assert not (tmp_path / LOG).exists()


def test_statistics_are_frozen_in_the_recipes_last_epochs(setting, tmp_path):
    folder, _ = setting
    training, _ = load("cifar10", folder, size=32)
    seen = {}
    for share in (0.5, 1.0):
        model = float_network("resnet20", 1)
        recipe = replace(RECIPES["finetune"], epochs=2, freeze_norm=share)
        fit(model, training, recipe, seed=0, folder=tmp_path / str(share), training={}, images_per_epoch=8)
        seen[share] = int(model.bn1.num_batches_tracked)
    assert seen == {0.5: 1, 1.0: 2}


def test_mixed_precision_is_near_full_precision(setting, tmp_path):
    folder, _ = setting
    arguments = {"init": folder / "float.npz", "data": folder, "epochs": 1, "images_per_epoch": 16}
    for name, mixed in (("mixed", True), ("full", False)):
        finetune(MADE_OF, out=tmp_path / name, mixed_precision=mixed, **arguments)
    mixed, full = (read_log(tmp_path / name)[0]["loss"] for name in ("mixed", "full"))
    assert mixed != full
    assert mixed == pytest.approx(full, rel=0.2)


def test_widths_of_edges_and_streams_and_tied_clips_are_kept(setting, tmp_path):
    folder, _ = setting
    made_of = Quantised(
        network="resnet20-stream", act_bits=2, weight_bits=3, edge_bits=6, residual_bits=7, tie_residuals=True
    )
    finetune(made_of, init=folder / "float.npz", data=folder, out=tmp_path, epochs=0)
    model, loaded = load_quantised(tmp_path)
    assert loaded == made_of
    bits = {name: module.bits for name, module in model.named_modules() if hasattr(module, "alpha")}
    assert (bits["input_quantiser"], bits["layer1.0.relu0"], bits["layer1.0.relu1"]) == (6, 2, 2)
    assert bits["relu"] == 7
    streams = {
        id(model.get_submodule(n.target)) for n in model.graph.nodes if str(n.target).endswith("relu2")
    }
    assert len(streams) < 9
    weights = [model.get_submodule(f"{name}").weight_quantiser.bits for name in ("conv1", "layer2.1.conv2")]
    assert weights == [6, 3]


def test_from_scratch_by_the_papers_recipe(setting, tmp_path):
    folder, _ = setting
    metrics = finetune(MADE_OF, init=None, data=folder, out=tmp_path, epochs=1)
    assert "float_accuracy" not in metrics
    first = read_log(tmp_path)[0]
    assert first["rate"] == RECIPES["cifar10"].rate == 0.1


def test_equalised_networks_compute_the_same():
    """Sixteen bits lose next to nothing: so what equalisation changes must cancel in the network."""
    made_of = Quantised(network="resnet20", act_bits=16, weight_bits=16, edge_bits=16)
    network = made_of.float_network().eval()
    levels = torch.randint(
        0, 256, (40, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    measure_statistics(network, levels)
    for parameter in (network.linear.bias, *(m.bias for m in network.modules() if hasattr(m, "running_var"))):
        torch.nn.init.uniform_(parameter, -0.5, 0.5)
    expected = network(levels)
    model = made_of.quantise(network).eval()
    scale = equalise(model)
    calibrate(model, [levels])
    ours = model(levels) * scale
    # Channels of two or three extreme weights are clipped; all else cancels.
    assert torch.corrcoef(torch.stack([ours.flatten(), expected.flatten()]))[0, 1] > 0.999
    assert (ours - expected).std() < 0.05 * expected.std()


def test_equalisation_brings_weights_near_their_levels():
    def cosine(model, network):
        pairs = [
            (module.weight_quantiser(module.weight).flatten(1), network.get_submodule(name).weight.flatten(1))
            for name, module in model.named_modules()
            if hasattr(module, "weight_quantiser") and name.startswith("layer")
        ]
        return torch.cat([torch.nn.functional.cosine_similarity(a, b, dim=1) for a, b in pairs]).mean()

    made_of = Quantised(network="resnet20", act_bits=2, weight_bits=2)
    network = made_of.float_network()
    plain, equalised = made_of.quantise(network), made_of.quantise(network)
    equalise(equalised)
    assert cosine(equalised, network) > 0.9 > 0.83 > cosine(plain, network)


def test_clips_are_calibrated_to_the_least_error():
    model = torch.nn.Sequential(PACT(2), SignedPACT(4))
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 3
    calibrate(model, [x[:500], x[500:]])

    def error(bits_module, alpha):
        bits_module.alpha.data.fill_(alpha)
        return (bits_module(x.clamp(min=0)) - x.clamp(min=0)).square().sum()

    for module in model:
        found = module.alpha.item()
        best = min(error(module, alpha) for alpha in np.linspace(0.3, 12, 300))
        assert error(module, found) <= 1.05 * best


def test_the_papers_schedules():
    recipe = RECIPES["cifar10"]
    rates = [recipe.rate_at(epoch / 200) for epoch in (0, 59, 60, 119, 120, 199)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert [RECIPES["svhn"].rate_at(epoch / 200) for epoch in (0, 50, 100, 150)] == pytest.approx(
        [1e-3, 5e-4, 2.5e-4, 1.25e-4]
    )
    assert [RECIPES["alexnet"].rate_at(epoch / 100) for epoch in (55, 56, 64)] == pytest.approx(
        [1e-4, 2e-5, 4e-6]
    )
    assert [RECIPES["resnet"].rate_at(epoch / 110) for epoch in (29, 30, 60, 85, 95)] == pytest.approx(
        [0.1, 1e-2, 1e-3, 1e-4, 1e-5]
    )
    cosine = RECIPES["finetune"]
    assert cosine.rate_at(cosine.warm_up) == pytest.approx(cosine.rate)
    assert cosine.rate_at(1) == pytest.approx(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": None}, "data set 'cifar10' is read from a folder: say which with --data DIR"),
        ({"epochs": -1}, "epochs must be an integer from 0 to 100000, not -1"),
        ({"recipe": "magic"}, "recipe must be one of cifar10, svhn, .*, not 'magic'"),
        ({"device": "quantum"}, "device 'quantum' cannot be used here: .*"),
    ],
)
def test_wrong_options_are_refused(setting, options, message, tmp_path):
    folder, _ = setting
    with pytest.raises(InputError, match=f"^{message}$"):
        finetune(MADE_OF, **{"init": None, "data": folder, "out": tmp_path, **options})
    assert not list(tmp_path.iterdir())

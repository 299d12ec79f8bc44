"""Runs that are killed go on where they were; the simulators' cache stays small."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from small_cores import small_core, small_network, small_tensors

from pact_hw.compiler import compile_network
from pact_hw.spec import seal
from rtl_gen.core.emit import write_core
from sim import core_simulate
from sim.compiler import keep_newest
from sim.core_journal import FILE, Done, Journal
from sim.core_range import whole
from sim.core_simulate import simulate_network
from sim.simulator import Kind

NETWORK = small_network()
TENSORS = small_tensors(NETWORK)
IMAGES = np.random.default_rng(0).integers(0, 16, (3, 3, 6, 6))
RUN = IMAGES, None, Kind.VERILATOR


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    return write_core(small_core(), tmp_path_factory.mktemp("core"))


class Runs:
    """Counts the images of every simulation, of which the last one is killed."""

    def __init__(self, monkeypatch, most):
        self.images, self._most = [], most
        self._run = core_simulate.run_core
        monkeypatch.setattr(core_simulate, "BATCH_SECONDS", 0)
        monkeypatch.setattr(core_simulate, "run_core", self.run)

    def run(self, design, jobs, **members):
        self.images.append([job.values["input"].tolist() for job in jobs])
        if len(self.images) > self._most:
            raise KeyboardInterrupt
        return self._run(design, jobs, **members)


@pytest.fixture(scope="module")
def kept(design, tmp_path_factory):
    """The file of a run that was killed behind its first image."""
    folder = tmp_path_factory.mktemp("killed")
    with pytest.MonkeyPatch.context() as patch:
        Runs(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            simulate_network(design, NETWORK, TENSORS, IMAGES, folder=folder)
    return (folder / FILE).read_text()


def told(report):
    timed = ("seconds", "predicted_seconds", "cycles_per_second", "macs_per_second", "simulated_cycles")
    return {name: value for name, value in report.to_json().items() if name not in timed}


def test_the_first_image_that_was_not_done_comes_next(design, kept, tmp_path):
    whole = simulate_network(design, NETWORK, TENSORS, IMAGES, folder=tmp_path)
    assert not (tmp_path / FILE).exists()  # it has ended: the next one is a new run
    (tmp_path / FILE).write_text(kept)
    with pytest.MonkeyPatch.context() as patch:
        runs = Runs(patch, len(IMAGES))
        report = simulate_network(design, NETWORK, TENSORS, IMAGES, folder=tmp_path)
    assert runs.images == [[image.tolist()] for image in IMAGES[1:]]
    assert told(report) == told(whole)
    assert report.simulated_cycles > 0.9 * whole.simulated_cycles


@pytest.mark.parametrize(
    ("seed", "damage"),
    [(1, str), (0, lambda text: text[:-9]), (0, lambda text: text.replace('"images": 1', '"images": 2'))],
)
def test_another_run_or_a_damaged_file_counts_for_nothing(design, kept, tmp_path, monkeypatch, seed, damage):
    images = np.random.default_rng(seed).integers(0, 16, IMAGES.shape)
    (tmp_path / FILE).write_text(damage(kept))
    runs = Runs(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        simulate_network(design, NETWORK, TENSORS, images, folder=tmp_path)
    assert runs.images == [[images[0].tolist()]]


@pytest.mark.parametrize("images", [-1, 0, 4, "2", 1.0])
def test_no_more_images_are_done_than_there_are(kept, tmp_path, images):
    body = {name: value for name, value in json.loads(kept).items() if name not in ("schema", "digest")}
    journal = Journal(tmp_path, body["key"])
    assert journal.load(3) == Done()
    (tmp_path / FILE).write_text(kept)
    assert journal.load(3).images == 1
    body["done"]["images"] = images
    (tmp_path / FILE).write_text(json.dumps(seal(body)))
    assert journal.load(3) == Done()


def test_the_hosts_bias_is_part_of_a_run(design):
    """It is in no byte that the core reads, and yet the classes depend on it."""
    last = replace(NETWORK.layers[-1], bias_shift=2)
    network = replace(NETWORK, layers=(*NETWORK.layers[:-1], last))
    keys = {
        core_simulate._key(design, whole(compile_network(network, tensors, design.core)), *RUN)
        for tensors in [{**TENSORS, "linear.add": np.arange(5) * factor} for factor in (1, 1, -1)]
    }
    assert len(keys) == 2


@pytest.mark.parametrize("text", ["[]", "{}", "", '{"cycles_per_second": %s}'])
@pytest.mark.parametrize("value", ["0", "-3", "NaN", "1e999", "null", '"fast"', "1" + "0" * 400])
def test_a_damaged_speed_is_a_guess(design, tmp_path, text, value):
    (tmp_path / "speed.json").write_text(text.replace("%s", value))
    guess = core_simulate._speed(design, Kind.VERILATOR, None)
    assert core_simulate._speed(design, Kind.VERILATOR, tmp_path / "speed.json") == guess > 0


def test_what_was_used_last_is_kept(tmp_path):
    for number, name in enumerate("abcde"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "program").touch()
        os.utime(tmp_path / name, (number, number))
    os.utime(tmp_path / "a")
    keep_newest(tmp_path, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "d", "e"]

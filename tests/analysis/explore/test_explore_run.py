"""An exploration's table: right, complete, resumable after anything, within bounded memory."""

import json
import os
import signal
import subprocess
import sys
import time

import explored
import numpy as np
import pytest

from analysis.core_runs import run_sized
from analysis.explore import tasks
from analysis.explore.executors import Here, Processes
from analysis.explore.model import METRICS, evaluate_columns
from analysis.explore.run import explore
from analysis.explore.space import Space
from pact_hw.errors import InputError, ToolError
from pact_hw.spec import ActFormat, HardwareSpec, WeightFormat

pytest.importorskip("pyarrow", reason="pip install 'pact-hw[explore]'")
psutil = pytest.importorskip("psutil", reason="comes with pact-hw[explore]")


@pytest.fixture
def small(tmp_path):
    (tmp_path / "small.toml").write_text(explored.SMALL)
    return Space.load(tmp_path / "small.toml")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """LARGE, uninterrupted, in one process: its SPACE.toml and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "large.toml").write_text(explored.LARGE)
    explore(Space.load(folder / "large.toml"), folder / "out", Here())
    return folder / "large.toml", folder / "out"


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_every_design_once_with_what_the_models_say(small, tmp_path):
    found = explore(small, tmp_path / "out", Here())
    table = explored.table(tmp_path / "out")
    assert found.designs == found.evaluated_now == small.size == 324
    assert table["point"].tolist() == list(range(324))
    for point in (0, 100, 323):
        alone = evaluate_columns(small.columns(np.array([point])))
        for name in METRICS:  # buffers_mb is a core's alone: NaN here
            assert np.array_equal(table[name][point], alone[name][0], equal_nan=True), name


def test_front_and_sample_come_from_the_table(small, tmp_path):
    found = explore(small, tmp_path / "out", Here())
    table = explored.table(tmp_path / "out")
    for i in range(0, 324, 7):
        ahead = (table["images_per_s"] >= table["images_per_s"][i]) & (
            table["area_ge"] <= table["area_ge"][i]
        )
        better = (table["images_per_s"] > table["images_per_s"][i]) | (table["area_ge"] < table["area_ge"][i])
        if i in found.front["point"]:
            assert not (ahead & better).any()
    assert set(found.sample["point"]) == set(range(324))


def test_limits_leave_only_what_keeps_them(tmp_path):
    (tmp_path / "limited.toml").write_text(explored.SMALL + "[limits]\nmemory_mb = {at_most = 4}\n")
    found = explore(Space.load(tmp_path / "limited.toml"), tmp_path / "out", Here())
    assert found.eligible == 216
    assert found.front["memory_mb"].max() <= 4


def test_processes_write_the_same_files(small, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "CHUNK", 50)
    monkeypatch.setattr("analysis.explore.tasks.chunks.__defaults__", (50,))
    explore(small, tmp_path / "one", Here())
    explore(small, tmp_path / "two", Processes(2))
    one, two = (explored.chunks_written(tmp_path / name) for name in ("one", "two"))
    assert len(one) == 7
    assert [path.name for path in one] == [path.name for path in two]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_only_what_is_missing_is_evaluated(small, tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.explore.tasks.chunks.__defaults__", (100,))
    explore(small, tmp_path / "out", Here())
    before = explored.table(tmp_path / "out")
    explored.chunks_written(tmp_path / "out")[1].unlink()
    (tmp_path / "out/points/.000-left.parquet").write_text("of a run that was killed while it wrote")
    assert explore(small, tmp_path / "out", Here()).evaluated_now == 100
    assert explored.same(explored.table(tmp_path / "out"), before)
    assert explore(small, tmp_path / "out", Here()).evaluated_now == 0


def test_killed_in_the_middle_and_run_again(whole, tmp_path):
    space, uninterrupted = whole
    run = explored.start(space, "--out", tmp_path / "out", "--workers", 2)
    until(lambda: len(explored.chunks_written(tmp_path / "out")) >= 3)
    workers = psutil.Process(run.pid).children(recursive=True)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    assert run.returncode == -signal.SIGKILL
    left = {path.name: path.stat().st_mtime_ns for path in explored.chunks_written(tmp_path / "out")}
    assert 3 <= len(left) < explored.CHUNKS
    assert psutil.wait_procs(workers, timeout=20)[1] == []  # nobody works on for a dead master

    again = explored.start(space, "--out", tmp_path / "out", "--workers", 2, "--json")
    output = again.communicate(timeout=300)[0]
    assert again.returncode == 0, output
    result = json.loads(output.splitlines()[-1])
    assert result["evaluated_now"] == explored.DESIGNS - 8192 * len(left)
    kept = {path.name: path.stat().st_mtime_ns for path in explored.chunks_written(tmp_path / "out")}
    assert left.items() <= kept.items()
    assert explored.same(explored.table(tmp_path / "out"), explored.table(uninterrupted))


def test_interrupted_as_by_a_terminal(whole, tmp_path):
    run = explored.start(whole[0], "--out", tmp_path / "out", "--workers", 2)
    until(lambda: len(explored.chunks_written(tmp_path / "out")) >= 1)
    os.killpg(run.pid, signal.SIGINT)
    output = run.communicate(timeout=60)[0]
    assert run.returncode == 130
    assert output.endswith("\npact-hw: interrupted\n")
    assert "Traceback" not in output
    assert 1 <= len(explored.chunks_written(tmp_path / "out")) < explored.CHUNKS


def test_a_killed_worker_process_loses_nothing(whole, tmp_path):
    space, uninterrupted = whole
    run = explored.start(space, "--out", tmp_path / "out", "--workers", 2)
    until(lambda: len(explored.chunks_written(tmp_path / "out")) >= 2)
    workers = [
        child
        for child in psutil.Process(run.pid).children()
        if "resource_tracker" not in str(child.cmdline())
    ]
    assert len(workers) == 2
    workers[0].kill()
    assert len(explored.chunks_written(tmp_path / "out")) < explored.CHUNKS
    output = run.communicate(timeout=300)[0]
    assert run.returncode == 0, output
    assert explored.same(explored.table(tmp_path / "out"), explored.table(uninterrupted))


def _die(task, folder):
    os._exit(1)


def test_workers_that_always_die_end_the_run_in_one_line(small, tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.explore.executors._work_into_file", _die)
    with pytest.raises(ToolError, match=r"^worker processes died 5 times in a row"):
        explore(small, tmp_path / "out", Processes(2))
    assert explored.chunks_written(tmp_path / "out") == []


def test_results_of_another_space_are_not_continued(small, tmp_path):
    explore(small, tmp_path / "out", Here())
    (tmp_path / "other.toml").write_text(explored.SMALL.replace("bits = [2, 4, 8]", "bits = [2, 4]"))
    with pytest.raises(InputError, match=r"out: holds results of another space or other models"):
        explore(Space.load(tmp_path / "other.toml"), tmp_path / "out", Here())


def test_new_wishes_of_the_same_designs_evaluate_nothing(small, tmp_path):
    explore(small, tmp_path / "out", Here())
    (tmp_path / "other.toml").write_text(explored.SMALL.replace("images_per_s", "utilisation"))
    found = explore(Space.load(tmp_path / "other.toml"), tmp_path / "out", Here())
    assert found.evaluated_now == 0


def test_two_runs_in_one_folder(small, tmp_path):
    from analysis.explore.store import Store

    store = Store(tmp_path / "out", small.digest)
    with store.open(), pytest.raises(InputError, match=r"out: another exploration is at work here$"):
        explore(small, tmp_path / "out", Here())


def test_a_damaged_chunk_is_named(small, tmp_path):
    explore(small, tmp_path / "out", Here())
    chunk = explored.chunks_written(tmp_path / "out")[0]
    chunk.write_bytes(chunk.read_bytes()[:-20])
    with pytest.raises(InputError, match=rf"{chunk.name}: cannot be read"):
        explore(small, tmp_path / "out", Here())


def test_an_objective_without_a_model_is_refused(tmp_path):
    text = explored.SMALL.replace(
        "[objectives]", 'dataflow = "weight-stationary"\nmac_kind = ["fixed", "composable"]\n[objectives]'
    )
    (tmp_path / "space.toml").write_text(text)
    with pytest.raises(InputError, match=r"^area_ge: there is no model of it for composable weight-st"):
        explore(Space.load(tmp_path / "space.toml"), tmp_path / "out", Here())


CORES = """
[space]
chip = "core"
network = "resnet20"
bits = 4
rows = [1, 4]
requantisers = [1, 2, 3, 8]
bus_bits = 512

[objectives]
images_per_s = "maximise"
requantisers = "minimise"
"""


def test_cores_are_compiled_and_what_is_no_core_is_on_no_front(tmp_path):
    (tmp_path / "space.toml").write_text(CORES)
    found = explore(Space.load(tmp_path / "space.toml"), tmp_path / "out", Here())
    assert (found.designs, found.eligible) == (8, 3)  # neither one row nor three requantisers
    assert sorted(found.front["requantisers"].tolist()) == [1, 2, 8]
    array = HardwareSpec(act=ActFormat(bits=4), weight=WeightFormat(bits=4), rows=4, cols=8, lanes=8)
    front = {name: found.front[name].tolist() for name in ("requantisers", "compute_cycles")}
    for count, cycles in zip(*front.values(), strict=True):
        assert cycles == run_sized("resnet20", 4, array, requantisers=count, bus_bits=512).total_cycles


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "images_per_s",
            "energy_uj_per_image",
            "energy_uj_per_image: there is no model of it for a core in asap7$",
        ),
        ("resnet20", "alexnet", "images_per_s: .* for alexnet on a core, only of .*resnet20"),
        ('chip = "core"', "", "images_per_s: .* for fixed output-stationary arrays with resnet20"),
    ],
)
def test_what_is_not_known_of_cores_is_refused(tmp_path, old, new, message):
    (tmp_path / "space.toml").write_text(CORES.replace(old, new))
    with pytest.raises(InputError, match=f"^{message}"):
        explore(Space.load(tmp_path / "space.toml"), tmp_path / "out", Here())


def test_a_worker_with_other_models_is_refused(small, tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.explore.tasks.model_digest", lambda: "0" * 64)
    task = next(tasks.chunks(small, range(4)))
    result = tasks.work(task)
    monkeypatch.undo()
    with pytest.raises(ToolError, match=r"^a worker has other models \(digest 000000000000, here"):
        tasks.checked(result)


MILLION = """
import resource, sys
from pathlib import Path
from analysis.explore.executors import Here
from analysis.explore.run import explore
from analysis.explore.space import Space
found = explore(Space.load(Path(sys.argv[1])), Path(sys.argv[2]), Here())
print(found.designs, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


MANY = """
[space]
network = "alexnet"
bits = {from = 1, to = 16, step = 1}
rows = {from = 1, to = 80, step = 1}
cores = {from = 1, to = 32, step = 1}
memory_mb = {from = 1, to = MEMORIES, step = 1}
bandwidth_gb_per_s = [8, 16, 32, inf]

[objectives]
images_per_s = "maximise"
area_ge = "minimise"
bandwidth_gb_per_s = "minimise"
"""


@pytest.mark.slow
def test_a_million_designs_in_bounded_memory(tmp_path):
    """Seven times the designs may not need more than a tenth more memory."""
    peaks = []
    for memories in (1, 7):
        space = tmp_path / f"{memories}.toml"
        space.write_text(MANY.replace("MEMORIES", str(memories)))
        command = [sys.executable, "-c", MILLION, space, tmp_path / str(memories)]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        designs, peak = map(int, done.stdout.split())
        assert designs == 16 * 80 * 32 * 4 * memories
        peaks.append(peak)
    assert designs > 1_000_000
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 400_000  # kB

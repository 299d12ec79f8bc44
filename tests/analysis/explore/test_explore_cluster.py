"""Exploration on dask.distributed: the same table, also when a worker is killed in the middle."""

import json
import subprocess
import sys
import time

import explored
import pytest

from analysis.explore.executors import Cluster, Here
from analysis.explore.run import explore
from analysis.explore.space import Space
from pact_hw.errors import InputError

pytest.importorskip("pyarrow", reason="pip install 'pact-hw[explore]'")
pytest.importorskip("distributed", reason="pip install 'pact-hw[explore]'")

# A cluster of two worker processes; it says its address and their process ids, and ends with its input.
SERVER = """
import json, sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        workers = [worker.process.pid for worker in cluster.workers.values()]
        print(json.dumps([cluster.scheduler_address, workers]), flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def cluster(tmp_path):
    """Its address, the process ids of its workers, and its own process."""
    script = tmp_path / "cluster.py"
    script.write_text(SERVER)
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield *json.loads(process.stdout.readline()), process
        process.stdin.close()


def begin(address, tmp_path):
    """Explore LARGE on the cluster; gives the process when the first chunks are there."""
    (tmp_path / "large.toml").write_text(explored.LARGE)
    run = explored.start(tmp_path / "large.toml", "--out", tmp_path / "out", "--scheduler", address, "--json")
    end = time.monotonic() + 60
    while len(explored.chunks_written(tmp_path / "out")) < 3:
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)
    return run


def test_a_worker_is_killed_and_nothing_is_lost_or_double(cluster, tmp_path):
    psutil = pytest.importorskip("psutil")
    address, workers, _ = cluster
    run = begin(address, tmp_path)
    psutil.Process(workers[0]).kill()
    assert len(explored.chunks_written(tmp_path / "out")) < explored.CHUNKS
    output = run.communicate(timeout=120)[0]
    assert run.returncode == 0, output
    assert json.loads(output.splitlines()[-1])["designs_evaluated"] == explored.DESIGNS
    explore(Space.load(tmp_path / "large.toml"), tmp_path / "alone", Here())
    assert explored.same(explored.table(tmp_path / "out"), explored.table(tmp_path / "alone"))
    names = [[path.name for path in explored.chunks_written(tmp_path / name)] for name in ("out", "alone")]
    assert names[0] == names[1]


def test_a_scheduler_that_dies_is_one_line_and_what_it_gave_is_kept(cluster, tmp_path):
    address, _, process = cluster
    run = begin(address, tmp_path)
    process.kill()
    output = run.communicate(timeout=120)[0]
    assert run.returncode == 3, output
    assert f"pact-hw: --scheduler {address}: the scheduler is gone; what it gave is kept" in output
    assert "Traceback" not in output
    assert len(explored.chunks_written(tmp_path / "out")) >= 3


def test_no_scheduler_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.explore.executors.CONNECT_SECONDS", 1.0)
    (tmp_path / "small.toml").write_text(explored.SMALL)
    with pytest.raises(InputError, match=r"^--scheduler nonsense: no dask scheduler answers") as refused:
        explore(Space.load(tmp_path / "small.toml"), tmp_path / "out", Cluster("nonsense"))
    assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match=r"^--scheduler tcp://127\.0\.0\.1:1: no dask scheduler answers"):
        explore(Space.load(tmp_path / "small.toml"), tmp_path / "out", Cluster("tcp://127.0.0.1:1"))

"""The benchmarks run without the optional tools, and say which are missing."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from analysis.technology import generic_liberty

ROOT = Path(__file__).parents[2]


def test_peers_without_peers():
    run = subprocess.run(
        [sys.executable, "benchmarks/peers.py", "--designs", "200"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "ResNet-50 x 200 designs" in run.stdout
    for tool, name in (("SCALE-Sim", "scalesim"), ("ZigZag", "zigzag")):
        if importlib.util.find_spec(name) is None:
            assert f"{tool}: not installed" in run.stdout


def test_the_coefficients_are_those_of_the_table(tmp_path):
    # The fit is deterministic: made again from area_points.csv it is the same file.
    spec = importlib.util.spec_from_file_location("area_fit", ROOT / "benchmarks" / "area_fit.py")
    area_fit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(area_fit)
    packaged = area_fit.TABLE.read_text()
    area_fit.TABLE = tmp_path / "area_coefficients.csv"
    area_fit.main()
    for old, new in zip(packaged.splitlines(), area_fit.TABLE.read_text().splitlines(), strict=True):
        *name, value = new.split(",")
        *old_name, old_value = old.split(",")
        assert name == old_name
        if "um2" not in value and not new.startswith("#"):
            assert abs(float(value) - float(old_value)) <= 1e-4 * max(1e-3, float(old_value))


def test_areas_are_kept_and_not_measured_twice(tmp_path):
    library = tmp_path / "own.lib"
    library.write_text(generic_liberty())
    command = [sys.executable, "benchmarks/area.py", f"own={library}", "--bits", "2x1", "--lanes", "1"]
    command += ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "area.json")]
    for _ in range(2):
        subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=True)
        (row,) = json.loads((tmp_path / "area.json").read_text())
        assert row["um2_per_mac"] > 0
        assert row["delay_ps"] > 0
        (kept,) = (tmp_path / "cache").iterdir()
        # A second run takes this for the answer.
        result = json.loads(kept.read_text())
        kept.write_text(json.dumps(result | {"area_um2_per_mac": 7.0}))
    assert row["um2_per_mac"] == 7.0
    assert "| own | 2x1 | 1 | 0 | 7.0 |" in (tmp_path / "area.md").read_text()

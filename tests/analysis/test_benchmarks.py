"""The benchmarks run without the optional tools, and say which are missing."""

import importlib.util
import subprocess
import sys
from pathlib import Path

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
